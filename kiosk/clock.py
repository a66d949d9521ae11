"""The one source of time: seconds since boot, suspend included, untouched by clock changes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

# CLOCK_MONOTONIC stands still while the machine sleeps; where BOOTTIME is missing (macOS) monotonic is the nearest.
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """What everything with time takes."""

    def now(self) -> float:
        """Seconds since an arbitrary start; only differences mean something."""

    def utc(self) -> datetime:
        """The wall clock, aware, in UTC. For records and token lifetimes, never for deadlines."""

    async def sleep(self, seconds: float) -> None:
        """Wait for that many seconds of this clock."""


class ThreadClock(Clock, Protocol):
    """A clock on which threads can wait."""

    def wait_for(self, condition: threading.Condition, predicate: Callable[[], bool], seconds: float) -> bool:
        """Wait until ``predicate`` holds, for that many seconds at most; return whether it holds.

        The caller holds ``condition`` and whoever changes what the predicate reads notifies it.
        """


class SystemClock:
    """The machine's own clock."""

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
    """A moment on a clock after which something must not be any more."""

    clock: Clock
    at: float

    @classmethod
    def after(cls, clock: Clock, seconds: float) -> Deadline:
        return cls(clock, clock.now() + seconds)

    def left(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at - self.clock.now())

    def passed(self) -> bool:
        return self.clock.now() >= self.at

    @contextlib.asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """Bound the body of an ``async with``: it ends with TimeoutError when the deadline passes."""
        async with asyncio.timeout(None) as limit:

            async def expire() -> None:
                await self.clock.sleep(self.left())
                limit.reschedule(asyncio.get_running_loop().time())

            expiring = asyncio.create_task(expire())
            try:
                yield
            finally:
                expiring.cancel()
