"""Tells a key that is held down, or a book that lies on the keyboard, from a person."""

from __future__ import annotations

from kiosk.clock import Clock

_REPEAT_GAP_SECONDS = 1.0
PATIENCE_SECONDS = 10.0


class HeldKey:
    """Terminals report no release: the same key again and again without a pause is one that is held."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = ""
        self._since = self._last = clock.now()

    def down(self, key: str) -> bool:
        """Take note of a key press; True when it no longer speaks for a person."""
        now = self._clock.now()
        if key != self._key or now - self._last > _REPEAT_GAP_SECONDS:
            self._key, self._since = key, now
        self._last = now
        return now - self._since >= PATIENCE_SECONDS
