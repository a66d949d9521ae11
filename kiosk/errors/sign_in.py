"""Entra ID said no, or nothing."""

from __future__ import annotations

from kiosk.errors.base import KioskError
from kiosk.i18n import N_


class SignInError(KioskError):
    """Sign-in ended without a token. ``support`` is Microsoft's own code, to be quoted."""

    code = "sign_in_failed"
    status = 401
    title = N_("Sign-in did not work")
    sentence = N_("Your organisation's sign-in service refused this sign-in.")
    next_step = N_("Try again. If it happens again, ask the helpdesk and quote the reference.")

    def __init__(
        self, cause: str = "", *, reference: str = "", support: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(cause, reference=reference, retry_after=retry_after)
        self.support = support


class SignInDeclined(SignInError):
    code = "sign_in_declined"
    title = N_("Sign-in was declined")
    sentence = N_("The request was declined on the phone or computer where the code was entered.")
    next_step = N_("If that was a mistake, start again for a new code.")


class SignInExpired(SignInError):
    code = "sign_in_expired"
    title = N_("The code has expired")
    sentence = N_("The code was not used in time.")
    next_step = N_("Start again for a new code.")


class SignInUnreachable(SignInError):
    code = "sign_in_unreachable"
    status = 503
    title = N_("The sign-in service cannot be reached")
    sentence = N_("The kiosk gets no answer from your organisation's sign-in service.")
    next_step = N_("Wait a minute and try again. If it happens again, tell the helpdesk that the kiosk has no network.")
