"""A process that waits for the death of the supervisor, and cleans up in its place. Holds no secrets."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable
from typing import NoReturn

log = logging.getLogger(__name__)

_DONE = b"."
_IGNORED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Caretaker:
    """Calls ``clean_up`` in another process if this one ends without ``dismiss``, even by SIGKILL."""

    def __init__(self, clean_up: Callable[[], None]) -> None:
        awaited, self._alive = os.pipe()
        try:
            child = os.fork()
        except OSError as error:
            log.error("no process to clean up after this one: %s", error.strerror)
            os.close(awaited)
            return
        if child == 0:
            os.close(self._alive)
            _wait(awaited, clean_up)
        os.close(awaited)
        os.waitpid(child, 0)

    def dismiss(self) -> None:
        """End the process: there is nothing left to clean up."""
        with contextlib.suppress(OSError):
            os.write(self._alive, _DONE)
        os.close(self._alive)


def _wait(awaited: int, clean_up: Callable[[], None]) -> NoReturn:
    try:
        # A grandchild: nobody has to wait for it, and no signal for the terminal's processes reaches it.
        if os.fork():
            os._exit(0)
        os.setsid()
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        if not os.read(awaited, len(_DONE)):
            clean_up()
    finally:
        os._exit(0)
