"""What a person can answer on each step of a visit, and be told before it, whatever face it has."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

# Seconds for the answer to "Is this you?"; none is a no.
CONFIRM_SECONDS: Final = 20
# Somebody who chose a language on the first screen and walked away leaves it to nobody.
LANGUAGE_SECONDS: Final = 60
# Characters of a reason.
LONGEST_REASON: Final = 200


class Network(Enum):
    """What of the network somebody should know who comes to the terminal."""

    AWAY = auto()
    BACK = auto()


class SignInOutcome(Enum):
    """How the wait for the sign-in ended at the terminal."""

    EXPIRED = auto()
    CANCELLED = auto()


class Identity(Enum):
    """The answer to "Is this you?"."""

    MINE = auto()
    NOT_MINE = auto()
    UNANSWERED = auto()


class AfterReveal(Enum):
    """What the person wants once they have seen the key. ``FETCH`` is for one whose time is over."""

    FETCH = auto()
    CHECK = auto()
    WHAT_NOW = auto()
    BACK = auto()


class AfterCheck(Enum):
    """Where to go from the check of a copy, whether or not it is right."""

    GO_ON = auto()
    BACK = auto()


class AfterCard(Enum):
    """Where to go from the card with the way on."""

    FINISH = auto()
    BACK = auto()


class Choice(Enum):
    """What the person wants after a failure."""

    AGAIN = auto()
    LEAVE = auto()
