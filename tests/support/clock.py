"""A clock for tests that moves only when told."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


@dataclass
class ManualClock:
    """A clock that moves only when told; both its times move together."""

    time: float = 1000.0
    wall: datetime = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    _sleepers: list[tuple[float, asyncio.Future[None]]] = field(default_factory=list, repr=False)
    _waiters: list[tuple[float, threading.Condition]] = field(default_factory=list, repr=False)

    def now(self) -> float:
        return self.time

    def utc(self) -> datetime:
        return self.wall

    def set_back(self, seconds: float) -> None:
        """Correct the wall clock, as an operator does. The other time goes on."""
        self.wall -= timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.time + seconds, woken))
        await woken

    def wait_for(self, condition: threading.Condition, predicate: Callable[[], bool], seconds: float) -> bool:
        waiter = (self.time + seconds, condition)
        self._waiters.append(waiter)
        condition.wait_for(lambda: predicate() or waiter[0] <= self.time)
        self._waiters.remove(waiter)
        return predicate()

    def waiting(self) -> int:
        """Return how many threads wait for a time that has not come yet."""
        return sum(at > self.time for at, _ in self._waiters)

    def advance(self, seconds: float) -> None:
        """Move both times on and wake every sleeper and thread whose time has come."""
        self.time += seconds
        self.wall += timedelta(seconds=seconds)
        for at, condition in tuple(self._waiters):
            if at <= self.time:
                with condition:
                    condition.notify_all()
        due = [woken for at, woken in self._sleepers if at <= self.time]
        self._sleepers = [(at, woken) for at, woken in self._sleepers if at > self.time]
        for woken in due:
            with contextlib.suppress(asyncio.InvalidStateError):
                woken.set_result(None)
