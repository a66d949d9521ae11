"""Bounds what others can write into a log: the first lines of a kind each minute, and a count of the rest."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from kiosk.clock import Clock

WINDOW_SECONDS = 60.0


@dataclass
class LogLimit:
    """Admits so many lines of each kind a minute, and reports how many more there were.

    ``report`` gets a kind and a count. Kinds must be few: they come from the program, never from a peer.
    """

    clock: Clock
    report: Callable[[str, int], None]
    lines: int = 1
    _begins: float = float("-inf")
    _seen: Counter[str] = field(default_factory=Counter)

    def admits(self, kind: str) -> bool:
        """Whether a line of this kind may be logged now. If not, it is counted."""
        self.flush()
        self._seen[kind] += 1
        return self._seen[kind] <= self.lines

    def flush(self, *, now: bool = False) -> None:
        """Report the counts if their minute is over or, with ``now``, in any case."""
        if not now and self.clock.now() < self._begins + WINDOW_SECONDS:
            return
        seen, self._seen = self._seen, Counter()
        self._begins = self.clock.now()
        for kind, count in seen.items():
            if count > self.lines:
                self.report(kind, count - self.lines)


class LimitedLogger(logging.Filter):
    """Puts every message of a library's logger under a limit: by its fixed words, not by what they are filled with."""

    def __init__(self, clock: Clock, name: str) -> None:
        super().__init__()
        self._name = name
        self._limit = LogLimit(clock, self._report)

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno < logging.WARNING or self._limit.admits(str(record.msg))

    def flush(self, *, now: bool = False) -> None:
        """Log the counts of what was left out if their minute is over or, with ``now``, in any case."""
        self._limit.flush(now=now)

    def _report(self, kind: str, count: int) -> None:
        logging.getLogger(__name__).warning("%s: %s more times: %s", self._name, count, kind.strip())
