"""Ends the process when the event loop no longer keeps the deadlines, as behind a terminal that has stopped reading."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from kiosk.clock import Clock
from kiosk.process.exit_codes import EXIT_STUCK

STUCK_SECONDS = 5.0
_LATE_SECONDS = 1.5
_LOOK_SECONDS = 0.25


class Watchdog(threading.Thread):
    """Looks at the same deadlines as the screens do, from a thread of its own."""

    def __init__(self, clock: Clock, deadlines: Callable[[], list[float]], wipe: Callable[[], None]) -> None:
        """``deadlines`` gives moments on ``clock`` by which something must have happened; ``wipe`` zeroes secrets."""
        super().__init__(name="kiosk-watchdog", daemon=True)
        self._clock = clock
        self._deadlines = deadlines
        self._wipe = wipe
        self._beat = clock.now()
        self._over = threading.Event()

    def beat(self) -> None:
        """Say that the event loop is alive."""
        self._beat = self._clock.now()

    def stop(self) -> None:
        """The visit has ended in order."""
        self._over.set()

    def late(self) -> bool:
        """Whether the loop has missed a deadline or has not been heard of."""
        now = self._clock.now()
        return now - self._beat > STUCK_SECONDS or any(now > moment + _LATE_SECONDS for moment in self._deadlines())

    def run(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            if self.late():
                self._wipe()
                # Nothing may run after this: an exit handler could wait for the very terminal that is stuck.
                os._exit(EXIT_STUCK)
