"""What a person can answer at each step of a visit, in every UI; and what the first screen says of the network."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

# Seconds to answer "Is this you?"; no answer counts as no.
CONFIRM_SECONDS: Final = 20
# After this long on the first screen, a language that somebody chose gives way to the usual one.
LANGUAGE_SECONDS: Final = 60
# Characters in a reason.
LONGEST_REASON: Final = 200


class Network(Enum):
    """The state of the network, as the first screen reports it."""

    AWAY = auto()
    BACK = auto()


class Renewal(Enum):
    """Why there is a new code or link: the last was not used in time, or nobody could know, for want of an answer."""

    EXPIRED = auto()
    UNANSWERED = auto()


class SignInOutcome(Enum):
    """How waiting for the sign-in ended at the terminal."""

    EXPIRED = auto()
    CANCELLED = auto()


class DigitsNotice(Enum):
    """Why the digits are asked for again: they were wrong, or the broker did not answer."""

    WRONG = auto()
    UNANSWERED = auto()


class Identity(Enum):
    """The answer to "Is this you?"."""

    MINE = auto()
    NOT_MINE = auto()
    UNANSWERED = auto()


class AfterReveal(Enum):
    """What the person wants after seeing the key. ``FETCH``: the key again, after its time is over."""

    FETCH = auto()
    CHECK = auto()
    WHAT_NOW = auto()
    BACK = auto()


class AfterCheck(Enum):
    """Where to go from the copy check, whatever its result."""

    GO_ON = auto()
    BACK = auto()


class AfterCard(Enum):
    """Where to go from the what-now card."""

    FINISH = auto()
    BACK = auto()


class Choice(Enum):
    """What the person wants after an error."""

    AGAIN = auto()
    LEAVE = auto()
