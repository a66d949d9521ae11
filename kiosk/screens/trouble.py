"""Everything that fails ends here: what happened, what to do next, whom to ask, and a reference to quote."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

from textual.widget import Widget

from kiosk.errors import DeviceRefused, KioskError, SignInError
from kiosk.screens.base import KioskScreen
from kiosk.widgets.facts import Facts
from kiosk.widgets.prose import Prose


class Choice(Enum):
    """What the person wants after a failure."""

    AGAIN = auto()
    LEAVE = auto()


class TroubleScreen(KioskScreen[Choice]):
    """Says it in plain words; never shows a cause that is meant for the operator."""

    help_text = (
        "Something stands in the way. The screen says what it is, what you can do, and whom you can ask.\n\n"
        "When you ask the helpdesk, read them the reference: with it they find what happened in their records."
    )

    def __init__(self, error: KioskError, helpdesk: str, *, leave: str, step: int = 0) -> None:
        """``leave`` says in words what Esc does."""
        super().__init__()
        self.step = step
        self._error = error
        self._helpdesk = helpdesk
        again = "New code" if isinstance(error, SignInError) else "Try again"
        self.hints = (("Enter", "Back to the list"),) if self._final else (("Enter", again), ("Esc", leave))

    @property
    def _final(self) -> bool:
        return isinstance(self._error, DeviceRefused)

    def content(self) -> Iterable[Widget]:
        error = self._error
        yield Prose(error.title, classes="headline")
        yield Prose(error.sentence, classes="value")
        yield Prose(error.next_step, classes="value")
        if error.retry_after:
            yield Prose(f"You can try again in {wait_words(error.retry_after)}.", classes="value")
        support = f", {error.support}" if isinstance(error, SignInError) and error.support else ""
        yield Facts(helpdesk=self._helpdesk, reference=f"{error.reference}  ({error.code}{support})")

    def action_enter(self) -> None:
        self.answer(Choice.LEAVE if self._final else Choice.AGAIN)

    def action_escape(self) -> None:
        self.answer(Choice.LEAVE)


def wait_words(seconds: float) -> str:
    """A waiting time as a person says it, rounded up."""
    minutes = -int(-seconds // 60)
    if minutes <= 1:
        return "a minute"
    if minutes < 90:
        return f"{minutes} minutes"
    hours = -int(-minutes // 60)
    return f"{hours} hours"
