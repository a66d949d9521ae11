"""A virtual console of this machine's kernel, where there is one: its screen as the kernel keeps it, and its font."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

# linux/vt.h and linux/kd.h
_VT_OPENQRY, _VT_DISALLOCATE = 0x5600, 0x5608
_GIO_CMAP, _PIO_UNIMAP, _PIO_UNIMAPCLR = 0x4B70, 0x4B67, 0x4B68
_UTF8, _NO_UTF8 = b"\x1b%G", b"\x1b%@"


class Console:
    """A console that nobody sees."""

    def __init__(self, number: int, descriptor: int) -> None:
        self.descriptor = descriptor
        self._number = number

    def write(self, text: str, *, utf8: bool = True) -> None:
        os.write(self.descriptor, (_UTF8 if utf8 else _NO_UTF8) + text.encode())

    def cells(self) -> tuple[int, list[tuple[int, int]]]:
        """Return the columns, and the glyph and the attribute of each cell."""
        _, columns, _, _, *cells = Path(f"/dev/vcsa{self._number}").read_bytes()
        return columns, list(zip(cells[::2], cells[1::2], strict=True))

    def palette(self) -> list[str]:
        """Return its sixteen colours, in the order of SGR 30 to 37 and 90 to 97."""
        colours = fcntl.ioctl(self.descriptor, _GIO_CMAP, bytes(48))
        return [f"#{colours[at : at + 3].hex()}" for at in range(0, 48, 3)]

    def set_font(self, glyphs: Mapping[str, int]) -> None:
        """Give it a font with these characters, as far as programs can tell."""
        fcntl.ioctl(self.descriptor, _PIO_UNIMAPCLR, bytes(6))
        pairs = [part for character, glyph in glyphs.items() for part in (ord(character), glyph)]
        entries = (ctypes.c_ushort * len(pairs))(*pairs)
        unimap = struct.pack("@HP", len(glyphs), ctypes.addressof(entries))
        fcntl.ioctl(self.descriptor, _PIO_UNIMAP, unimap)


@contextmanager
def console() -> Iterator[Console]:
    """Open a free console, or skip the test."""
    try:
        any_console = os.open("/dev/tty0", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        pytest.skip("no console of the kernel that this user may open")
    try:
        number = struct.unpack("i", fcntl.ioctl(any_console, _VT_OPENQRY, bytes(4)))[0]
        descriptor = os.open(f"/dev/tty{number}", os.O_RDWR | os.O_NOCTTY)
        try:
            yield Console(number, descriptor)
        finally:
            os.close(descriptor)
            # The kernel may still be busy with it, and keeps it then.
            with suppress(OSError):
                fcntl.ioctl(any_console, _VT_DISALLOCATE, number)
    finally:
        os.close(any_console)
