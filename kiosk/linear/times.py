"""Times in words, and when to announce them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from kiosk.i18n import ngettext

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


def _seconds(count: int) -> str:
    return ngettext("{count} second", "{count} seconds", count).format(count=count)


class Announcer:
    """Tells once for each mark that so many seconds are left; again after time was added."""

    def __init__(self, left: Callable[[], float]) -> None:
        """``left`` returns the seconds that are left."""
        self._left = left
        self._seen = left()

    def due(self) -> int | None:
        """Return the mark that was passed since the last call, if any. After a leap it is the last one."""
        left, before = self._left(), self._seen
        self._seen = left
        passed = [mark for mark in MARKS if left <= mark < before]
        return min(passed) if passed and left > 0 else None
