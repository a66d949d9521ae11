"""The terminal of linear mode: its size, its keys, and whether it is still there."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable

from kiosk.linear.keys import Keys
from kiosk.terminal.terminal import window_size

_READ_BYTES = 4096
_PAUSE_SECONDS = 0.1


class Tty:
    """Reads keys on the event loop. The terminal itself echoes nothing, and no key sends a signal."""

    def __init__(self, descriptor: int, *, pressed: Callable[[str], None], lost: Callable[[], None]) -> None:
        """``lost`` is called once, when the terminal has gone away."""
        self._descriptor = descriptor
        self._pressed = pressed
        self._lost = lost
        self._keys = Keys()
        self._pausing: asyncio.TimerHandle | None = None

    def size(self) -> tuple[int, int]:
        """Return columns and rows, as the kernel knows them."""
        return window_size(self._descriptor)

    def open(self) -> None:
        """Set raw mode and drop what was typed before. The supervisor restores the settings."""
        tty.setraw(self._descriptor)
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def close(self) -> None:
        """Stop reading."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        if self._pausing:
            self._pausing.cancel()

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self.close()
            self._lost()
            return
        self._hand_on(self._keys.feed(data))
        if self._pausing:
            self._pausing.cancel()
        loop = asyncio.get_running_loop()
        self._pausing = loop.call_later(_PAUSE_SECONDS, self._pause) if self._keys.unfinished else None

    def _pause(self) -> None:
        self._hand_on(self._keys.pause())

    def _hand_on(self, keys: list[str]) -> None:
        for key in keys:
            self._pressed(key)
