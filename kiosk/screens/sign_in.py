"""Shows where and with which code to sign in: address, QR code, code in large type, time left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget

from kiosk.clock import Deadline
from kiosk.i18n import N_, _
from kiosk.screens.base import KioskScreen
from kiosk.visit.answers import Renewal, SignInOutcome
from kiosk.widgets.big_text import BigText
from kiosk.widgets.countdown import Countdown
from kiosk.widgets.key_hints import KeyHint
from kiosk.widgets.prose import Prose
from kiosk.widgets.qr_code import QrCode
from kiosk.wording import SIGN_IN_HELP, code_notice


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
        self,
        user_code: str,
        address: str,
        deadline: Deadline,
        *,
        answers: Callable[[], bool] = lambda: True,
        renewal: Renewal | None = None,
        phone: bool = False,
    ) -> None:
        """``answers`` returns whether the sign-in service does. ``renewal`` says why it is a new code, if it is one.

        ``phone`` offers the simulated phone of the demo.
        """
        super().__init__()
        self._user_code = user_code
        self._address = address
        self._deadline = deadline
        self._answers = answers
        self._renewal = renewal
        self._notice = Prose(classes="label")
        self._phone = phone
        if phone:
            self.key_hints = (("Esc", N_("Cancel")), ("F9", N_("Simulated phone")))

    def content(self) -> Iterable[Widget]:
        shown = self._address.removeprefix("https://")
        with Horizontal(id="sign-in"):
            with Vertical(id="sign-in-words"):
                yield Prose(_("On your phone or another device, open"), classes="headline")
                yield Prose(shown, classes="value", id="address")
                if self.charset.has_half_blocks:
                    yield Prose(_("or scan the QR code, then enter the code"), classes="label")
                else:
                    yield Prose(_("then enter the code"), classes="label")
                yield BigText(self._user_code, self.charset)
                yield Prose(" ".join(self._user_code), classes="value", id="user-code")
                yield self._notice
                yield Prose(_("Enter it only if you are at this kiosk."), classes="caution")
                if self._phone:
                    yield Prose(_("Demo: press F9 for the simulated phone."), classes="demo")
                yield Countdown(self._deadline, _("Code valid for {time}"))
            if self.charset.has_half_blocks:
                yield QrCode(self._address)

    def on_mount(self) -> None:
        self._say_notice()

    def _say_notice(self) -> None:
        """Say that the service does not answer, for as long as it does not; else why it is a new code."""
        words = code_notice(self._renewal, answers=self._answers())
        self._notice.say(words)
        self._notice.display = bool(words)

    def tick(self) -> None:
        self.query_one(Countdown).tick()
        self._say_notice()
        if self._deadline.passed():
            self.answer(SignInOutcome.EXPIRED)

    def action_escape(self) -> None:
        self.answer(SignInOutcome.CANCELLED)

    def action_phone(self) -> None:
        if self._phone:
            self.post_message(self.PhoneWanted())
