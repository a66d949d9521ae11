"""Handles the terminal outside visits: checks it, names it, measures it, and cleans it after each visit."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import sys
import termios
from typing import Any

_MODES_OFF = (
    "\x1b[?2026l"  # synchronised output
    "\x1b[<u"  # kitty keyboard protocol
    "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l"  # mouse
    "\x1b[?1004l"  # focus reports
    "\x1b[?2004l"  # bracketed paste
)
# DECALN first: it overprints every cell. Erasing alone moves the key into the scrollback of some terminals.
OVERPRINT_AND_ERASE = "\x1b[?6l\x1b[r\x1b[m\x1b#8\x1b[H\x1b[2J"
_LEAVE = "\x1b[?1049l\x1b[?7h\x1b[?25h\x1b[m"
# The Linux console has no alternate screen: text that scrolled off stays in memory until this sequence.
_LINUX_CONSOLE = "\x1b#8\x1b[H\x1b[2J\x1b[3J"


_FALLBACK_SIZE = (80, 24)
_LARGEST_SIZE = 500


def window_size(descriptor: int) -> tuple[int, int]:
    """Return columns and rows as the kernel reports them. Ignores COLUMNS and LINES."""
    try:
        rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(8)))
    except OSError:
        return _FALLBACK_SIZE
    if not rows or not columns:
        return _FALLBACK_SIZE
    return min(columns, _LARGEST_SIZE), min(rows, _LARGEST_SIZE)


def accept_keys() -> None:
    """Set the terminal as Textual does later: no echo, no signals, and Enter as typed. Raises termios.error."""
    settings = termios.tcgetattr(0)
    settings[0] &= ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR)
    settings[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
    termios.tcsetattr(0, termios.TCSANOW, settings)


class NotATerminal(Exception):
    """Standard input, output and error are not the same terminal."""


class Terminal:
    """The controlling terminal, with its settings from before the first visit."""

    def __init__(self) -> None:
        """Raises NotATerminal. Textual draws on standard error: redirected, it would write the key to a file."""
        try:
            names = {os.ttyname(fd) for fd in (0, 1, 2)}
        except OSError:
            raise NotATerminal from None
        if len(names) != 1:
            raise NotATerminal
        self.name = names.pop().removeprefix("/dev/")
        self._settings: list[Any] = termios.tcgetattr(0)

    def reset(self) -> bool:
        """Clean up after a visit, whatever the state of the terminal: overprint, erase, reset modes and settings.

        Returns False if the terminal is gone, or hung up.
        """
        cleaned = False
        sequence = _MODES_OFF + OVERPRINT_AND_ERASE + _LEAVE
        if os.environ.get("TERM") == "linux":
            sequence += _LINUX_CONSOLE
        # A terminal that is gone needs no clean-up. Never block on one that does not read.
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(1, termios.TCIOFLUSH)
            termios.tcsetattr(0, termios.TCSANOW, self._settings)
            os.set_blocking(1, False)
            os.write(1, sequence.encode())
            cleaned = True
        with contextlib.suppress(OSError):
            os.set_blocking(1, True)
        return cleaned

    def reopen(self) -> None:
        """Open the terminal again. The kernel hangs it up when the first process of its session ends."""
        with contextlib.suppress(OSError):
            opened = os.open(f"/dev/{self.name}", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            for descriptor in (0, 1, 2):
                os.dup2(opened, descriptor)

    @staticmethod
    def say(words: str) -> None:
        """Write one line for the person, outside a visit."""
        with contextlib.suppress(OSError):
            sys.stdout.write(words + "\r\n")
            sys.stdout.flush()
