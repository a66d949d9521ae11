"""Turns bytes from the terminal into keys: drops pastes but six digits, and anything faster than a person types.

Textual's own parser reads the sequences. It buffers an unfinished paste without limit, accepts any rate, and fails on
some sequences. So it gets neither pastes nor floods, and is replaced when it fails.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator

from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.constants import ESCAPE_DELAY
from textual.message import Message

from kiosk.clock import Clock
from kiosk.sign_in_messages import DIGITS

# In characters; a key is up to seven. Far more than fingers, a held key or a terminal's own reports produce.
BURST_CHARACTERS = 1000
CHARACTERS_PER_SECOND = 500
# A key that acts long after it was pressed is worse than a lost one.
MOST_WAITING = 50
FLOOD_QUIET_SECONDS = 0.1
PASTE_QUIET_SECONDS = 1.0
LONGEST_PASTE_SECONDS = 3.0
_MARKER = len(BRACKETED_PASTE_START)
# A confirmation code with everything that may be around it.
_LONGEST_DIGITS = 20
_NOT_DIGITS = str.maketrans("", "", " -\r\n")


class Keyboard:
    """The input of one terminal. Dropped input is gone; after a short silence the next key counts again."""

    def __init__(self, clock: Clock, waiting: Callable[[], int]) -> None:
        """``waiting`` returns how many of the returned events the app has not handled yet."""
        self._clock = clock
        self._waiting = waiting
        self._decode = getincrementaldecoder("utf-8")(errors="replace").decode
        self._parser = XTermParser()
        self._budget: float = BURST_CHARACTERS
        self._heard = clock.now()
        self._flooded = False
        self._pasting_since: float | None = None
        # A paste marker may arrive in two pieces. Also holds a paste that is short enough for a confirmation code.
        self._tail = ""
        self._long_paste = False

    def typed(self, data: bytes) -> Iterator[Message]:
        """Yield the events in these bytes."""
        now = self._clock.now()
        self._notice_silence(now)
        self._budget = min(BURST_CHARACTERS, self._budget + (now - self._heard) * CHARACTERS_PER_SECOND)
        self._heard = now
        text = self._decode(data)
        while text:
            if self._pasting_since is None:
                seen = self._tail + text
                before, marker, text = seen.partition(BRACKETED_PASTE_START)
                yield from self._keys(before[len(self._tail) :])
                self._tail = "" if marker else seen[1 - _MARKER :]
                if marker:
                    self._pasting_since, self._long_paste = now, False
                    self._parser = XTermParser()
            else:
                seen = self._tail + text
                pasted, marker, text = seen.partition(BRACKETED_PASTE_END)
                self._long_paste = self._long_paste or len(pasted) > _LONGEST_DIGITS
                self._tail = "" if marker else seen[1 - _MARKER :] if self._long_paste else seen
                if marker:
                    self._pasting_since = None
                    yield from self._keys("" if self._long_paste else _confirmation_code(pasted))
                elif now - self._pasting_since > LONGEST_PASTE_SECONDS:
                    self._forget(flooded=True)

    def tick(self) -> Iterator[Message]:
        """Yield the events that a silence means, such as a lone Escape. Call this often."""
        now = self._clock.now()
        self._notice_silence(now)
        if self._parser._timeout_time is None or now - self._heard < ESCAPE_DELAY:
            return
        # The parser has a clock of its own; this makes its time limit pass.
        self._parser._timeout_time = 0.0
        try:
            yield from self._parser.tick()
        except Exception:
            self._parser = XTermParser()

    def _notice_silence(self, now: float) -> None:
        quiet = now - self._heard
        if (self._pasting_since is not None and quiet >= PASTE_QUIET_SECONDS) or (
            self._flooded and quiet >= FLOOD_QUIET_SECONDS
        ):
            self._forget()

    def _keys(self, text: str) -> Iterator[Message]:
        self._budget -= len(text)
        if self._budget < 0:
            self._forget(flooded=True)
        if not text or self._flooded:
            return
        try:
            for event in self._parser.feed(text):
                if self._waiting() >= MOST_WAITING:
                    self._forget(flooded=True)
                    return
                yield event
        except Exception:
            self._parser = XTermParser()

    def _forget(self, *, flooded: bool = False) -> None:
        """Start over: with the next key or, in a flood, when it is over."""
        self._parser = XTermParser()
        self._pasting_since = None
        self._tail = ""
        self._flooded = flooded
        self._budget = BURST_CHARACTERS


def _confirmation_code(pasted: str) -> str:
    """Return the six digits of a confirmation code that was copied from a phone; empty for anything else."""
    digits = pasted.translate(_NOT_DIGITS)
    return digits if len(digits) == DIGITS and digits.isascii() and digits.isdigit() else ""
