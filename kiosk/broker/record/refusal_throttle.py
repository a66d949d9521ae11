"""Throttles what refused tokens write into record and log: a few rows and lines a minute, and counts of the rest."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from kiosk.broker import logs
from kiosk.broker.record.schema import Entry, kiosk_of, stamp
from kiosk.clock import Clock

WINDOW_SECONDS = 60.0
AT_ONE_KIOSK = 10
IN_ALL = 30
_MOST_COUNTS = 20


@dataclass
class _Count:
    """How many similar refusals there were, and the times of the first and the last."""

    first: datetime
    last: datetime
    times: int = 0


@dataclass
class RefusalThrottle:
    """Decides which refusals get a row and a line of the log, and counts the others.

    Anybody can send bad tokens under any kiosk's name, so the number of different names is bounded as well: beyond it,
    refusals are counted by their code alone.
    """

    clock: Clock
    _begins: float = float("-inf")
    _written: Counter[str] = field(default_factory=Counter)
    _counts: dict[Entry, _Count] = field(default_factory=dict)
    # Some counts belong to a minute that is over, although the next one has begun.
    _late: bool = False
    # The event loop counts; the record's thread takes the counts.
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admits(self, entry: Entry) -> bool:
        """Whether this refusal gets a row of its own. If not, it is counted."""
        with self._lock:
            if self._is_over():
                self._begins = self.clock.now()
                self._written.clear()
                self._late = bool(self._counts)
            kiosk = kiosk_of(entry.terminal)
            if self._written[kiosk] < AT_ONE_KIOSK and self._written.total() < IN_ALL:
                self._written[kiosk] += 1
                return True
            self._count(entry, _Count(self.clock.utc(), self.clock.utc(), 1))
            return False

    def due(self, *, now: bool = False) -> bool:
        """Whether there are counts to write, because their minute is over or, with ``now``, in any case."""
        with self._lock:
            return bool(self._counts) and (now or self._late or self._is_over())

    def take(self) -> Counts:
        """Take all counts. If they cannot be written, give them back."""
        with self._lock:
            counts, self._counts = self._counts, {}
            self._late = False
        return Counts(self, counts)

    def give_back(self, counts: dict[Entry, _Count]) -> None:
        """Add counts that could not be written; they are due at once."""
        with self._lock:
            for similar, count in counts.items():
                self._count(similar, count)
            self._late = True

    def _is_over(self) -> bool:
        return self.clock.now() >= self._begins + WINDOW_SECONDS

    def _count(self, entry: Entry, more: _Count) -> None:
        # Members that differ between two requests with the same token, or with the same guess at one.
        similar = replace(entry, reference="", uti="", visit_key="")
        if similar not in self._counts and len(self._counts) >= _MOST_COUNTS:
            similar = Entry(entry.event, outcome=entry.outcome)
        known = self._counts.setdefault(similar, _Count(more.first, more.last))
        known.first, known.last = min(known.first, more.first), max(known.last, more.last)
        known.times += more.times


@dataclass(frozen=True)
class Counts:
    """Counts that were taken to be written."""

    throttle: RefusalThrottle
    counts: dict[Entry, _Count]

    def entries(self) -> Sequence[Entry]:
        """Return one entry for each group of similar refusals."""
        return [
            replace(similar, detail=f"{one.times} more, from {stamp(one.first)} to {stamp(one.last)}")
            for similar, one in self.counts.items()
        ]

    def log(self) -> None:
        """Log a line for each group, in place of the lines that its refusals did not get."""
        for entry in self.entries():
            logs.event(
                "refused.counted", logging.WARNING, code=entry.outcome, terminal=entry.terminal, cause=entry.detail
            )

    def give_back(self) -> None:
        """Return the counts to the throttle."""
        self.throttle.give_back(self.counts)
