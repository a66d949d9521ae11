"""Keeps the first frame of a visit, so that the next visit can show it before it draws its own.

Keys that are pressed before then wait in the terminal until the visit reads them.
"""

from __future__ import annotations

import contextlib
import os
import termios

from kiosk.terminal.terminal import accept_keys

_OPEN = "\x1b[?1049h\x1b[?25l\x1b[?7l"


class FirstFrame:
    """One frame of the first screen, in memory that supervisor and visits share. Contains nothing about a person."""

    def __init__(self) -> None:
        # Only Linux has memfd. Without it, nothing is shown before the next visit draws its own first frame.
        self._memory = os.memfd_create("first-frame") if hasattr(os, "memfd_create") else None

    def keep(self, frame: str, size: tuple[int, int]) -> None:
        """In the visit: keep this frame for a terminal of this size."""
        if self._memory is None:
            return
        data = f"{size[0]} {size[1]}\n{_OPEN}{frame}".encode()
        os.ftruncate(self._memory, 0)
        os.pwrite(self._memory, data, 0)

    def fits(self, size: tuple[int, int]) -> bool:
        """Whether a frame for a terminal of this size is kept."""
        return self._kept()[0] == size

    def draw(self) -> None:
        """At the start of a visit: show the frame if the terminal still has its size, and accept keys."""
        size, frame = self._kept()
        with contextlib.suppress(OSError, termios.error):
            if frame and tuple(os.get_terminal_size(2)) == size:
                accept_keys()
                os.write(2, frame)

    def _kept(self) -> tuple[tuple[int, int], bytes]:
        if self._memory is None:
            return (0, 0), b""
        head, _, frame = os.pread(self._memory, os.fstat(self._memory).st_size, 0).partition(b"\n")
        columns, rows = map(int, head.split() or (0, 0))
        return (columns, rows), frame
