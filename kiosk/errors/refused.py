"""The broker decided against it (HTTP 4xx)."""

from __future__ import annotations

from kiosk.errors.base import KioskError
from kiosk.i18n import N_


class Refused(KioskError):
    """The broker decided against it."""

    status = 403
    title = N_("This cannot be done")


class TokenRefused(Refused):
    """Who is asking could not be established."""

    code = "token_invalid"
    status = 401
    title = N_("Your sign-in was not accepted")
    sentence = N_("The sign-in that reached the recovery service is not valid here.")
    next_step = N_("Start again and sign in with your account of this organisation.")


class TokenMissing(TokenRefused):
    code = "token_missing"


class TokenUnsigned(TokenRefused):
    code = "token_unsigned"


class TokenBadSignature(TokenRefused):
    code = "token_signature"


class TokenExpired(TokenRefused):
    code = "token_expired"
    title = N_("Your sign-in has run out")
    sentence = N_("Too much time has passed since you signed in.")
    next_step = N_("Start again and sign in once more.")


class TokenNotYetValid(TokenRefused):
    code = "token_not_yet_valid"


class TokenStale(TokenExpired):
    code = "token_stale"
    sentence = N_("You signed in too long ago on your phone or computer.")
    next_step = N_("Sign out there, then start again and sign in afresh.")


class TokenWrongAudience(TokenRefused):
    code = "token_audience"


class TokenWrongIssuer(TokenRefused):
    code = "token_issuer"


class TokenWrongTenant(TokenRefused):
    code = "token_tenant"
    sentence = N_("The account that you signed in with belongs to another organisation.")


class TokenWrongScope(TokenRefused):
    code = "token_scope"


class TokenBound(TokenRefused):
    code = "token_bound"
    title = N_("Your sign-in was used elsewhere")
    sentence = N_("This sign-in has already been used by another visit to a kiosk.")
    next_step = N_("Start again and sign in once more. If it happens again, tell the helpdesk and quote the reference.")


class DeviceRefused(Refused):
    """This device's key may not be released."""

    code = "device_refused"
    title = N_("No recovery key here for this device")


class DeviceNotFound(DeviceRefused):
    code = "device_not_found"
    status = 404
    sentence = N_("Your organisation's device management no longer knows this device.")
    next_step = N_("Ask the helpdesk whether it was removed or enrolled anew.")


class DeviceNotYours(DeviceRefused):
    code = "device_not_yours"
    sentence = N_("This device is registered to somebody else.")
    next_step = N_("If it is yours, ask the helpdesk to make you its primary user.")


class DeviceShared(DeviceRefused):
    code = "device_shared"
    sentence = N_("This is a shared Mac without a primary user, so its key is not for self-service.")
    next_step = N_("Ask the helpdesk to read the key for you.")


class DevicePersonal(DeviceRefused):
    code = "device_personal"
    sentence = N_("This Mac is your own. Only you can read its key, on the Company Portal website.")
    next_step = N_("Open the Company Portal website on another device and choose this Mac there.")


class DeviceNotMac(DeviceRefused):
    code = "device_not_mac"
    sentence = N_("This is not a Mac, so it has no FileVault recovery key.")
    next_step = N_("Ask the helpdesk how to recover this kind of device.")


class DeviceOtherAgent(DeviceRefused):
    code = "device_other_agent"
    sentence = N_("This Mac is managed by another system, and its key is kept there.")
    next_step = N_("Ask the helpdesk to read the key there.")


class DeviceOwnerUnknown(DeviceRefused):
    code = "device_owner_unknown"
    sentence = N_("It is not recorded that this Mac belongs to your organisation.")
    next_step = N_("Ask the helpdesk to mark it as company-owned, if it is.")


class DeviceNotManaged(DeviceRefused):
    code = "device_not_managed"
    sentence = N_("This Mac is not fully managed by your organisation at the moment.")
    next_step = N_("Ask the helpdesk to look at how it is managed.")


class DeviceLeaving(DeviceRefused):
    code = "device_leaving"
    sentence = N_("This Mac is being erased or removed from management.")
    next_step = N_("Ask the helpdesk before you do anything with it.")


class DeviceBlocked(DeviceRefused):
    code = "device_blocked"
    sentence = N_("The key of this Mac may not be read at a kiosk.")
    next_step = N_("Ask the helpdesk and quote the reference.")


class KeyNotEscrowed(DeviceRefused):
    code = "key_not_escrowed"
    status = 404
    sentence = N_("No recovery key of this Mac has been stored with your organisation.")
    next_step = N_("Ask the helpdesk. They can see whether and how this Mac was encrypted.")


class KeyUnreadable(DeviceRefused):
    code = "key_unreadable"
    status = 502
    sentence = N_("What is stored for this Mac does not look like a recovery key.")
    next_step = N_("Ask the helpdesk to look at the stored key.")


class RequestRefused(Refused):
    """This request may not be served now."""

    code = "request_refused"


class RequestInvalid(RequestRefused):
    code = "request_invalid"
    status = 400
    sentence = N_("The kiosk and the recovery service do not understand each other.")


class RouteUnknown(RequestRefused):
    code = "route_unknown"
    status = 404
    sentence = N_("The kiosk and the recovery service do not understand each other.")


class LimitReached(RequestRefused):
    code = "limit_reached"
    status = 429
    title = N_("Not again so soon")
    sentence = N_("The number of recovery keys that may be read in this time has been reached.")
    next_step = N_("Wait, or ask the helpdesk.")


class PersonLimit(LimitReached):
    code = "limit_person"
    sentence = N_("You have read as many recovery keys as one person may in this time.")


class DeviceLimit(LimitReached):
    code = "limit_device"
    sentence = N_("The key of this Mac has been read as often as it may be in this time.")


class KioskLimit(LimitReached):
    code = "limit_kiosk"
    sentence = N_("As many recovery keys have been read at this kiosk as may be in this time.")
    next_step = N_("Wait, go to another kiosk, or ask the helpdesk.")


class OverallLimit(LimitReached):
    code = "limit_overall"
    sentence = N_("As many recovery keys have been read in your organisation as may be in this time.")


class SelfServiceOff(RequestRefused):
    code = "self_service_off"
    title = N_("Not at this kiosk")
    sentence = N_("Your organisation has switched off reading recovery keys at kiosks.")
    next_step = N_("Ask the helpdesk to read the key for you.")


class SelfServiceNotYours(RequestRefused):
    code = "self_service_not_yours"
    title = N_("Not at this kiosk")
    sentence = N_("Your account is not among those that may read recovery keys here.")
    next_step = N_("Ask the helpdesk to read the key for you, or to let you in.")


class PersonBlocked(RequestRefused):
    code = "person_blocked"
    title = N_("Not at this kiosk")
    sentence = N_("Your account may not read recovery keys here.")
    next_step = N_("Ask the helpdesk and quote the reference.")


class ReasonRequired(RequestRefused):
    code = "reason_required"
    status = 422
    title = N_("A reason is needed")
    sentence = N_("Your organisation asks for a reason before a key is shown.")
    next_step = N_("Ask the helpdesk for the reason or ticket number to give.")


class ReasonUnfit(ReasonRequired):
    code = "reason_unfit"
    title = N_("Another reason is needed")
    sentence = N_("The reason does not have the form that your organisation asks for.")
    next_step = N_("Look at what is asked for and give the reason in that form.")


class ReleaseUnknown(RequestRefused):
    code = "release_unknown"
    status = 404
