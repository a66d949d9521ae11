"""Estimates how long the page takes to be spoken: a screen reader tells nobody when it has finished.

Every time limit of linear mode starts after that. An estimate that is too long costs some seconds of waiting; one that
is too short takes the page away from somebody who is still listening.
"""

from __future__ import annotations

import re
from typing import Final

from kiosk.clock import Clock

# Synthesisers start at about 175 words a minute. These are what espeak-ng needs at that speed for the kiosk's texts, in
# the slowest of its languages; tests/linear/test_by_ear.py measures it.
_LETTER_SECONDS: Final = 0.08
# A digit, a letter that is said by its name, as in a serial number, and one of a script that the voice does not know.
_SPELLED_SECONDS: Final = 0.4
# What separates sentences, clauses, and the parts of an address.
_PAUSE_SECONDS: Final = 0.3
# A character of a key, and its word in a spelling alphabet. The same for all: a time must say nothing about a key.
CHARACTER_SECONDS: Final = 0.8
WORD_SECONDS: Final = 1.0

_SPELLED: Final = re.compile(r"[0-9]|(?<![a-z])[A-Z](?![a-z])|[\u0370-\U0010ffff]")
_PAUSES: Final = re.compile(r"[^\w\s]|\n")


def seconds(text: str) -> float:
    """Return how long a text takes to be spoken."""
    spelled = len(_SPELLED.findall(text))
    letters = sum(map(str.isalpha, text))
    return spelled * _SPELLED_SECONDS + letters * _LETTER_SECONDS + len(_PAUSES.findall(text)) * _PAUSE_SECONDS


class Speech:
    """What is still being spoken."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = clock.now()

    def add(self, seconds: float) -> None:
        """Note that something was written that takes so long to be spoken."""
        self._until = self._clock.now() + self.left() + seconds

    def left(self) -> float:
        """Return the seconds until everything has been spoken."""
        return max(0.0, self._until - self._clock.now())

    def hush(self) -> None:
        """Note that the person has answered: a screen reader stops speaking at a key."""
        self._until = self._clock.now()
