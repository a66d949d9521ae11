"""Says that a request takes longer than a moment."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from kiosk.i18n import N_, _
from kiosk.screens.base import KioskScreen
from kiosk.widgets.prose import Prose
from kiosk.wording import WORKING_HELP


class WorkingScreen(KioskScreen[None]):
    """Shows words that do not move: over SSH a spinner costs more than it tells."""

    key_hints = (("Esc", N_("Cancel")),)
    idle_counts = False
    help_text = WORKING_HELP

    def __init__(self, words: str, *, step: int) -> None:
        super().__init__()
        self._words = words
        self.step = step

    def content(self) -> Iterable[Widget]:
        yield Prose(_(self._words), classes="headline")
        yield Prose(_("One moment, please."), classes="label")

    def action_escape(self) -> None:
        self.answer(None)
