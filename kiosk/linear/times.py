"""Times in words, and the moments at which they are announced."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from kiosk.i18n import ngettext

MARKS: Final = (60, 30, 10)
_IN_SECONDS = 90


def spoken(seconds: float) -> str:
    """A span of time as it is said; a begun second counts."""
    whole = math.ceil(seconds)
    if whole <= _IN_SECONDS:
        return _seconds(whole)
    minutes, rest = divmod(whole, 60)
    full = ngettext("{count} minute", "{count} minutes", minutes).format(count=minutes)
    return f"{full} {_seconds(rest)}" if rest else full


def _seconds(count: int) -> str:
    return ngettext("{count} second", "{count} seconds", count).format(count=count)


class Announcer:
    """Says once for each mark that so many seconds are left; again when time was added."""

    def __init__(self, left: Callable[[], float]) -> None:
        """``left`` tells the seconds that are left."""
        self._left = left
        self._seen = left()

    def due(self) -> int | None:
        """The mark that was passed since the last call. After a leap it is the nearest; the others are past."""
        left, before = self._left(), self._seen
        self._seen = left
        passed = [mark for mark in MARKS if left <= mark < before]
        return min(passed) if passed and left > 0 else None
