"""Asks "Is this you?", so that the person at the terminal notices a stranger's sign-in."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from textual.widget import Widget

from kiosk.clock import Clock, Deadline
from kiosk.i18n import N_, _
from kiosk.models import Person
from kiosk.screens.base import KioskScreen
from kiosk.visit.answers import CONFIRM_SECONDS, Identity
from kiosk.widgets.countdown import Countdown
from kiosk.widgets.prose import Prose
from kiosk.wording import CONFIRM_HELP, LET_GO


class ConfirmScreen(KioskScreen[Identity]):
    """Waits for Enter. No answer in time ends the visit.

    A key that is held down answers nothing: a stranger may have signed in while it lay on the keyboard.
    """

    step = 2
    key_hints = (("Enter", N_("Yes, continue")), ("Esc", N_("No, not me")))
    idle_counts = False
    help_text = CONFIRM_HELP

    def __init__(self, person: Person, clock: Clock, repeats: Callable[[], bool] = lambda: False) -> None:
        """``repeats`` returns whether the last key press may come from a key that is held down."""
        super().__init__()
        self._person = person
        self._repeats = repeats
        self._deadline = Deadline.after(clock, CONFIRM_SECONDS)

    def content(self) -> Iterable[Widget]:
        yield Prose(_("Is this you?"), classes="headline")
        yield Prose(_("You are signed in as"), classes="label")
        yield Prose(self._person.name, classes="value", id="person-name")
        yield Prose(self._person.address, classes="value quiet", id="person-address")
        yield Prose(_("Press Enter if this is you"), classes="call", id="question")
        yield Countdown(self._deadline, _("Time to answer  {time}"))

    def tick(self) -> None:
        self.query_one(Countdown).tick()
        if self._deadline.passed():
            self.answer(Identity.UNANSWERED)

    def action_enter(self) -> None:
        if self._repeats():
            self.query_one("#question", Prose).say(_(LET_GO))
        else:
            self.answer(Identity.MINE)

    def action_escape(self) -> None:
        self.answer(Identity.NOT_MINE)
