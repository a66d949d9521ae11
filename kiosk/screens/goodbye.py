"""The visit is over and everything of it is gone."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from kiosk.clock import Clock, Deadline
from kiosk.models import Ending
from kiosk.screens.base import KioskScreen
from kiosk.widgets.prose import Prose

SECONDS = 4

_WHY = {
    Ending.IDLE: "Nobody pressed a key for a while, so this terminal has locked itself.",
    Ending.VISIT_OVER: "The time for one visit is over, so this terminal has locked itself.",
    Ending.LOCKED: "This terminal is locked.",
}


class GoodbyeScreen(KioskScreen[None]):
    """Leaves by itself; any of the two keys is quicker."""

    hints = (("Enter", "Done"),)
    ending_hints = ()
    help_text = ""

    def __init__(self, how: Ending, clock: Clock) -> None:
        super().__init__()
        self._why = _WHY.get(how, "Goodbye.")
        self._deadline = Deadline.after(clock, SECONDS)

    def content(self) -> Iterable[Widget]:
        yield Prose("You are signed out", classes="headline")
        yield Prose(self._why, classes="value")
        yield Prose(
            "Nothing of your visit is kept on this terminal.\nIf you wrote the key down, take the paper with you and"
            " destroy it after use.",
            classes="label",
        )

    def tick(self) -> None:
        if self._deadline.passed():
            self.answer(None)

    def action_enter(self) -> None:
        self.answer(None)

    def action_escape(self) -> None:
        self.answer(None)
