"""Bounds what refused tokens write into the record: so many a minute one by one, the rest as numbers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from kiosk.broker.record.schema import Entry, kiosk_of, stamp
from kiosk.clock import Clock

WINDOW_SECONDS = 60.0
AT_ONE_KIOSK = 10
IN_ALL = 30
_MOST_SUMS = 20


@dataclass
class _Sum:
    """How many refusals were alike, and when the first and the last of them were."""

    first: datetime
    last: datetime
    times: int = 0


@dataclass
class RefusalThrottle:
    """What was refused within a minute. Anybody can send bad tokens, and call the kiosk whatever they like.

    So the names are bounded, too: beyond so many different ones, only the code of the refusal is counted.
    """

    clock: Clock
    _begins: float = float("-inf")
    _written: Counter[str] = field(default_factory=Counter)
    _sums: dict[Entry, _Sum] = field(default_factory=dict)
    # Some of the sums are of a minute that is over, even if the next has begun.
    _late: bool = False
    # The event loop counts, the record's own thread takes the sums.
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admits(self, entry: Entry) -> bool:
        """Whether this refusal is to be written as a row of its own; if not, it is counted here."""
        with self._lock:
            if self._is_over():
                self._begins = self.clock.now()
                self._written.clear()
                self._late = bool(self._sums)
            kiosk = kiosk_of(entry.terminal)
            if self._written[kiosk] < AT_ONE_KIOSK and self._written.total() < IN_ALL:
                self._written[kiosk] += 1
                return True
            self._count(entry, _Sum(self.clock.utc(), self.clock.utc(), 1))
            return False

    def due(self, *, now: bool = False) -> bool:
        """Whether there are sums to be written, because their minute is over or because it is to be ``now``."""
        with self._lock:
            return bool(self._sums) and (now or self._late or self._is_over())

    def take(self) -> Sums:
        """Take out all sums; whoever cannot write them gives them back."""
        with self._lock:
            sums, self._sums = self._sums, {}
            self._late = False
        return Sums(self, sums)

    def give_back(self, sums: dict[Entry, _Sum]) -> None:
        with self._lock:
            for alike, one in sums.items():
                self._count(alike, one)
            self._late = True

    def _is_over(self) -> bool:
        return self.clock.now() >= self._begins + WINDOW_SECONDS

    def _count(self, entry: Entry, more: _Sum) -> None:
        # What differs from one request to the next of the same token, or of the same guess.
        alike = replace(entry, reference="", uti="", visit_key="")
        if alike not in self._sums and len(self._sums) >= _MOST_SUMS:
            alike = Entry(entry.event, outcome=entry.outcome)
        known = self._sums.setdefault(alike, _Sum(more.first, more.last))
        known.first, known.last = min(known.first, more.first), max(known.last, more.last)
        known.times += more.times


@dataclass(frozen=True)
class Sums:
    """Sums on their way into the record."""

    flood: RefusalThrottle
    sums: dict[Entry, _Sum]

    def entries(self) -> Sequence[Entry]:
        """One entry for refusals that are alike."""
        return [
            replace(alike, detail=f"{one.times} more, from {stamp(one.first)} to {stamp(one.last)}")
            for alike, one in self.sums.items()
        ]

    def give_back(self) -> None:
        self.flood.give_back(self.sums)
