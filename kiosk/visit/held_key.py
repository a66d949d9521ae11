"""Tells a person from a key that is held down, such as by a book on the keyboard."""

from __future__ import annotations

from kiosk.clock import Clock

_REPEAT_GAP_SECONDS = 1.0
PATIENCE_SECONDS = 10.0


class HeldKey:
    """Recognises a held key. Terminals do not report its release, only the same key repeated without a pause."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = ""
        self._since = self._last = clock.now()
        # Whether the last press may be a repeat: the same key as before it, without a pause.
        self.repeats = False

    def down(self, key: str) -> bool:
        """Note a key press. Returns True if the key has been held too long to be a sign of a person."""
        now = self._clock.now()
        self.repeats = key == self._key and now - self._last <= _REPEAT_GAP_SECONDS
        if not self.repeats:
            self._key, self._since = key, now
        self._last = now
        return now - self._since >= PATIENCE_SECONDS
