"""Asks the terminal what it can draw: whether it reads UTF-8, and which characters a console's font has."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import re
import select
import sys
import termios

from kiosk.clock import Clock, Deadline
from kiosk.look.drawable import Drawable
from kiosk.terminal.terminal import accept_keys

# Long enough for a terminal on another continent. One that does not answer delays the first screen by this.
PATIENCE_SECONDS = 0.3
# Two bytes that are one cell in UTF-8 and two in any other charset. Bytes of other characters, such as the half blocks,
# are control characters there and may draw nothing.
_ONE_CELL = "é"
# First the end of a control string: an earlier quotation mark in UTF-8 may have begun one.
_QUESTION = f"\x1b\\\r{_ONE_CELL}\x1b[6n\r\x1b[K".encode()
_UTF8_COLUMNS = {2: True, 3: False}
_POSITION = re.compile(rb"\x1b\[\d+;(\d+)R")
_READ_BYTES = 256

# linux/kd.h
_GIO_UNIMAP = 0x4B66
_MOST_ENTRIES = 0xFFFF


class _Unimap(ctypes.Structure):
    _fields_ = (("count", ctypes.c_ushort), ("entries", ctypes.c_void_p))


def ask(clock: Clock, seconds: float = PATIENCE_SECONDS) -> tuple[Drawable, bytes]:
    """Return what the terminal can draw, and what was typed while it was asked. Leaves nothing on the screen."""
    column, typed = _column(clock, seconds)
    return Drawable(_UTF8_COLUMNS.get(column), font()), typed


def font(descriptor: int = 0) -> dict[str, int] | None:
    """Return the number of each character's glyph in the font of a Linux console; None on any other terminal."""
    if sys.platform != "linux":
        return None
    entries = (ctypes.c_ushort * (2 * _MOST_ENTRIES))()
    unimap = _Unimap(_MOST_ENTRIES, ctypes.addressof(entries))
    try:
        fcntl.ioctl(descriptor, _GIO_UNIMAP, unimap)
    except OSError:
        return None
    return {chr(entries[2 * place]): entries[2 * place + 1] for place in range(unimap.count)}


def _column(clock: Clock, seconds: float) -> tuple[int, bytes]:
    """Return the column of the cursor after the question, 0 if unknown, and what was typed meanwhile."""
    try:
        before = termios.tcgetattr(0)
        # Never block on a terminal that does not read.
        if not select.select([], [1], [], 0)[1]:
            return 0, b""
        # Otherwise the answer would appear on the screen, and wait for an Enter.
        accept_keys()
    except (OSError, termios.error):
        return 0, b""
    try:
        os.write(1, _QUESTION)
        return _answer(Deadline.after(clock, seconds))
    except OSError:
        return 0, b""
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSANOW, before)


def _answer(deadline: Deadline) -> tuple[int, bytes]:
    heard = b""
    while (left := deadline.left()) and select.select([0], [], [], left)[0]:
        piece = os.read(0, _READ_BYTES)
        heard += piece
        if found := _POSITION.search(heard):
            return int(found[1]), heard[: found.start()] + heard[found.end() :]
        if not piece:
            break
    return 0, heard
