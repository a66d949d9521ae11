"""Everything that can go wrong, as one tree. Each leaf has a stable code, words for the person, a cause for operators.

KioskError
├── TerminalWatched             what is around the kiosk forbids a reveal
├── ConfigError                 the operator's files; ends the program with exit code 2
├── SignInError                 Entra ID said no, or nothing
├── Refused                     the broker decided against it (HTTP 4xx)
│   ├── TokenRefused            who is asking could not be established
│   ├── DeviceRefused           this device's key may not be released
│   └── RequestRefused          this request may not be served now
└── Unavailable                 something needed does not work (HTTP 5xx)
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import ClassVar

PROBLEM_TYPE = "urn:recovery-kiosk:problem:"


def new_reference() -> str:
    """A short reference that a person can quote and an operator can search for."""
    return uuid.uuid4().hex[:8].upper()


class KioskError(Exception):
    """Base of all. ``cause`` is for the operator's log and holds no secret; it is never shown to the person."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"
    sentence: ClassVar[str] = "The kiosk met a problem that it does not know."
    next_step: ClassVar[str] = "Try again. If it happens again, ask the helpdesk and quote the reference."

    def __init__(self, cause: str = "", *, reference: str = "", retry_after: float | None = None) -> None:
        super().__init__(cause or self.code)
        self.cause = cause
        self.reference = reference or new_reference()
        self.retry_after = retry_after


class TerminalWatched(KioskError):
    """Something around the kiosk may record its screen, and the configuration refuses to reveal a key then."""

    code = "terminal_watched"
    status = 403
    title = "No key is shown on this terminal"
    sentence = "This terminal seems to be recorded or watched by another program, so a key would not stay private."
    next_step = "Use another terminal, and tell the helpdesk about this one."


class ConfigError(KioskError):
    """A file of the operator cannot be used: one line that names the file, the place and what was expected."""

    code = "configuration"

    def __init__(self, path: Path | str, expected: str, *, key: str = "", line: int | None = None) -> None:
        place = f"{path}:{line}" if line else str(path)
        super().__init__(f"{place}: {key}: {expected}" if key else f"{place}: {expected}")


class SignInError(KioskError):
    """Sign-in ended without a token. ``support`` is Microsoft's own code, to be quoted."""

    code = "sign_in_failed"
    status = 401
    title = "Sign-in did not work"
    sentence = "Your organisation's sign-in service refused this sign-in."
    next_step = "Try again. If it happens again, ask the helpdesk and quote the reference."

    def __init__(
        self, cause: str = "", *, reference: str = "", support: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(cause, reference=reference, retry_after=retry_after)
        self.support = support


class SignInDeclined(SignInError):
    code = "sign_in_declined"
    title = "Sign-in was declined"
    sentence = "The request was declined on the phone or computer where the code was entered."
    next_step = "If that was a mistake, start again for a new code."


class SignInExpired(SignInError):
    code = "sign_in_expired"
    title = "The code has expired"
    sentence = "The code was not used in time."
    next_step = "Start again for a new code."


class SignInUnreachable(SignInError):
    code = "sign_in_unreachable"
    status = 503
    title = "The sign-in service cannot be reached"
    sentence = "The kiosk gets no answer from your organisation's sign-in service."
    next_step = "Wait a minute and try again. If it happens again, tell the helpdesk that the kiosk has no network."


class Refused(KioskError):
    """The broker decided against it."""

    status = 403
    title = "This cannot be done"


class TokenRefused(Refused):
    """Who is asking could not be established."""

    code = "token_invalid"
    status = 401
    title = "Your sign-in was not accepted"
    sentence = "The sign-in that reached the recovery service is not valid here."
    next_step = "Start again and sign in with your account of this organisation."


class TokenMissing(TokenRefused):
    code = "token_missing"


class TokenUnsigned(TokenRefused):
    code = "token_unsigned"


class TokenBadSignature(TokenRefused):
    code = "token_signature"


class TokenExpired(TokenRefused):
    code = "token_expired"
    title = "Your sign-in has run out"
    sentence = "Too much time has passed since you signed in."
    next_step = "Start again and sign in once more."


class TokenNotYetValid(TokenRefused):
    code = "token_not_yet_valid"


class TokenStale(TokenExpired):
    code = "token_stale"
    sentence = "You signed in too long ago on your phone or computer."
    next_step = "Sign out there, then start again and sign in afresh."


class TokenWrongAudience(TokenRefused):
    code = "token_audience"


class TokenWrongIssuer(TokenRefused):
    code = "token_issuer"


class TokenWrongTenant(TokenRefused):
    code = "token_tenant"
    sentence = "The account that you signed in with belongs to another organisation."


class TokenWrongScope(TokenRefused):
    code = "token_scope"


class TokenBound(TokenRefused):
    code = "token_bound"
    title = "Your sign-in was used elsewhere"
    sentence = "This sign-in has already been used by another visit to a kiosk."
    next_step = "Start again and sign in once more. If it happens again, tell the helpdesk and quote the reference."


class DeviceRefused(Refused):
    """This device's key may not be released."""

    code = "device_refused"
    title = "No recovery key here for this device"


class DeviceNotFound(DeviceRefused):
    code = "device_not_found"
    status = 404
    sentence = "Your organisation's device management no longer knows this device."
    next_step = "Ask the helpdesk whether it was removed or enrolled anew."


class DeviceNotYours(DeviceRefused):
    code = "device_not_yours"
    sentence = "This device is registered to somebody else."
    next_step = "If it is yours, ask the helpdesk to make you its primary user."


class DeviceShared(DeviceRefused):
    code = "device_shared"
    sentence = "This is a shared Mac without a primary user, so its key is not for self-service."
    next_step = "Ask the helpdesk to read the key for you."


class DevicePersonal(DeviceRefused):
    code = "device_personal"
    sentence = "This Mac is your own. Only you can read its key, on the Company Portal website."
    next_step = "Open the Company Portal website on another device and choose this Mac there."


class DeviceNotMac(DeviceRefused):
    code = "device_not_mac"
    sentence = "This is not a Mac, so it has no FileVault recovery key."
    next_step = "Ask the helpdesk how to recover this kind of device."


class DeviceOtherAgent(DeviceRefused):
    code = "device_other_agent"
    sentence = "This Mac is managed by another system, and its key is kept there."
    next_step = "Ask the helpdesk to read the key there."


class DeviceOwnerUnknown(DeviceRefused):
    code = "device_owner_unknown"
    sentence = "It is not recorded that this Mac belongs to your organisation."
    next_step = "Ask the helpdesk to mark it as company-owned, if it is."


class DeviceNotManaged(DeviceRefused):
    code = "device_not_managed"
    sentence = "This Mac is not fully managed by your organisation at the moment."
    next_step = "Ask the helpdesk to look at how it is managed."


class DeviceLeaving(DeviceRefused):
    code = "device_leaving"
    sentence = "This Mac is being erased or removed from management."
    next_step = "Ask the helpdesk before you do anything with it."


class DeviceBlocked(DeviceRefused):
    code = "device_blocked"
    sentence = "The key of this Mac may not be read at a kiosk."
    next_step = "Ask the helpdesk and quote the reference."


class KeyNotEscrowed(DeviceRefused):
    code = "key_not_escrowed"
    status = 404
    sentence = "No recovery key of this Mac has been stored with your organisation."
    next_step = "Ask the helpdesk. They can see whether and how this Mac was encrypted."


class KeyUnreadable(DeviceRefused):
    code = "key_unreadable"
    status = 502
    sentence = "What is stored for this Mac does not look like a recovery key."
    next_step = "Ask the helpdesk to look at the stored key."


class RequestRefused(Refused):
    """This request may not be served now."""

    code = "request_refused"


class RequestInvalid(RequestRefused):
    code = "request_invalid"
    status = 400
    sentence = "The kiosk and the recovery service do not understand each other."


class RouteUnknown(RequestRefused):
    code = "route_unknown"
    status = 404
    sentence = "The kiosk and the recovery service do not understand each other."


class LimitReached(RequestRefused):
    code = "limit_reached"
    status = 429
    title = "Not again so soon"
    sentence = "The number of recovery keys that may be read in this time has been reached."
    next_step = "Wait, or ask the helpdesk."


class PersonLimit(LimitReached):
    code = "limit_person"
    sentence = "You have read as many recovery keys as one person may in this time."


class DeviceLimit(LimitReached):
    code = "limit_device"
    sentence = "The key of this Mac has been read as often as it may be in this time."


class KioskLimit(LimitReached):
    code = "limit_kiosk"
    sentence = "As many recovery keys have been read at this kiosk as may be in this time."
    next_step = "Wait, go to another kiosk, or ask the helpdesk."


class OverallLimit(LimitReached):
    code = "limit_overall"
    sentence = "As many recovery keys have been read in your organisation as may be in this time."


class SelfServiceOff(RequestRefused):
    code = "self_service_off"
    title = "Not at this kiosk"
    sentence = "Your organisation has switched off reading recovery keys at kiosks."
    next_step = "Ask the helpdesk to read the key for you."


class SelfServiceNotYours(RequestRefused):
    code = "self_service_not_yours"
    title = "Not at this kiosk"
    sentence = "Your account is not among those that may read recovery keys here."
    next_step = "Ask the helpdesk to read the key for you, or to let you in."


class PersonBlocked(RequestRefused):
    code = "person_blocked"
    title = "Not at this kiosk"
    sentence = "Your account may not read recovery keys here."
    next_step = "Ask the helpdesk and quote the reference."


class ReasonRequired(RequestRefused):
    code = "reason_required"
    status = 422
    title = "A reason is needed"
    sentence = "Your organisation asks for a reason before a key is shown."
    next_step = "Ask the helpdesk for the reason or ticket number to give."


class ReasonUnfit(ReasonRequired):
    code = "reason_unfit"
    title = "Another reason is needed"
    sentence = "The reason does not have the form that your organisation asks for."
    next_step = "Look at what is asked for and give the reason in that form."


class ReleaseUnknown(RequestRefused):
    code = "release_unknown"
    status = 404


class Unavailable(KioskError):
    """Something that is needed does not work at the moment."""

    code = "unavailable"
    status = 503
    title = "Not possible at the moment"
    sentence = "A service that the kiosk needs does not answer."
    next_step = "Wait a minute and try again. If it happens again, ask the helpdesk and quote the reference."


class BrokerUnreachable(Unavailable):
    code = "broker_unreachable"
    sentence = "The kiosk gets no answer from the recovery service."


class BrokerGarbled(Unavailable):
    code = "broker_garbled"
    status = 502
    sentence = "The recovery service gave an answer that the kiosk cannot read."


class SealBroken(Unavailable):
    code = "seal_broken"
    status = 502
    sentence = "The key arrived damaged and was thrown away."


class GraphUnavailable(Unavailable):
    code = "graph_unavailable"
    sentence = "Your organisation's device management does not answer."


class GraphThrottled(Unavailable):
    code = "graph_throttled"
    sentence = "Your organisation's device management is very busy."


class GraphRefused(Unavailable):
    code = "graph_refused"
    status = 502
    sentence = "Your organisation's device management does not let the recovery service in."
    next_step = "Ask the helpdesk and quote the reference; waiting does not help."


class GraphGarbled(Unavailable):
    code = "graph_garbled"
    status = 502
    sentence = "Your organisation's device management gave an answer that cannot be read."


class TokensUnavailable(Unavailable):
    code = "tokens_unavailable"
    sentence = "The recovery service cannot check sign-ins at the moment."


class RecordUnavailable(Unavailable):
    code = "record_unavailable"
    sentence = "The recovery service cannot write its record, and without a record no key is shown."
    next_step = "Ask the helpdesk and quote the reference; waiting does not help."


class SinkUnavailable(RecordUnavailable):
    code = "sink_unavailable"
    sentence = "The recovery service cannot pass its record on, and your organisation shows no key without that."


def _leaves(kind: type[KioskError]) -> dict[str, type[KioskError]]:
    found = {kind.code: kind}
    for child in kind.__subclasses__():
        # A parent keeps its own code when a child merely inherits it.
        found = _leaves(child) | found
    return found


BY_CODE: dict[str, type[KioskError]] = _leaves(KioskError)


def from_code(code: str, cause: str = "", *, reference: str = "", retry_after: float | None = None) -> KioskError:
    """The error that a code stands for; an unknown code, as from a newer broker, is a plain Unavailable."""
    kind = BY_CODE.get(code, Unavailable)
    if kind is ConfigError:
        kind = Unavailable
    return kind(cause or code, reference=reference, retry_after=retry_after)
