"""Is it you who signed in? A stranger's sign-in is seen by the one who stands here."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

from textual.widget import Widget

from kiosk.clock import Clock, Deadline
from kiosk.models import Person
from kiosk.screens.base import KioskScreen
from kiosk.widgets.countdown import Countdown
from kiosk.widgets.prose import Prose

ANSWER_SECONDS = 20


class Identity(Enum):
    """The answer to "Is this you?"."""

    MINE = auto()
    NOT_MINE = auto()
    UNANSWERED = auto()


class ConfirmScreen(KioskScreen[Identity]):
    """Waits for Enter; no answer in time ends the visit."""

    step = 2
    hints = (("Enter", "Yes, go on"), ("Esc", "No, not me"))
    idle_counts = False
    help_text = (
        "Compare the name and the address with your own.\n\n"
        "If they are not yours, press Esc: somebody else has signed in with the code of this terminal. Nothing of"
        " theirs is shown, and the visit ends."
    )

    def __init__(self, person: Person, clock: Clock) -> None:
        super().__init__()
        self._person = person
        self._deadline = Deadline.after(clock, ANSWER_SECONDS)

    def content(self) -> Iterable[Widget]:
        yield Prose("Is this you?", classes="headline")
        yield Prose("You are signed in as", classes="label")
        yield Prose(self._person.name, classes="value", id="person-name")
        yield Prose(self._person.address, classes="value quiet", id="person-address")
        yield Prose("Press Enter if this is you", classes="call")
        yield Countdown(self._deadline, "Time to answer  {time}")

    def tick(self) -> None:
        self.query_one(Countdown).tick()
        if self._deadline.passed():
            self.answer(Identity.UNANSWERED)

    def action_enter(self) -> None:
        self.answer(Identity.MINE)

    def action_escape(self) -> None:
        self.answer(Identity.NOT_MINE)
