"""Maps AADSTS numbers to words. Numbers that mean the same to a person share a row.

Microsoft may change these numbers at any time. They select only the words, and whether Enter requests a new code or
finishes. All other behaviour depends on the OAuth error (``kiosk.errors.sign_in``).
"""

from __future__ import annotations

from typing import NamedTuple

from kiosk.errors.base import ACCOUNTS, HELPDESK, KIOSK, SECURITY, TIME, YOU
from kiosk.errors.sign_in import SignInError
from kiosk.i18n import N_

_ASK_FOR_KEY = N_("Another try will not help. Ask the helpdesk to read the key for you, and quote the reference.")


class _Row(NamedTuple):
    """The fields of an error. ``final`` says that a retry does not help."""

    code: str
    title: str
    sentence: str
    next_step: str
    who: str
    aadsts: tuple[int, ...]
    origin: str
    final: bool = False

    def kind(self) -> type[SignInError]:
        """Return an error class with the fields of this row. No code refers to the class by name."""
        return type(self.code, (SignInError,), self._asdict())


_ROWS = (
    _Row(
        "sign_in_more_checks",
        N_("Your sign-in is not finished"),
        N_("Your organisation wants a further check of who you are, and it was not completed."),
        N_("Get a new code, sign in, and finish every step that your phone or computer asks for."),
        YOU,
        (50074, 50076, 50078),
        origin="Multifactor authentication was required and not completed.",
    ),
    _Row(
        "sign_in_other_provider",
        N_("Your sign-in is not finished"),
        N_("Your organisation uses another company's check at sign-in, and that one was not completed."),
        N_("Get a new code, sign in, and finish that check, too. If it does not appear, ask the helpdesk."),
        YOU,
        (50158,),
        origin="An external authentication method or a custom control of Conditional Access was not satisfied.",
    ),
    _Row(
        "sign_in_register",
        N_("Your account needs to be set up first"),
        N_("Your account has no second way to prove that it is you, and your organisation demands one."),
        N_(
            "Set one up at aka.ms/mysecurityinfo on another device, then get a new code. If you cannot, ask the"
            " helpdesk."
        ),
        YOU,
        (50072, 50079),
        origin="Multifactor authentication is required and no method is registered.",
    ),
    _Row(
        "sign_in_policy",
        N_("A policy does not allow this sign-in"),
        N_("A policy of your organisation blocks signing in at this kiosk with a code."),
        _ASK_FOR_KEY,
        ACCOUNTS,
        (53003,),
        origin="Conditional Access blocks the sign-in; see [tenant.md](tenant.md) for the policies of the kiosk's API.",
        final=True,
    ),
    _Row(
        "sign_in_code_flow_blocked",
        N_("Signing in with a code is switched off"),
        N_("Your organisation does not accept sign-ins that were made with a code, as this kiosk makes them."),
        _ASK_FOR_KEY,
        ACCOUNTS,
        (530036,),
        origin="The policy for authentication flows blocks the device code flow; see [tenant.md](tenant.md).",
        final=True,
    ),
    _Row(
        "sign_in_device_demanded",
        N_("A managed device is demanded"),
        N_("Your organisation's policy demands a registered device for this sign-in; a kiosk cannot be one."),
        _ASK_FOR_KEY,
        ACCOUNTS,
        (50097, 53000, 53001, 530003),
        origin=(
            "Conditional Access requires a registered device, which the device code flow cannot prove; see"
            " [tenant.md](tenant.md)."
        ),
        final=True,
    ),
    _Row(
        "sign_in_tenant_policy",
        N_("A security setting does not allow this sign-in"),
        N_("A security setting for all of your organisation blocks this sign-in."),
        _ASK_FOR_KEY,
        ACCOUNTS,
        (530032, 530035),
        origin="Security defaults or another policy of the whole tenant.",
        final=True,
    ),
    _Row(
        "sign_in_risk",
        N_("This sign-in was stopped for safety"),
        N_("The sign-in service found something unusual about this sign-in or your account, and stopped it."),
        N_("Ask the helpdesk. They, or the security team, have to look at it before you can sign in."),
        SECURITY,
        (50131, 53004, 53011),
        origin="Identity Protection, or a sign-in that Entra ID considers suspicious.",
        final=True,
    ),
    _Row(
        "sign_in_not_assigned",
        N_("You are not enabled for this kiosk"),
        N_("Your account is in order, but it is not among those that may use this kiosk."),
        N_("Ask the helpdesk to enable you, or to read the key for you."),
        ACCOUNTS,
        (50105,),
        origin="The Kiosk API requires assignment, and this person is not assigned.",
        final=True,
    ),
    _Row(
        "sign_in_consent",
        N_("This kiosk is not set up completely"),
        N_("Your organisation has not yet given its consent to what this kiosk asks for at sign-in."),
        _ASK_FOR_KEY,
        ACCOUNTS,
        (65001, 90094, 90095),
        origin="Admin consent for the kiosk's permission is missing.",
        final=True,
    ),
    _Row(
        "sign_in_consent_declined",
        N_("Sign-in was declined"),
        N_("The question whether this kiosk may know who you are was answered with no."),
        N_("If that was a mistake, start again for a new code and accept it."),
        YOU,
        (65004,),
        origin="The person did not consent.",
    ),
    _Row(
        "sign_in_misconfigured",
        N_("This kiosk is not set up correctly"),
        N_("The sign-in service does not know this kiosk, or not what it asks for."),
        _ASK_FOR_KEY,
        KIOSK,
        (500011, 650057, 700016, 90002),
        origin="The client, the tenant or the API in `[sign_in]` does not exist.",
        final=True,
    ),
    _Row(
        "sign_in_flow_off",
        N_("This kiosk is not set up correctly"),
        N_("The kiosk's registration does not allow signing in with a code (public client flows are off)."),
        _ASK_FOR_KEY,
        KIOSK,
        (7000218,),
        origin='"Allow public client flows" is off in the registration of the kiosk.',
        final=True,
    ),
    _Row(
        "sign_in_credential",
        N_("This kiosk is out of order"),
        N_("The sign-in service does not accept the certificate or secret with which it was asked."),
        _ASK_FOR_KEY,
        KIOSK,
        (50012, 700027, 7000215, 7000222),
        origin="A client secret or certificate was refused; the kiosk itself has none.",
        final=True,
    ),
    _Row(
        "sign_in_other_organisation",
        N_("This account is of another organisation"),
        N_("The account with which you signed in does not belong to the organisation of this kiosk."),
        N_("Start again, and on the phone or computer choose your work account of this organisation."),
        YOU,
        (16000, 50020, 90072),
        origin="An account of another tenant.",
    ),
    _Row(
        "sign_in_unknown_account",
        N_("This account is not known"),
        N_("There is no such account in the organisation of this kiosk."),
        N_("Start again with your work account. If it is the right one, ask the helpdesk what became of it."),
        ACCOUNTS,
        (50034, 51004),
        origin="The account is not in the directory.",
    ),
    _Row(
        "sign_in_guest",
        N_("Your invitation is still open"),
        N_("You are a guest in this organisation, and the invitation has not been accepted yet."),
        N_("Accept it in the mail that you were sent, then start again. If you have none, ask the helpdesk."),
        YOU,
        (50014,),
        origin="A guest whose invitation is pending.",
    ),
    _Row(
        "sign_in_personal_account",
        N_("This is not a work account"),
        N_("You signed in with a personal Microsoft account, and this kiosk takes work accounts only."),
        N_("Start again, and on the phone or computer choose your work account."),
        YOU,
        (500208,),
        origin="A personal Microsoft account.",
    ),
    _Row(
        "sign_in_password_expired",
        N_("Your password has expired"),
        N_("The password of your account must be changed before you can sign in."),
        N_("Change it on another device, or ask the helpdesk to reset it. Then start again."),
        YOU,
        (50055, 50144),
        origin="The password has expired.",
    ),
    _Row(
        "sign_in_password_wrong",
        N_("Name or password was not right"),
        N_("The name or the password that was entered on the phone or computer is not right."),
        N_("Start again. If you no longer know your password, ask the helpdesk to reset it."),
        YOU,
        (50126,),
        origin="Wrong name or password.",
    ),
    _Row(
        "sign_in_locked",
        N_("Your account is locked for a while"),
        N_("There were too many attempts to sign in to your account, or some from a suspicious place."),
        N_("Wait a quarter of an hour and start again, or ask the helpdesk to unlock it."),
        HELPDESK,
        (50053,),
        origin="Smart lockout, or an address that is blocked.",
        final=True,
    ),
    _Row(
        "sign_in_disabled",
        N_("Your account is switched off"),
        N_("Your account has been disabled, so nobody can sign in with it."),
        N_("Ask the helpdesk why, and whether it can be enabled again."),
        ACCOUNTS,
        (50057,),
        origin="The account is disabled.",
        final=True,
    ),
    _Row(
        "sign_in_code_used",
        N_("This code cannot be used any more"),
        N_("The sign-in service no longer takes the code: it is too old, was used already, or is not complete."),
        N_("Start again for a new code."),
        YOU,
        (54005, 70018, 70019, 70020, 90119, 90120),
        origin="The device code was refused with an OAuth error that is not meant for it.",
    ),
    _Row(
        "sign_in_too_old",
        N_("You have to sign in afresh"),
        N_("Your sign-in on the phone or computer is too old, or was ended by a change of your password."),
        N_("Sign out there, then start again here and sign in with the new code."),
        YOU,
        (50089, 50173, 70008, 700082, 70043),
        origin="The session is too old, or was revoked.",
    ),
    _Row(
        "sign_in_loop",
        N_("The kiosk has asked too often"),
        N_("The sign-in service has stopped this kiosk, because it asked the same too many times."),
        N_("Wait five minutes and start again. Tell the helpdesk, and quote the reference."),
        KIOSK,
        (50196,),
        origin="Entra ID stopped the kiosk because it repeated the same request.",
    ),
    _Row(
        "sign_in_passing",
        N_("Sign-in did not work this time"),
        N_("Something failed inside the sign-in service for a moment; it was not your fault."),
        N_("Start again for a new code. If it happens again, wait a few minutes."),
        TIME,
        (50033, 90006, 90012, 90024, 90033),
        origin="A transient error of Entra ID.",
    ),
    _Row(
        "sign_in_interrupted",
        N_("Your sign-in is not finished"),
        N_("The page on the phone or computer still had a question, and it was not answered."),
        N_("Get a new code, and answer every question there until the page says that you are done."),
        YOU,
        (50140, 50199),
        origin="A question on the page was not answered.",
    ),
)

BY_AADSTS: dict[int, type[SignInError]] = {
    number: kind for kind in [row.kind() for row in _ROWS] for number in kind.aadsts
}
