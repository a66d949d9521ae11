"""Time limits of tests that grow with the machine's load: a busy machine makes a test slow, not red."""

from __future__ import annotations

import os
import time


def slowness() -> float:
    """How many runnable processes share a core, at least 1: the load average of the last minute for each core."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


class TimeLimit:
    """Passes after ``seconds`` on an idle machine, and later on a busy one."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = time.monotonic()

    def passed(self) -> bool:
        """Whether the time is over, with the load as it is now."""
        return time.monotonic() - self._began > self._seconds * slowness()
