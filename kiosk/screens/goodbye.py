"""Says that the visit is over and wiped."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from kiosk.clock import Deadline
from kiosk.i18n import N_, _
from kiosk.models import Ending
from kiosk.screens.base import KioskScreen
from kiosk.widgets.prose import Prose
from kiosk.wording import goodbye


class GoodbyeScreen(KioskScreen[None]):
    """Ends after a few seconds; Enter and Esc are quicker."""

    key_hints = (("Enter", N_("Done")),)
    ending_hints = ()
    help_text = ""

    def __init__(self, how: Ending, deadline: Deadline) -> None:
        super().__init__()
        self._why = goodbye(how)
        self._deadline = deadline

    def content(self) -> Iterable[Widget]:
        yield Prose(_("You are signed out"), classes="headline")
        yield Prose(self._why, classes="value")
        yield Prose(
            _(
                "Nothing from your visit stays on this terminal.\n"
                "If you wrote down the key, take the paper with you and destroy it after use."
            ),
            classes="label",
        )

    def tick(self) -> None:
        if self._deadline.passed():
            self.answer(None)

    def action_enter(self) -> None:
        self.answer(None)

    def action_escape(self) -> None:
        self.answer(None)
