"""Maps AADSTS numbers to words. Numbers that mean the same to a person share a row.

Microsoft may change these numbers at any time. They select only the words, and whether Enter requests a new code or
finishes. All other behaviour depends on the OAuth error (``kiosk.errors.sign_in``).
"""

from __future__ import annotations

from typing import NamedTuple

from kiosk.errors.base import ACCOUNTS, HELPDESK, KIOSK, NO_RETRY, SECURITY, TIME, YOU
from kiosk.errors.sign_in import SignInError
from kiosk.i18n import N_


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
        N_("Your organisation requires another identity check, and it was not completed."),
        N_("Get a new code, sign in, and complete every step your phone or computer asks for."),
        YOU,
        (50074, 50076, 50078),
        origin="Multifactor authentication was required and not completed.",
    ),
    _Row(
        "sign_in_other_provider",
        N_("Your sign-in is not finished"),
        N_("Your organisation uses another company to check sign-ins, and that check was not completed."),
        N_("Get a new code, sign in, and complete that check as well. If it does not appear, contact the helpdesk."),
        YOU,
        (50158,),
        origin="An external authentication method or a custom control of Conditional Access was not satisfied.",
    ),
    _Row(
        "sign_in_register",
        N_("Your account needs to be set up first"),
        N_("Your account has no second way to prove it is you, and your organisation requires one."),
        N_(
            "Set one up at aka.ms/mysecurityinfo on another device, then get a new code. If you cannot, contact the"
            " helpdesk."
        ),
        YOU,
        (50072, 50079),
        origin="Multifactor authentication is required and no method is registered.",
    ),
    _Row(
        "sign_in_policy",
        N_("A policy does not allow this sign-in"),
        N_("Your organisation's policy blocks signing in at this kiosk with a code."),
        NO_RETRY,
        ACCOUNTS,
        (53003,),
        origin="Conditional Access blocks the sign-in; see [tenant.md](tenant.md) for the policies of the kiosk's API.",
        final=True,
    ),
    _Row(
        "sign_in_code_flow_blocked",
        N_("Signing in with a code is turned off"),
        N_("Your organisation does not allow signing in with a code, as this kiosk does."),
        NO_RETRY,
        ACCOUNTS,
        (530036,),
        origin="The policy for authentication flows blocks the device code flow; see [tenant.md](tenant.md).",
        final=True,
    ),
    _Row(
        "sign_in_device_demanded",
        N_("A managed device is required"),
        N_("Your organisation's policy requires a registered device for this sign-in, and a kiosk cannot be one."),
        NO_RETRY,
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
        N_("A security setting for your whole organisation blocks this sign-in."),
        NO_RETRY,
        ACCOUNTS,
        (530032, 530035),
        origin="Security defaults or another policy of the whole tenant.",
        final=True,
    ),
    _Row(
        "sign_in_risk",
        N_("Sign-in was blocked for security reasons"),
        N_("The sign-in service found something unusual about this sign-in or your account, and blocked the sign-in."),
        N_("Contact the helpdesk. They or the security team must check this before you can sign in."),
        SECURITY,
        (50131, 53004, 53011),
        origin="Identity Protection, or a sign-in that Entra ID considers suspicious.",
        final=True,
    ),
    _Row(
        "sign_in_not_assigned",
        N_("You have no access to this kiosk"),
        N_("Your account is fine, but it has no access to this kiosk."),
        N_("Ask the helpdesk to give you access, or to give you the key."),
        ACCOUNTS,
        (50105,),
        origin="The Kiosk API requires assignment, and this person is not assigned.",
        final=True,
    ),
    _Row(
        "sign_in_consent",
        N_("This kiosk is not fully set up"),
        N_("Your organisation has not yet approved what this kiosk asks for at sign-in."),
        NO_RETRY,
        ACCOUNTS,
        (65001, 90094, 90095),
        origin="Admin consent for the kiosk's permission is missing.",
        final=True,
    ),
    _Row(
        "sign_in_consent_declined",
        N_("Sign-in was declined"),
        N_("The request to let this kiosk know who you are was declined."),
        N_("If that was a mistake, get a new code and accept the request."),
        YOU,
        (65004,),
        origin="The person did not consent.",
    ),
    _Row(
        "sign_in_misconfigured",
        N_("This kiosk is not set up correctly"),
        N_("The sign-in service does not recognise this kiosk or its request."),
        NO_RETRY,
        KIOSK,
        (500011, 650057, 700016, 90002),
        origin="The client, the tenant or the API in `[sign_in]` does not exist.",
        final=True,
    ),
    _Row(
        "sign_in_flow_off",
        N_("This kiosk is not set up correctly"),
        N_("The kiosk's registration does not allow signing in with a code (public client flows are off)."),
        NO_RETRY,
        KIOSK,
        (7000218,),
        origin='"Allow public client flows" is off in the registration of the kiosk.',
        final=True,
    ),
    _Row(
        "sign_in_credential",
        N_("This kiosk is out of order"),
        N_("The sign-in service does not accept the certificate or secret it was given."),
        NO_RETRY,
        KIOSK,
        (50012, 700027, 7000215, 7000222),
        origin="A client secret or certificate was refused; the kiosk itself has none.",
        final=True,
    ),
    _Row(
        "sign_in_other_organisation",
        N_("This is another organisation's account"),
        N_("The account you signed in with does not belong to this kiosk's organisation."),
        N_("Start again, and choose your work account for this organisation on the phone or computer."),
        YOU,
        (16000, 50014, 50020, 90072),
        origin="An account of another tenant, or a guest of this one, whom the broker would refuse as well.",
    ),
    _Row(
        "sign_in_unknown_account",
        N_("Account not found"),
        N_("There is no such account in this kiosk's organisation."),
        N_("Start again with your work account. If that is the one you used, ask the helpdesk to check it."),
        ACCOUNTS,
        (50034, 51004),
        origin="The account is not in the directory.",
    ),
    _Row(
        "sign_in_personal_account",
        N_("This is not a work account"),
        N_("You signed in with a personal Microsoft account, but this kiosk accepts only work accounts."),
        N_("Start again, and choose your work account on the phone or computer."),
        YOU,
        (500208,),
        origin="A personal Microsoft account.",
    ),
    _Row(
        "sign_in_password_expired",
        N_("Your password has expired"),
        N_("You must change your password before you can sign in."),
        N_("Change it on another device, or ask the helpdesk to reset it. Then start again."),
        YOU,
        (50055, 50144),
        origin="The password has expired.",
    ),
    _Row(
        "sign_in_password_wrong",
        N_("Wrong user name or password"),
        N_("The user name or password entered on the phone or computer is wrong."),
        N_("Start again. If you have forgotten your password, ask the helpdesk to reset it."),
        YOU,
        (50126,),
        origin="Wrong name or password.",
    ),
    _Row(
        "sign_in_locked",
        N_("Your account is locked for now"),
        N_("There were too many attempts to sign in to your account, or some came from a suspicious location."),
        N_("Wait 15 minutes and start again, or ask the helpdesk to unlock your account."),
        HELPDESK,
        (50053,),
        origin="Smart lockout, or an address that is blocked.",
        final=True,
    ),
    _Row(
        "sign_in_disabled",
        N_("Your account is disabled"),
        N_("You cannot sign in until your organisation enables it again."),
        N_("Ask the helpdesk why, and whether it can be enabled again."),
        ACCOUNTS,
        (50057,),
        origin="The account is disabled.",
        final=True,
    ),
    _Row(
        "sign_in_code_used",
        N_("This code can no longer be used"),
        N_("The sign-in service no longer accepts the code: it is too old, already used or incomplete."),
        N_("Get a new code."),
        YOU,
        (54005, 70018, 70019, 70020, 90119, 90120),
        origin="The device code was refused with an OAuth error that is not meant for it.",
    ),
    _Row(
        "sign_in_too_old",
        N_("You need to sign in again"),
        N_("Your sign-in on the phone or computer is too old, or ended when your password changed."),
        N_("Sign out there, then start again here."),
        YOU,
        (50089, 50173, 70008, 700082, 70043),
        origin="The session is too old, or was revoked.",
    ),
    _Row(
        "sign_in_loop",
        N_("Too many sign-in requests"),
        N_("The sign-in service has blocked this kiosk for a while because it kept sending the same request."),
        N_("Wait five minutes and start again. Also tell the helpdesk and quote the reference."),
        KIOSK,
        (50196,),
        origin="Entra ID stopped the kiosk because it repeated the same request.",
    ),
    _Row(
        "sign_in_passing",
        N_("Sign-in did not work this time"),
        N_("The sign-in service failed briefly. It was not your fault."),
        N_("Get a new code. If it happens again, wait a few minutes and try once more."),
        TIME,
        (50033, 90006, 90012, 90024, 90033),
        origin="A transient error of Entra ID.",
    ),
    _Row(
        "sign_in_interrupted",
        N_("Your sign-in is not finished"),
        N_("The page on the phone or computer was still waiting for an answer."),
        N_("Get a new code, and answer every question on the page until it says you are done."),
        YOU,
        (50140, 50199),
        origin="A question on the page was not answered.",
    ),
)

BY_AADSTS: dict[int, type[SignInError]] = {
    number: kind for kind in [row.kind() for row in _ROWS] for number in kind.aadsts
}
