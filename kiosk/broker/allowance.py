"""Limits how much each person may ask for, whatever the answer: in memory, so each broker counts for itself."""

from __future__ import annotations

from collections import OrderedDict

from kiosk.clock import Clock

_MOST_PEOPLE = 10_000


class Allowance:
    """A token bucket for each person. Remembers those who asked last; all others have their whole allowance."""

    def __init__(self, clock: Clock, most: int, seconds: float) -> None:
        """Allow ``most`` at once. An empty bucket is full again after so many seconds."""
        self._clock = clock
        self._most = float(most)
        self._rate = most / seconds
        # What each person had left, and when.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, person: str) -> float:
        """Take one and return 0. If it is empty, take nothing and return the seconds until one is available."""
        left = self._now_left(person)
        if left < 1.0:
            return (1.0 - left) / self._rate
        self._set(person, left - 1.0)
        return 0.0

    def give_back(self, person: str) -> None:
        """Return one that was taken."""
        self._set(person, min(self._now_left(person) + 1.0, self._most))

    def __len__(self) -> int:
        """Return how many people are remembered."""
        return len(self._left)

    def _now_left(self, person: str) -> float:
        left, at = self._left.get(person, (self._most, 0.0))
        return min(self._most, left + max(0.0, self._clock.now() - at) * self._rate)

    def _set(self, person: str, left: float) -> None:
        self._left[person] = left, self._clock.now()
        self._left.move_to_end(person)
        if len(self._left) > _MOST_PEOPLE:
            self._left.popitem(last=False)
