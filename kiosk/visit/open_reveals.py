"""Tells the supervisor what it must know when a visit breaks: which reveals were open, and the cause."""

from __future__ import annotations

import contextlib
import os
import select

from kiosk.text import clean

_LONGEST = 4096
_LONGEST_CAUSE = 160
_DRAWN = "drawn"


class OpenReveals:
    """A pipe from a visit to its supervisor: that it has drawn, ids of releases, and why it broke. Nothing else.

    ``cause`` is known once ``left_open`` has read the pipe.
    """

    def __init__(self) -> None:
        self.cause = ""
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)

    def drawn(self) -> None:
        """In the visit: report that the first screen is drawn."""
        self._say(_DRAWN, "")

    def wait_until_drawn(self, child: int, seconds: float) -> None:
        """In the supervisor: wait until the first screen is drawn or the visit is gone."""
        if not hasattr(os, "pidfd_open"):
            return
        gone = os.pidfd_open(child)
        try:
            select.select([self._read, gone], [], [], seconds)
        finally:
            os.close(gone)

    def opened(self, release_id: str) -> None:
        """In the visit: report that a key has arrived and can be seen."""
        self._say("+", release_id)

    def closed(self, release_id: str) -> None:
        """In the visit: report that the broker knows how a reveal ended."""
        self._say("-", release_id)

    def broke(self, cause: str) -> None:
        """Note why the visit breaks: a type and a place, never a word of what was in it. Waits for nothing."""
        self._say("!", cause)

    def _say(self, what: str, release_id: str) -> None:
        # A full pipe means hundreds of reveals in one visit; the broker closes them itself after a while.
        with contextlib.suppress(OSError):
            os.write(self._write, f"{what}{release_id}\n".encode())

    def left_open(self) -> list[str]:
        """In the supervisor, after the visit: return the releases whose end nobody reported."""
        with contextlib.suppress(OSError):
            os.close(self._write)
        said = b""
        with contextlib.suppress(OSError):
            while piece := os.read(self._read, _LONGEST):
                said += piece
        os.close(self._read)
        still: dict[str, None] = {}
        for line in said.decode("ascii", "replace").splitlines():
            if line.startswith("+"):
                still[line[1:]] = None
            elif line.startswith("!"):
                # The first one led to all others.
                self.cause = self.cause or clean(line[1:], _LONGEST_CAUSE)
            elif line != _DRAWN:
                still.pop(line[1:], None)
        return list(still)
