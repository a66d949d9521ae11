"""Time limits for tests that grow with the machine's load, so that a busy machine makes no test fail."""

from __future__ import annotations

import os
import time


def slowness() -> float:
    """Return the load average of the last minute per core, at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


class TimeLimit:
    """A limit of ``seconds`` on an idle machine, and of more on a busy one."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = time.monotonic()

    def passed(self) -> bool:
        """Whether the time is over at the current load."""
        return time.monotonic() - self._began > self._seconds * slowness()
