"""A sign-in on the phone as a screen sees it, in any stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kiosk.clock import Clock, Deadline
from kiosk.sign_in_messages import SignInView, Stage, WordPair
from kiosk.sign_in_words import WORDS
from tests.support.screen_app import PERSON

SCAN, TYPED = "HTTPS://GO.NORDWIND.EXAMPLE/K7Q2M9XD", "https://go.nordwind.example/K7Q2-M9XD"
SECONDS = {Stage.WAITING: 175.0, Stage.OPENED: 110.0, Stage.SIGNING_IN: 290.0, Stage.CONFIRMING: 88.0}


@dataclass
class Progress:
    """Implements ``PhoneProgress``."""

    clock: Clock
    view: SignInView
    deadline: Deadline
    words: WordPair = (WORDS.index("lantern"), WORDS.index("zebra"))
    answering: bool = True

    def answers(self) -> bool:
        return self.answering

    def turn(self, stage: Stage, **fields: Any) -> None:
        """Go on to a stage, as the next answer of the broker would."""
        self.view, self.deadline = _view(stage, fields), Deadline.after(self.clock, SECONDS[stage])


def progress(clock: Clock, stage: Stage = Stage.WAITING, **fields: Any) -> Progress:
    """Return a sign-in in a stage. ``fields`` are those of the view."""
    return Progress(clock, _view(stage, fields), Deadline.after(clock, SECONDS[stage]))


def _view(stage: Stage, fields: dict[str, Any]) -> SignInView:
    usual: dict[str, Any] = {"scan": SCAN, "typed": TYPED} if stage is Stage.WAITING else {}
    if stage is Stage.CONFIRMING:
        usual = {"name": PERSON.name, "address": PERSON.address}
    return SignInView(stage=stage, seconds_left=SECONDS[stage], **usual | fields)
