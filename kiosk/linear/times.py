"""Times in words, and when to announce them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from kiosk.i18n import _, ngettext
from kiosk.linear.commands import Command

if TYPE_CHECKING:
    from kiosk.clock import Clock
    from kiosk.linear.speech import Speech

MARKS: Final = (60, 30, 10)
_IN_SECONDS = 90


def spoken(seconds: float) -> str:
    """Return a duration in words, rounded up to a second."""
    whole = math.ceil(seconds)
    if whole <= _IN_SECONDS:
        return _seconds(whole)
    minutes, rest = divmod(whole, 60)
    full = ngettext("{count} minute", "{count} minutes", minutes).format(count=minutes)
    return f"{full} {_seconds(rest)}" if rest else full


def no_more_time() -> str:
    """Return the answer to somebody who wants more time than there is."""
    return _("You cannot get more time.")


def ask_for_more() -> str:
    """Return how to get more time."""
    return _("Type {more} for more time.").format(more=Command.MORE.word)


def _seconds(count: int) -> str:
    return ngettext("{count} second", "{count} seconds", count).format(count=count)


class Announcer:
    """Tells once for each mark how much time is left; again after time was added. Never while the page is spoken."""

    def __init__(self, left: Callable[[], float], speech: Speech) -> None:
        """``left`` returns the seconds that are left."""
        self._left = left
        self._speech = speech
        self._seen = left()

    def due(self) -> float | None:
        """Return the seconds that are left, if a mark was passed since the last call."""
        if self._speech.left():
            return None
        left, before = self._left(), self._seen
        self._seen = left
        return left if left > 0 and any(left <= mark < before for mark in MARKS) else None


class Limit:
    """A time limit that starts when the last question has been spoken."""

    def __init__(self, clock: Clock, speech: Speech, seconds: float) -> None:
        self._clock = clock
        self._speech = speech
        self._seconds = seconds
        self.restart()

    def restart(self) -> None:
        """Start over: a question has been asked."""
        self._end = self._clock.now() + self._speech.left() + self._seconds

    def left(self) -> float:
        """Return the seconds that are left, never below zero."""
        return max(0.0, self._end - self._clock.now())
