"""Shows where and with which code to sign in: address, QR code, code in large type, time left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget

from kiosk.clock import Deadline
from kiosk.i18n import N_, _
from kiosk.screens.base import KioskScreen
from kiosk.visit.answers import SignInOutcome
from kiosk.widgets.big_text import BigText
from kiosk.widgets.countdown import Countdown
from kiosk.widgets.key_hints import KeyHint
from kiosk.widgets.prose import Prose
from kiosk.widgets.qr_code import QrCode
from kiosk.wording import SIGN_IN_HELP


class SignInScreen(KioskScreen[SignInOutcome]):
    """Waits for the other device. The code has its own deadline, so idleness does not count."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f9", "phone", show=False)]
    step = 1
    key_hints: Sequence[KeyHint] = (("Esc", N_("Cancel")),)
    idle_counts = False
    help_text = SIGN_IN_HELP

    class PhoneWanted(Message):
        """The person asked for the simulated phone of the demo."""

    def __init__(
        self, user_code: str, address: str, deadline: Deadline, *, renewed: bool = False, phone: bool = False
    ) -> None:
        """``renewed``: the last code was not used in time. ``phone`` offers the simulated phone of the demo."""
        super().__init__()
        self._user_code = user_code
        self._address = address
        self._deadline = deadline
        self._renewed = renewed
        self._phone = phone
        if phone:
            self.key_hints = (("Esc", N_("Cancel")), ("F9", N_("Simulated phone")))

    def content(self) -> Iterable[Widget]:
        shown = self._address.removeprefix("https://")
        with Horizontal(id="sign-in"):
            if self.charset.has_half_blocks:
                yield QrCode(self._address)
            with Vertical(id="sign-in-words"):
                yield Prose(_("On your phone or another device, open"), classes="label")
                yield Prose(shown, classes="value", id="address")
                if self.charset.has_half_blocks:
                    yield Prose(_("or scan the QR code, then enter the code"), classes="label")
                else:
                    yield Prose(_("then enter the code"), classes="label")
                yield BigText(self._user_code, self.charset)
                yield Prose(" ".join(self._user_code), classes="value", id="user-code")
                if self._renewed:
                    yield Prose(_("This is a new code. The last one has expired."), classes="label")
                yield Prose(_("Enter it only if you are at this kiosk."), classes="caution")
                if self._phone:
                    yield Prose(_("Demo: press F9 for the simulated phone."), classes="demo")
                yield Countdown(self._deadline, _("Code valid for {time}"))

    def tick(self) -> None:
        self.query_one(Countdown).tick()
        if self._deadline.passed():
            self.answer(SignInOutcome.EXPIRED)

    def action_escape(self) -> None:
        self.answer(SignInOutcome.CANCELLED)

    def action_phone(self) -> None:
        if self._phone:
            self.post_message(self.PhoneWanted())
