"""Knows which reveals are open, outside the process that shows them: what a crash leaves open can then be told."""

from __future__ import annotations

import contextlib
import os
import select

_LONGEST = 4096
_DRAWN = "drawn"


class OpenReveals:
    """A pipe from a visit to its supervisor: that it has drawn, and ids of releases. It carries nothing else."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)

    def drawn(self) -> None:
        """The first screen stands."""
        self._say(_DRAWN, "")

    def wait_until_drawn(self, child: int, seconds: float) -> None:
        """In the supervisor: return when the first screen stands, or when the visit is gone."""
        if not hasattr(os, "pidfd_open"):
            return
        gone = os.pidfd_open(child)
        try:
            select.select([self._read, gone], [], [], seconds)
        finally:
            os.close(gone)

    def opened(self, release_id: str) -> None:
        """A key has arrived and may be seen from now on."""
        self._say("+", release_id)

    def closed(self, release_id: str) -> None:
        """The broker knows how its showing ended."""
        self._say("-", release_id)

    def _say(self, what: str, release_id: str) -> None:
        # A full pipe stands for hundreds of reveals in one visit; the broker closes those by itself in time.
        with contextlib.suppress(OSError):
            os.write(self._write, f"{what}{release_id}\n".encode())

    def left_open(self) -> list[str]:
        """In the supervisor, once the visit is gone: the releases whose end nobody told."""
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
            elif line != _DRAWN:
                still.pop(line[1:], None)
        return list(still)
