"""Ends the process when its event loop misses deadlines, for example because the terminal has stopped reading."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from kiosk.clock import Clock
from kiosk.process.exit_codes import EXIT_STUCK

STUCK_SECONDS = 5.0
LOOK_SECONDS = 0.25
_LATE_SECONDS = 1.5
# The most that counts between two checks. If more has passed, this thread did not run either: the machine was asleep
# or overloaded. The event loop then gets its usual grace to catch up.
_LONGEST_STEP_SECONDS = 1.0


class Watchdog(threading.Thread):
    """Checks the deadlines of a visit from a thread of its own, and ends the process when the event loop misses one."""

    def __init__(self, clock: Clock, deadlines: Callable[[], list[float]], give_up: Callable[[str], None]) -> None:
        """``deadlines`` returns the moments on ``clock`` by which the event loop must have ended something.

        ``give_up`` is called in this thread with the reason, before the process ends. It must wipe every secret, and
        must wait for nothing that the event loop may hold, such as the lock of a log.
        """
        super().__init__(name="kiosk-watchdog", daemon=True)
        self._clock = clock
        self._deadlines = deadlines
        self._give_up = give_up
        self._looked_at = clock.now()
        # Seconds that this thread has seen pass; their number at the last beat, and when no deadline was overdue.
        self._seen = self._beat = self._in_time = 0.0
        self._over = threading.Event()

    def beat(self) -> None:
        """Note that the event loop is running."""
        self._beat = self._seen

    def stop(self) -> None:
        """Stop watching: the visit has ended in order."""
        self._over.set()

    def late(self) -> str:
        """Return why the process must end, or an empty string while the event loop keeps up."""
        now = self._clock.now()
        self._seen += min(now - self._looked_at, _LONGEST_STEP_SECONDS)
        self._looked_at = now
        if not any(now > moment for moment in self._deadlines()):
            self._in_time = self._seen
        if self._seen - self._beat > STUCK_SECONDS:
            return "the event loop does not run"
        return "a deadline has passed" if self._seen - self._in_time > _LATE_SECONDS else ""

    def run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            if why := self.late():
                self._give_up(why)
                # Nothing may run after this: an exit handler could wait for the very terminal that is stuck.
                os._exit(EXIT_STUCK)
