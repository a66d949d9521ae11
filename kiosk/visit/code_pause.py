"""Slows a kiosk down at which many device codes are requested: somebody may be passing them on."""

from __future__ import annotations

import mmap
import struct

from kiosk.clock import Clock
from kiosk.errors import SignInLimit

# So many codes in a row cost no pause: people mistype, and the next person comes.
FREE = 3
SHORTEST_SECONDS = 15.0
LONGEST_SECONDS = 300.0
# After each such time without a new code, one code less counts.
FORGIVEN_SECONDS = 300.0

# How many codes count, when the last one was requested, and when the next one can be.
_STATE = struct.Struct("ddd")


class CodePause:
    """Makes the pause before the next code grow, across all visits of one kiosk.

    The supervisor makes it. Its visits, which are forked, share the memory. It ends with the supervisor; the broker's
    limits do not.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _STATE.size)

    def take(self, clock: Clock) -> None:
        """Count one more code, which is about to be requested. Raises SignInLimit if it is too early for it."""
        count, last, earliest = _STATE.unpack(self._memory[:])
        now = clock.now()
        if now < earliest:
            raise SignInLimit("too many device codes at this kiosk", retry_after=earliest - now)
        count = max(0.0, count - (now - last) // FORGIVEN_SECONDS) + 1
        pause = SHORTEST_SECONDS * 2 ** (count - FREE) if count >= FREE else 0.0
        self._memory[:] = _STATE.pack(count, now, now + min(pause, LONGEST_SECONDS))
