"""Defines the broker's refusals of a sign-in or a request (HTTP 4xx)."""

from __future__ import annotations

from kiosk.errors.base import ACCOUNTS, HELPDESK, SERVICE, TIME, YOU, KioskError
from kiosk.i18n import N_


class Refused(KioskError):
    """Base of all refusals by the broker."""

    status = 403
    title = N_("This cannot be done")


class TokenRefused(Refused):
    code = "token_invalid"
    status = 401
    title = N_("Your sign-in was not accepted")
    sentence = N_("The sign-in that the recovery service received is not valid here.")
    next_step = N_("Start again and sign in with your account for this organisation.")
    who = YOU
    origin = "The token does not come from a sign-in of this organisation: its form, version or claims are wrong."


class TokenMissing(TokenRefused):
    code = "token_missing"
    origin = "The request has no bearer token."


class TokenUnsigned(TokenRefused):
    code = "token_unsigned"
    origin = "The token has no signature."


class TokenBadSignature(TokenRefused):
    code = "token_signature"
    origin = "The token is not signed with any of the tenant's signing keys."


class TokenExpired(TokenRefused):
    code = "token_expired"
    title = N_("Your sign-in has expired")
    sentence = N_("Too much time has passed since you signed in.")
    next_step = N_("Start again and sign in.")
    origin = "The token's `exp` has passed."


class TokenNotYetValid(TokenRefused):
    code = "token_not_yet_valid"
    sentence = N_("Your sign-in has a time in the future: the recovery service's clock may be wrong.")
    next_step = N_("Wait a minute and start again. If it happens again, tell the helpdesk and quote the reference.")
    who = SERVICE
    origin = "The token's `nbf`, `iat` or `auth_time` is in the future: a clock is wrong."


class TokenStale(TokenExpired):
    code = "token_stale"
    sentence = N_("You signed in too long ago on your phone or computer.")
    next_step = N_("Sign out there, then start again here.")
    origin = "The sign-in is older than `fresh_seconds`, by the token's `auth_time`, or by `iat` if that is missing."


class TokenWrongAudience(TokenRefused):
    code = "token_audience"
    sentence = N_("The sign-in was for a different service.")
    next_step = N_("Start again. If it happens again, tell the helpdesk and quote the reference.")
    who = SERVICE
    origin = "The token's `aud` is not `[tokens] audience`."


class TokenWrongClient(TokenRefused):
    code = "token_client"
    sentence = N_("The sign-in came from a different program, not from this kiosk.")
    next_step = N_("Start again. If it happens again, tell the helpdesk and quote the reference.")
    who = SERVICE
    origin = (
        "The token's `azp` is not `[tokens] client`, or its `azpacr` is not 2 (method `web`) or 0 (`device_code`): "
        "another application asked for it."
    )


class TokenUnconfirmed(TokenRefused):
    code = "token_unconfirmed"
    sentence = N_("The sign-in was not confirmed at this kiosk.")
    next_step = TokenWrongClient.next_step
    who = SERVICE
    origin = (
        'With `[sign_in] method = "web"`: the record has no `sign_in.confirmed` that binds the token to this visit. '
        "Its digits were never typed here, or somebody else presents it."
    )


class TokenWrongIssuer(TokenRefused):
    code = "token_issuer"
    origin = "The token's `iss` is not the issuer in the authority's discovery document."


class TokenWrongTenant(TokenRefused):
    code = "token_tenant"
    sentence = N_("The account you signed in with belongs to another organisation.")
    origin = "The token's `tid` is not `[tokens] tenant`, or the person is a guest by `idp`, `acct` or name (`#EXT#`)."


class TokenWrongScope(TokenRefused):
    code = "token_scope"
    sentence = N_("This sign-in does not let you use this kiosk.")
    next_step = N_("Start again. If it happens again, tell the helpdesk and quote the reference.")
    who = ACCOUNTS
    origin = "The token's `scp` does not contain `[tokens] scope`, or the token was issued to an application."


class TokenUnproven(TokenRefused):
    code = "token_unproven"
    next_step = TokenWrongScope.next_step
    who = SERVICE
    origin = (
        "The request has no proof (`DPoP`) that it comes from the visit that holds the token, or one that is "
        "malformed, was used before, or is for another request, body or token. The log says which."
    )


class TokenProofTime(TokenUnproven):
    code = "token_proof_time"
    origin = (
        "The proof was not made just now: the clocks of kiosk and broker differ, or somebody repeats an old request. "
        "A kiosk then makes another one by the broker's clock, so people see this only if that fails."
    )
    # Seconds since 1970 by the broker's clock, so that a kiosk whose own clock is wrong can make another proof.
    broker_time: float | None = None


class TokenBound(TokenRefused):
    code = "token_bound"
    title = N_("Your sign-in was used elsewhere")
    sentence = N_("This sign-in has already been used for another kiosk visit.")
    next_step = N_("Start again. If it happens again, tell the helpdesk and quote the reference.")
    origin = "The record contains this token with the keys of another visit, or with the end of its visit."


class RequestRefused(Refused):
    """Base of all refusals of a request."""

    sentence = N_("The recovery service cannot do this right now.")
    next_step = N_("Contact the helpdesk and quote the reference.")


class RequestInvalid(RequestRefused):
    code = "request_invalid"
    status = 400
    sentence = N_("The kiosk and the recovery service could not communicate.")
    final = True
    origin = "The request does not match the interface. Kiosk and broker may have different versions."


class RouteUnknown(RequestRefused):
    code = "route_unknown"
    status = 404
    sentence = N_("The kiosk and the recovery service could not communicate.")
    final = True
    origin = "The interface has no such path. Kiosk and broker may have different versions."


class LimitReached(RequestRefused):
    """Base of all limits on the number of releases."""

    status = 429
    title = N_("Limit reached")
    sentence = N_("The limit on recovery keys for this period has been reached.")
    next_step = N_("Wait, or ask the helpdesk for the key.")
    who = TIME
    final = True


class PersonLimit(LimitReached):
    code = "limit_person"
    sentence = N_("You have reached your limit of recovery keys for now.")
    origin = "`[rules] per_person`, counted from the record."


class DeviceLimit(LimitReached):
    code = "limit_device"
    sentence = N_("This Mac's key has been shown as often as allowed for now.")
    origin = "`[rules] per_device`, counted from the record."


class KioskLimit(LimitReached):
    code = "limit_kiosk"
    sentence = N_("This kiosk has reached its limit of recovery keys for now.")
    next_step = N_("Wait, go to another kiosk, or ask the helpdesk for the key.")
    origin = "`[rules] per_kiosk`, counted from the record."


class OverallLimit(LimitReached):
    code = "limit_overall"
    sentence = N_("Your organisation has reached its limit of recovery keys for now.")
    origin = "`[rules] overall`, counted from the record."


class RequestLimit(LimitReached):
    code = "limit_requests"
    sentence = N_("You have made too many requests in a short time.")
    final = False
    origin = "`[limits] requests_per_minute` or `refused_releases_per_hour`, counted by each broker for itself."


class SelfServiceOff(RequestRefused):
    code = "self_service_off"
    title = N_("Not possible here")
    sentence = N_("Your organisation has turned off recovery keys at kiosks.")
    next_step = N_("Ask the helpdesk to give you the key.")
    who = HELPDESK
    final = True
    origin = "`[rules] self_service` is `nobody`."


class SelfServiceNotYours(RequestRefused):
    code = "self_service_not_yours"
    title = N_("Not possible here")
    sentence = N_("Your account is not allowed to get recovery keys here.")
    next_step = N_("Ask the helpdesk to give you access, or to give you the key.")
    who = ACCOUNTS
    final = True
    origin = "`[rules] self_service` is `role`, and the token lacks the app role `SelfService`."


class PersonBlocked(RequestRefused):
    code = "person_blocked"
    title = N_("Not possible here")
    sentence = N_("Your account cannot get recovery keys here.")
    next_step = N_("Contact the helpdesk and quote the reference.")
    who = HELPDESK
    final = True
    origin = "`[rules] blocked_people` lists the person."


class ReasonRequired(RequestRefused):
    code = "reason_required"
    status = 422
    title = N_("A reason is needed")
    sentence = N_("Your organisation asks for a reason before a key is shown.")
    next_step = N_("Ask the helpdesk which reason or ticket number to enter.")
    who = YOU
    origin = "`[rules] reason` is `required`, and none was given."


class ReasonUnfit(ReasonRequired):
    code = "reason_unfit"
    title = N_("Check the reason")
    sentence = N_("The reason is not in the format your organisation requires.")
    next_step = N_("Check what is asked for and enter it in that format.")
    origin = "The reason does not match `[rules] reason_pattern`."


class ReleaseUnknown(RequestRefused):
    code = "release_unknown"
    status = 404
    sentence = N_("The recovery service has no record of the key shown here.")
    origin = "The record contains no release with this id for this person."
