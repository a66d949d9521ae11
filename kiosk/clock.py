"""The one source of time: seconds since boot, including suspend, independent of changes to the wall clock."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

# CLOCK_MONOTONIC stops while the machine sleeps. It is the best replacement where BOOTTIME is missing (macOS).
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """A source of time. All code that depends on time gets one as an argument."""

    def now(self) -> float:
        """Return seconds since an arbitrary start. Only differences are meaningful."""

    def utc(self) -> datetime:
        """Return the wall clock in UTC, with its time zone. For records and token lifetimes, never for deadlines."""

    async def sleep(self, seconds: float) -> None:
        """Wait for this many seconds of this clock."""


class ThreadClock(Clock, Protocol):
    """A clock on which threads can wait."""

    def wait_for(self, condition: threading.Condition, predicate: Callable[[], bool], seconds: float) -> bool:
        """Wait until ``predicate`` is true, at most ``seconds``. Returns whether it is true.

        The caller must hold ``condition``. Code that changes what the predicate reads must notify it.
        """


class SystemClock:
    """The clock of this machine."""

    def now(self) -> float:
        return time.clock_gettime(_BOOTTIME)

    def utc(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def wait_for(self, condition: threading.Condition, predicate: Callable[[], bool], seconds: float) -> bool:
        return condition.wait_for(predicate, seconds)


@dataclass(frozen=True)
class Deadline:
    """A moment on a clock by which something must have ended."""

    clock: Clock
    at: float

    @classmethod
    def after(cls, clock: Clock, seconds: float) -> Deadline:
        return cls(clock, clock.now() + seconds)

    def left(self) -> float:
        """Return the seconds left, never below zero."""
        return max(0.0, self.at - self.clock.now())

    def passed(self) -> bool:
        return self.clock.now() >= self.at

    @contextlib.asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """Limit the body of an ``async with``. Raises TimeoutError when the deadline passes."""
        async with asyncio.timeout(None) as limit:

            async def expire() -> None:
                # A sleep may end before the deadline on a clock that also counts while the machine sleeps.
                while not self.passed():
                    await self.clock.sleep(self.left())
                limit.reschedule(asyncio.get_running_loop().time())

            expiring = asyncio.create_task(expire())
            try:
                yield
            finally:
                expiring.cancel()
