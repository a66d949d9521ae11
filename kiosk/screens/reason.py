"""Asks why the key is needed, if the organisation wants to know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Key
from textual.widget import Widget

from kiosk.i18n import N_, _
from kiosk.screens.base import KioskScreen
from kiosk.visit.answers import LONGEST_REASON
from kiosk.widgets.key_hints import KeyHint
from kiosk.widgets.prose import Prose
from kiosk.wording import REASON_HELP, REASON_PROMPT

_HINTS: Sequence[KeyHint] = (("Enter", N_("Continue")), ("Esc", N_("Back")))


class ReasonScreen(KioskScreen[str | None]):
    """Answers with the reason (empty if it is optional), or None to go back."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("backspace", "erase", show=False)]
    step = 4
    help_text = REASON_HELP

    def __init__(self, prompt: str | None, *, required: bool, typed: str = "") -> None:
        """``typed`` is the reason that was not accepted before."""
        super().__init__()
        self._prompt = prompt or _(REASON_PROMPT)
        self._required = required
        self._typed = typed

    def content(self) -> Iterable[Widget]:
        yield Prose(_("Before the key is shown"), classes="headline")
        yield Prose(self._prompt, classes="value")
        yield Prose(id="typed", classes="value")
        yield Prose("" if self._required else _("You can leave it blank."), classes="label")

    def on_mount(self) -> None:
        self._show()

    def on_key(self, event: Key) -> None:
        """Type every printable key."""
        if self.fits and event.is_printable and event.character and len(self._typed) < LONGEST_REASON:
            event.stop()
            self._typed += event.character
            self._show()

    def action_erase(self) -> None:
        self._typed = self._typed[:-1]
        self._show()

    def action_enter(self) -> None:
        if self._can_go_on:
            self.answer(self._typed.strip())

    def why_not(self, key: str) -> str:
        if key == "enter" and self.fits and not self._can_go_on:
            return _("Type a reason first.")
        return super().why_not(key)

    def action_escape(self) -> None:
        self.answer(None)

    def _show(self) -> None:
        self.query_one("#typed", Prose).say(f"> {self._typed}▏")
        self.hint(_HINTS if self._can_go_on else _HINTS[1:])

    @property
    def _can_go_on(self) -> bool:
        return bool(self._typed.strip()) or not self._required
