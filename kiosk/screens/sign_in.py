"""Where and with which code to sign in: address, QR code of it, code in large type, time left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, auto
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget

from kiosk.clock import Deadline
from kiosk.screens.base import KioskScreen
from kiosk.widgets.big_text import BigText
from kiosk.widgets.countdown import Countdown
from kiosk.widgets.key_hints import Hint
from kiosk.widgets.prose import Prose
from kiosk.widgets.qr_code import QrCode


class SignInOutcome(Enum):
    """How the wait for the sign-in ended."""

    SIGNED_IN = auto()
    FAILED = auto()
    EXPIRED = auto()
    CANCELLED = auto()


class SignInScreen(KioskScreen[SignInOutcome]):
    """Waits for the other device. The code lives on its own clock, so no key has to be pressed here."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f9", "phone", show=False)]
    step = 1
    hints: Sequence[Hint] = (("Esc", "Cancel"),)
    idle_counts = False
    help_text = (
        "1   Take your phone, or any device on which you can sign in with your work account.\n"
        "2   Point its camera at the square, or type the address into its browser.\n"
        "3   Type the code that stands on this screen, then sign in as usual.\n\n"
        "This screen goes on by itself. Your password is never typed here.\n\n"
        "Type a code only if you see it on the terminal in front of you. Somebody who sends you a code wants to sign in"
        " as you."
    )

    class PhoneWanted(Message):
        """The demo's simulated phone was asked for."""

    def __init__(self, user_code: str, address: str, deadline: Deadline, *, phone: bool = False) -> None:
        """``phone`` offers the simulated phone of the demo."""
        super().__init__()
        self._user_code = user_code
        self._address = address
        self._deadline = deadline
        self._phone = phone
        if phone:
            self.hints = (("Esc", "Cancel"), ("F9", "Play the phone"))

    def content(self) -> Iterable[Widget]:
        shown = self._address.removeprefix("https://")
        with Horizontal(id="sign-in"):
            yield QrCode(self._address)
            with Vertical(id="sign-in-words"):
                yield Prose("On your phone or another device, open", classes="label")
                yield Prose(shown, classes="value", id="address")
                yield Prose("or scan the square, then enter the code", classes="label")
                yield BigText(self._user_code)
                yield Prose(" ".join(self._user_code), classes="value", id="user-code")
                yield Prose("Enter it only if you are standing here.", classes="caution")
                if self._phone:
                    yield Prose("Demo: press F9 to play the phone.", classes="demo")
                yield Countdown(self._deadline, "Code valid for {time}")

    def tick(self) -> None:
        self.query_one(Countdown).tick()
        if self._deadline.passed():
            self.answer(SignInOutcome.EXPIRED)

    def action_escape(self) -> None:
        self.answer(SignInOutcome.CANCELLED)

    def action_phone(self) -> None:
        if self._phone:
            self.post_message(self.PhoneWanted())
