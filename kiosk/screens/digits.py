"""Asks for the six digits that the phone shows, beside the name of the person who signed in there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Key
from textual.widget import Widget

from kiosk.i18n import N_, _
from kiosk.screens.base import KioskScreen
from kiosk.secret import zero
from kiosk.sign_in_messages import DIGITS
from kiosk.visit.answers import DigitsNotice
from kiosk.visit.phone_progress import PhoneProgress
from kiosk.widgets.countdown import Countdown
from kiosk.widgets.digit_boxes import DigitBoxes
from kiosk.widgets.key_hints import KeyHint
from kiosk.widgets.prose import Prose
from kiosk.wording import DIGITS_HELP, NOT_ALL_DIGITS, ONLY_DIGITS, PHONE_NOT_SILENT, PHONE_SILENT, digits_notice

# What people may type between the digits, as the phone shows them.
_BETWEEN = " -"


class DigitsScreen(KioskScreen[bytearray | None]):
    """Answered with the digits, or with None for "not me". The code has its own deadline, so idleness does not count.

    There is no question "Is this you?" after it: the person with the phone with the digits has just signed in.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("backspace", "erase", show=False)]
    step = 2
    key_hints: Sequence[KeyHint] = (("Enter", N_("Continue")), ("Esc", N_("No, not me")))
    idle_counts = False
    help_text = DIGITS_HELP

    def __init__(
        self,
        sign_in: PhoneProgress,
        *,
        tries: int,
        notice: DigitsNotice | None = None,
        said: Callable[[], str] = lambda: "",
    ) -> None:
        """``notice`` says why the digits are asked for again. ``said`` returns what the simulated phone shows."""
        super().__init__()
        self._sign_in = sign_in
        self._view = sign_in.view
        self._tries = tries
        self._notice = notice
        self._said = said
        self._silent = False
        # Of fixed length, so that it is never moved in memory, which would leave a copy behind.
        self._typed = bytearray(DIGITS)
        self._length = 0

    def content(self) -> Iterable[Widget]:
        yield Prose(_("Type the six digits from your phone"), classes="headline")
        yield Prose(_("Signed in on the phone:"), classes="label")
        yield Prose(self._view.name, classes="value", id="person-name")
        yield Prose(self._view.address, classes="value quiet", id="person-address")
        yield DigitBoxes(self._typed)
        yield Prose(id="verdict")
        yield Prose(_("If this is not you, press Esc. Never tell anyone the digits."), classes="caution")
        yield Prose(id="said", classes="demo")
        yield Countdown(self._sign_in.deadline, _("Time left {time}"))

    def on_mount(self) -> None:
        self._say(digits_notice(self._notice, self._tries), wrong=self._notice is not None)
        self.tick()

    def tick(self) -> None:
        self.query_one(Countdown).tick()
        said, words = self.query_one("#said", Prose), self._said()
        said.say(_("Simulated phone: {said}").format(said=words) if words else "")
        said.display = bool(words)
        if self._sign_in.answers() is self._silent:
            self._silent = not self._silent
            self._say(_(PHONE_SILENT if self._silent else PHONE_NOT_SILENT), wrong=self._silent)

    def on_key(self, event: Key) -> None:
        """Type every printable key."""
        if not self.fits or not event.is_printable or not event.character:
            return
        event.stop()
        if event.character in _BETWEEN:
            return
        if not (event.character.isascii() and event.character.isdigit()):
            self._say(_(ONLY_DIGITS), wrong=True)
        elif self._length < DIGITS:
            self._typed[self._length] = ord(event.character)
            self._length += 1
            self._typed_one()

    def action_erase(self) -> None:
        if self._length:
            self._length -= 1
            self._typed[self._length] = 0
            self._typed_one()

    def action_enter(self) -> None:
        if self._length < DIGITS:
            self._say(_(NOT_ALL_DIGITS), wrong=True)
            return
        digits = bytearray(self._typed)
        self.forget()
        self.answer(digits)

    def action_escape(self) -> None:
        self.forget()
        self.answer(None)

    def forget(self) -> None:
        zero(self._typed)
        self._length = 0
        self.query_one(DigitBoxes).show(0)

    def _typed_one(self) -> None:
        self.query_one(DigitBoxes).show(self._length)
        self._say(_("Press Enter to sign in") if self._length == DIGITS else _(NOT_ALL_DIGITS))

    def _say(self, words: str, *, wrong: bool = False) -> None:
        verdict = self.query_one("#verdict", Prose)
        verdict.say(words)
        verdict.set_class(wrong, "caution")
        verdict.set_class(self._length == DIGITS and not wrong, "call")
