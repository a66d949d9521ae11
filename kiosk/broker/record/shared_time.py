"""The time that all brokers on one record share, whatever their own clocks say: that of the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeAlias

from kiosk.broker import logs
from kiosk.clock import Clock

Tells: TypeAlias = Callable[[datetime, float], None]
"""Called in each transaction with the time of the database, and the seconds that asking for it took."""

MOST_SKEW = timedelta(seconds=2)


class SharedTime:
    """A clock that shows the time of the database, as far as it was told. A SQLite file has none: it is this machine's.

    Limits, leases, checkpoints and the end of what another broker left open are decided by it, so that a broker with a
    wrong clock decides like the others. Only the age of tokens, which the sign-in service dates, is checked by the
    machine's own clock.
    """

    def __init__(self, clock: Clock, *, warns: bool = False) -> None:
        """Show this machine's time at first. With ``warns``, log when it and the database's begin to differ."""
        self._clock = clock
        self._warns = warns
        self._differs = False
        self.ahead: timedelta | None = None

    def tell(self, moment: datetime, took: float) -> None:
        """Note the time of the database. The answer may be as old as asking took, on a machine that is busy."""
        self.ahead = moment - self._clock.utc()
        differs = self.ahead > MOST_SKEW or self.ahead + timedelta(seconds=took) < -MOST_SKEW
        if self._warns and differs is not self._differs:
            if differs:
                seconds = self.ahead.total_seconds()
                which = "behind" if seconds > 0 else "ahead of"
                logs.LOG.warning("this machine's clock is %.0f s %s the database's", abs(seconds), which)
            else:
                logs.LOG.info("this machine's clock agrees with the database's again")
        self._differs = differs

    def utc(self) -> datetime:
        return self._clock.utc() + (self.ahead or timedelta())

    def now(self) -> float:
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
