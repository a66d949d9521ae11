"""Defines the failed sign-ins to which the kiosk reacts. The OAuth error selects them, never an AADSTS number.

``kiosk.errors.sign_in_refusals`` adds errors for AADSTS numbers, which differ only in their words.
"""

from __future__ import annotations

from typing import ClassVar

from kiosk.errors.base import HELPDESK, KIOSK, TIME, YOU, KioskError, OutOfOrder
from kiosk.i18n import N_


class SignInError(KioskError):
    """Base of all failed sign-ins. Also raised itself, for an AADSTS number without its own words.

    ``support`` (the number), ``correlation_id`` and ``at`` come from Microsoft, to be quoted. ``aadsts`` lists the
    numbers that select this error.
    """

    code = "sign_in_failed"
    status = 401
    title = N_("Sign-in did not work")
    sentence = N_("Your organisation's sign-in service refused this sign-in.")
    next_step = N_("Try again. If it happens again, tell the helpdesk and quote the reference.")
    who: ClassVar[str] = HELPDESK
    aadsts: ClassVar[tuple[int, ...]] = ()
    origin = "Entra ID refused with an AADSTS number for which the kiosk has no words."

    def __init__(
        self,
        cause: str = "",
        *,
        reference: str = "",
        support: str = "",
        correlation_id: str = "",
        at: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(cause, reference=reference, retry_after=retry_after)
        self.support = support
        self.correlation_id = correlation_id
        self.at = at


class SignInDeclined(SignInError):
    code = "sign_in_declined"
    title = N_("Sign-in was declined")
    sentence = N_("The request was declined on the phone or computer where the code was entered.")
    next_step = N_("If that was a mistake, get a new code.")
    who = YOU
    origin = "OAuth: `authorization_declined`, `access_denied`."


class SignInExpired(SignInError):
    code = "sign_in_expired"
    title = N_("The code has expired")
    sentence = N_("The code was not used in time.")
    next_step = N_("Get a new code.")
    who = YOU
    origin = "OAuth: `expired_token`, `code_expired`, twice in a row. The kiosk itself renews an expired code."


class SignInCodeUnknown(SignInExpired):
    code = "sign_in_code_unknown"
    title = N_("The code is no longer valid")
    sentence = N_("The sign-in service does not recognise the code that this kiosk was given.")
    origin = "OAuth: `bad_verification_code`."


class SignInUnreachable(SignInError):
    code = "sign_in_unreachable"
    status = 503
    title = N_("The sign-in service cannot be reached")
    sentence = N_("The kiosk gets no reply from your organisation's sign-in service.")
    next_step = N_(
        "Wait a minute and try again. If it happens again, tell the helpdesk that the kiosk has no network connection."
    )
    who = KIOSK
    origin = "No connection (name, address or TLS), or no answer in time. The kiosk retries while it shows a code."


class SignInAddress(SignInError):
    code = "sign_in_address"
    status = 502
    title = N_("The sign-in service names an unsafe address")
    sentence = N_("The address that it gives for your phone is not secure, so the kiosk does not show it.")
    who = KIOSK
    origin = (
        "The `verification_uri` of the device code is not `https`, names no host, has over 200 characters, or some that"
        " no address has. The log says which. Check `[sign_in] authority`."
    )


class SignInBusy(SignInUnreachable):
    code = "sign_in_busy"
    title = N_("The sign-in service is down")
    sentence = N_("Your organisation's sign-in service is not available right now.")
    next_step = N_("Wait a minute and try again. If it happens again, tell the helpdesk and quote the reference.")
    who = TIME
    origin = (
        "HTTP 429 or 5xx, or OAuth: `temporarily_unavailable`, `server_error`. The kiosk retries while it shows a code."
    )


class SignInGarbled(SignInUnreachable):
    code = "sign_in_garbled"
    status = 502
    title = N_("Unreadable reply from sign-in service")
    sentence = N_("Something else replied instead of the sign-in service, or the reply was damaged.")
    next_step = N_("Wait a minute and try again. If it happens again, tell the helpdesk and quote the reference.")
    origin = "An answer that does not come from Entra ID, as from a proxy. The kiosk retries while it shows a code."


class SignInUntrusted(OutOfOrder, SignInUnreachable):
    code = "sign_in_untrusted"
    sentence = N_("The kiosk does not accept the certificate of your organisation's sign-in service.")
    origin = (
        "The certificate at `[sign_in] authority` does not verify: expired, for another host, or not issued by an "
        "authority in `[sign_in] ca_bundle`. The kiosk's log says which."
    )
