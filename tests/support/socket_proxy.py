"""A proxy on the unix socket between kiosk and broker that can damage, cut off or hold back answers."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

_SEALED = re.compile(rb'("sealed":")(.)')


def damaged(data: bytes) -> bytes:
    """Return the data with the first letter of a sealed key changed."""
    return _SEALED.sub(lambda found: found[1] + (b"B" if found[2] == b"A" else b"A"), data)


def cut(data: bytes) -> bytes:
    """Return the data up to the middle of a sealed key."""
    found = _SEALED.search(data)
    return data[: found.end() + 400] if found else data


class SocketProxy:
    """Forwards everything, answers through ``meddle``. After ``hold``, a sealed key waits for ``let_go``."""

    def __init__(self, place: Path, broker: Path) -> None:
        self.path = place
        self.meddle: Callable[[bytes], bytes] = bytes
        self._broker = broker
        self._open = threading.Event()
        self._open.set()
        self.holding = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(place))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        """Hold back the next sealed key."""
        self.holding.clear()
        self._open.clear()

    def let_go(self) -> None:
        """Forward the held key."""
        self._open.set()

    def close(self) -> None:
        self.let_go()
        # Closing alone would not wake the thread in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(here,), daemon=True).start()

    def _serve(self, here: socket.socket) -> None:
        with here, socket.socket(socket.AF_UNIX) as there:
            there.connect(str(self._broker))
            answers = threading.Thread(target=self._pass, args=(there, here, self._answer), daemon=True)
            answers.start()
            self._pass(here, there, bytes)
            answers.join()

    def _answer(self, data: bytes) -> bytes:
        if _SEALED.search(data) and not self._open.is_set():
            self.holding.set()
            self._open.wait(30)
        return self.meddle(data)

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket, through: Callable[[bytes], bytes]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                passed = through(data)
                target.sendall(passed)
                if len(passed) < len(data):
                    break
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def socket_proxy(place: Path, broker: Path) -> Iterator[SocketProxy]:
    opened = SocketProxy(place, broker)
    try:
        yield opened
    finally:
        opened.close()
