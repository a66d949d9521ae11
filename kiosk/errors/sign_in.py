"""Entra ID said no, or nothing. Branches of the program follow the OAuth error; Microsoft's numbers only choose words.

``aadsts`` names the numbers whose words a leaf has. Microsoft may change them at any time: they choose what is said and
whether Enter leads to a new code or out. What the kiosk decides must not depend on them, so none of the leaves that it
acts upon (declined, expired, unreachable) has any.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from kiosk.errors.base import ACCOUNTS, HELPDESK, KIOSK, SECURITY, TIME, YOU, KioskError
from kiosk.i18n import N_


class SignInError(KioskError):
    """``support``, ``correlation_id`` and ``at`` are Microsoft's own, to be quoted."""

    code = "sign_in_failed"
    status = 401
    title = N_("Sign-in did not work")
    sentence = N_("Your organisation's sign-in service refused this sign-in.")
    next_step = N_("Try again. If it happens again, ask the helpdesk and quote the reference.")
    who: ClassVar[str] = HELPDESK
    aadsts: ClassVar[tuple[int, ...]] = ()
    origin = "Entra ID refused, with a number of which the kiosk has no words of its own."

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
    next_step = N_("If that was a mistake, start again for a new code.")
    who = YOU
    origin = "OAuth: `authorization_declined`, `access_denied`."


class SignInExpired(SignInError):
    code = "sign_in_expired"
    title = N_("The code has expired")
    sentence = N_("The code was not used in time.")
    next_step = N_("Start again for a new code.")
    who = YOU
    origin = "OAuth: `expired_token`, `code_expired`, twice in a row. The kiosk renews a code that ran out by itself."


class SignInCodeUnknown(SignInExpired):
    code = "sign_in_code_unknown"
    title = N_("The code is not known any more")
    sentence = N_("The sign-in service does not know the code that this kiosk was given.")
    origin = "OAuth: `bad_verification_code`."


class SignInUnreachable(SignInError):
    code = "sign_in_unreachable"
    status = 503
    title = N_("The sign-in service cannot be reached")
    sentence = N_("The kiosk gets no answer from your organisation's sign-in service.")
    next_step = N_("Wait a minute and try again. If it happens again, tell the helpdesk that the kiosk has no network.")
    who = KIOSK
    origin = "No connection: name, address, TLS, or no answer in time. While a code is shown, it is waited out."


class SignInBusy(SignInUnreachable):
    code = "sign_in_busy"
    title = N_("The sign-in service is out of order")
    sentence = N_("Your organisation's sign-in service says that it cannot work at the moment.")
    next_step = N_("Wait a minute and try again. If it happens again, ask the helpdesk and quote the reference.")
    who = TIME
    origin = (
        "HTTP 429 or 5xx, or OAuth: `temporarily_unavailable`, `server_error`. While a code is shown, it is waited out."
    )


class SignInGarbled(SignInUnreachable):
    code = "sign_in_garbled"
    status = 502
    title = N_("The sign-in service cannot be understood")
    sentence = N_("Something answered in place of the sign-in service, or the answer was damaged on its way.")
    next_step = N_("Wait a minute and try again. If it happens again, ask the helpdesk and quote the reference.")
    origin = "An answer that is none of Entra ID's, as from a proxy. While a code is shown, it is waited out."


class SignInMoreChecks(SignInError):
    code = "sign_in_more_checks"
    title = N_("Your sign-in is not finished")
    sentence = N_("Your organisation wants a further check of who you are, and it was not completed.")
    next_step = N_("Get a new code, sign in, and finish every step that your phone or computer asks for.")
    who = YOU
    aadsts = (50074, 50076, 50078)
    origin = "Multifactor authentication was demanded and not done."


class SignInOtherProvider(SignInError):
    code = "sign_in_other_provider"
    title = N_("Your sign-in is not finished")
    sentence = N_("Your organisation uses another company's check at sign-in, and that one was not completed.")
    next_step = N_("Get a new code, sign in, and finish that check, too. If it does not appear, ask the helpdesk.")
    who = YOU
    aadsts = (50158,)
    origin = "An external authentication method or custom control of Conditional Access was not satisfied."


class SignInRegister(SignInError):
    code = "sign_in_register"
    title = N_("Your account needs to be set up first")
    sentence = N_("Your account has no second way to prove that it is you, and your organisation demands one.")
    next_step = N_(
        "Set one up at aka.ms/mysecurityinfo on another device, then get a new code. If you cannot, ask the helpdesk."
    )
    who = YOU
    aadsts = (50072, 50079)
    origin = "Multifactor authentication is demanded and no method is registered."


class SignInPolicy(SignInError):
    code = "sign_in_policy"
    title = N_("A policy does not allow this sign-in")
    sentence = N_("A policy of your organisation blocks signing in at this kiosk with a code.")
    next_step = N_("Another try will not help. Ask the helpdesk to read the key for you, and quote the reference.")
    who = ACCOUNTS
    final = True
    aadsts = (53003,)
    origin = "Conditional Access blocks; see [tenant.md](tenant.md) for the policies that the kiosk's API needs."


class SignInCodeFlowBlocked(SignInError):
    code = "sign_in_code_flow_blocked"
    title = N_("Signing in with a code is switched off")
    sentence = N_("Your organisation does not accept sign-ins that were made with a code, as this kiosk makes them.")
    next_step = N_("Another try will not help. Ask the helpdesk to read the key for you, and quote the reference.")
    who = ACCOUNTS
    final = True
    aadsts = (530036,)
    origin = "The policy for authentication flows blocks the device code flow; see [tenant.md](tenant.md)."


class SignInDeviceDemanded(SignInError):
    code = "sign_in_device_demanded"
    title = N_("A managed device is demanded")
    sentence = N_("Your organisation's policy demands a registered device for this sign-in; a kiosk cannot be one.")
    next_step = N_("Another try will not help. Ask the helpdesk to read the key for you, and quote the reference.")
    who = ACCOUNTS
    final = True
    aadsts = (50097, 53000, 53001, 530003)
    origin = "Conditional Access demands a device, which the device code flow cannot show; see [tenant.md](tenant.md)."


class SignInTenantPolicy(SignInError):
    code = "sign_in_tenant_policy"
    title = N_("A security setting does not allow this sign-in")
    sentence = N_("A security setting for all of your organisation blocks this sign-in.")
    next_step = N_("Another try will not help. Ask the helpdesk to read the key for you, and quote the reference.")
    who = ACCOUNTS
    final = True
    aadsts = (530032, 530035)
    origin = "Security defaults or another policy of the whole tenant."


class SignInRisk(SignInError):
    code = "sign_in_risk"
    title = N_("This sign-in was stopped for safety")
    sentence = N_("The sign-in service found something unusual about this sign-in or your account, and stopped it.")
    next_step = N_("Ask the helpdesk. They, or the security team, have to look at it before you can sign in.")
    who = SECURITY
    final = True
    aadsts = (50131, 53004, 53011)
    origin = "Identity protection, or a sign-in that was found suspicious."


class SignInNotAssigned(SignInError):
    code = "sign_in_not_assigned"
    title = N_("You are not enabled for this kiosk")
    sentence = N_("Your account is in order, but it is not among those that may use this kiosk.")
    next_step = N_("Ask the helpdesk to enable you, or to read the key for you.")
    who = ACCOUNTS
    final = True
    aadsts = (50105,)
    origin = "The Kiosk API requires assignment, and this person is not assigned."


class SignInConsent(SignInError):
    code = "sign_in_consent"
    title = N_("This kiosk is not set up completely")
    sentence = N_("Your organisation has not yet given its consent to what this kiosk asks for at sign-in.")
    next_step = N_("Another try will not help. Ask the helpdesk to read the key for you, and quote the reference.")
    who = ACCOUNTS
    final = True
    aadsts = (65001, 90094, 90095)
    origin = "Admin consent for the kiosk's permission is missing."


class SignInConsentDeclined(SignInError):
    code = "sign_in_consent_declined"
    title = N_("Sign-in was declined")
    sentence = N_("The question whether this kiosk may know who you are was answered with no.")
    next_step = N_("If that was a mistake, start again for a new code and accept it.")
    who = YOU
    aadsts = (65004,)
    origin = "The person did not consent."


class SignInMisconfigured(SignInError):
    code = "sign_in_misconfigured"
    title = N_("This kiosk is not set up correctly")
    sentence = N_("The sign-in service does not know this kiosk, or not what it asks for.")
    next_step = N_("Another try will not help. Ask the helpdesk to read the key for you, and quote the reference.")
    who = KIOSK
    final = True
    aadsts = (500011, 650057, 700016, 90002)
    origin = "The client, the tenant or the API of `[sign_in]` does not exist."


class SignInFlowOff(SignInError):
    code = "sign_in_flow_off"
    title = N_("This kiosk is not set up correctly")
    sentence = N_("The kiosk's registration does not allow signing in with a code (public client flows are off).")
    next_step = N_("Another try will not help. Ask the helpdesk to read the key for you, and quote the reference.")
    who = KIOSK
    final = True
    aadsts = (7000218,)
    origin = '"Allow public client flows" is off in the registration of the kiosk.'


class SignInCredential(SignInError):
    code = "sign_in_credential"
    title = N_("This kiosk is out of order")
    sentence = N_("The sign-in service does not accept the certificate or secret with which it was asked.")
    next_step = N_("Another try will not help. Ask the helpdesk to read the key for you, and quote the reference.")
    who = KIOSK
    final = True
    aadsts = (50012, 700027, 7000215, 7000222)
    origin = "A client secret or certificate was refused; the kiosk itself has none."


class SignInOtherOrganisation(SignInError):
    code = "sign_in_other_organisation"
    title = N_("This account is of another organisation")
    sentence = N_("The account with which you signed in does not belong to the organisation of this kiosk.")
    next_step = N_("Start again, and on the phone or computer choose your work account of this organisation.")
    who = YOU
    aadsts = (16000, 50020, 90072)
    origin = "An account of another tenant."


class SignInUnknownAccount(SignInError):
    code = "sign_in_unknown_account"
    title = N_("This account is not known")
    sentence = N_("There is no such account in the organisation of this kiosk.")
    next_step = N_("Start again with your work account. If it is the right one, ask the helpdesk what became of it.")
    who = ACCOUNTS
    aadsts = (50034, 51004)
    origin = "The account is not in the directory."


class SignInGuest(SignInError):
    code = "sign_in_guest"
    title = N_("Your invitation is still open")
    sentence = N_("You are a guest in this organisation, and the invitation has not been accepted yet.")
    next_step = N_("Accept it in the mail that you were sent, then start again. If you have none, ask the helpdesk.")
    who = YOU
    aadsts = (50014,)
    origin = "A guest whose invitation is pending."


class SignInPersonalAccount(SignInError):
    code = "sign_in_personal_account"
    title = N_("This is not a work account")
    sentence = N_("You signed in with a personal Microsoft account, and this kiosk takes work accounts only.")
    next_step = N_("Start again, and on the phone or computer choose your work account.")
    who = YOU
    aadsts = (500208,)
    origin = "A personal Microsoft account."


class SignInPasswordExpired(SignInError):
    code = "sign_in_password_expired"
    title = N_("Your password has expired")
    sentence = N_("The password of your account must be changed before you can sign in.")
    next_step = N_("Change it on another device, or ask the helpdesk to reset it. Then start again.")
    who = YOU
    aadsts = (50055, 50144)
    origin = "The password has expired."


class SignInPasswordWrong(SignInError):
    code = "sign_in_password_wrong"
    title = N_("Name or password was not right")
    sentence = N_("The name or the password that was entered on the phone or computer is not right.")
    next_step = N_("Start again. If you no longer know your password, ask the helpdesk to reset it.")
    who = YOU
    aadsts = (50126,)
    origin = "Wrong name or password."


class SignInLocked(SignInError):
    code = "sign_in_locked"
    title = N_("Your account is locked for a while")
    sentence = N_("There were too many attempts to sign in to your account, or some from a suspicious place.")
    next_step = N_("Wait a quarter of an hour and start again, or ask the helpdesk to unlock it.")
    who = HELPDESK
    final = True
    aadsts = (50053,)
    origin = "Smart lockout, or an address that is blocked."


class SignInDisabled(SignInError):
    code = "sign_in_disabled"
    title = N_("Your account is switched off")
    sentence = N_("Your account has been disabled, so nobody can sign in with it.")
    next_step = N_("Ask the helpdesk why, and whether it can be enabled again.")
    who = ACCOUNTS
    final = True
    aadsts = (50057,)
    origin = "The account is disabled."


class SignInCodeUsed(SignInError):
    code = "sign_in_code_used"
    title = N_("This code cannot be used any more")
    sentence = N_("The sign-in service no longer takes the code: it is too old, was used already, or is not complete.")
    next_step = N_("Start again for a new code.")
    who = YOU
    aadsts = (54005, 70018, 70019, 70020, 90119, 90120)
    origin = "The device code was refused under another OAuth error than those for it."


class SignInTooOld(SignInError):
    code = "sign_in_too_old"
    title = N_("You have to sign in afresh")
    sentence = N_("Your sign-in on the phone or computer is too old, or was ended by a change of your password.")
    next_step = N_("Sign out there, then start again here and sign in with the new code.")
    who = YOU
    aadsts = (50089, 50173, 70008, 700082, 70043)
    origin = "The session is too old, or was revoked."


class SignInLoop(SignInError):
    code = "sign_in_loop"
    title = N_("The kiosk has asked too often")
    sentence = N_("The sign-in service has stopped this kiosk, because it asked the same too many times.")
    next_step = N_("Wait five minutes and start again. Tell the helpdesk, and quote the reference.")
    who = KIOSK
    aadsts = (50196,)
    origin = "Entra ID took the kiosk for a client that asks in a circle."


class SignInPassing(SignInError):
    code = "sign_in_passing"
    title = N_("Sign-in did not work this time")
    sentence = N_("Something failed inside the sign-in service for a moment; it was not your fault.")
    next_step = N_("Start again for a new code. If it happens again, wait a few minutes.")
    who = TIME
    aadsts = (50033, 90006, 90012, 90024, 90033)
    origin = "A transient error of Entra ID."


class SignInInterrupted(SignInError):
    code = "sign_in_interrupted"
    title = N_("Your sign-in is not finished")
    sentence = N_("The page on the phone or computer still had a question, and it was not answered.")
    next_step = N_("Get a new code, and answer every question there until the page says that you are done.")
    who = YOU
    aadsts = (50140, 50199)
    origin = "A question on the page was not answered."


def _leaves(kind: type[SignInError]) -> Iterator[type[SignInError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _leaves(child)


BY_AADSTS: dict[int, type[SignInError]] = {number: leaf for leaf in _leaves(SignInError) for number in leaf.aadsts}
