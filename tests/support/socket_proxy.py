"""The line between kiosk and broker, on which answers can be damaged, cut off or held up."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

_SEALED = re.compile(rb'("sealed":")(.)')


def damaged(data: bytes) -> bytes:
    """Another letter at the start of a sealed key."""
    return _SEALED.sub(lambda found: found[1] + (b"B" if found[2] == b"A" else b"A"), data)


def cut(data: bytes) -> bytes:
    """No more than half of a sealed key."""
    found = _SEALED.search(data)
    return data[: found.end() + 400] if found else data


class SocketProxy:
    """Passes everything on, answers through ``meddle``; with ``hold`` a sealed key waits until ``let_go``."""

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
        """Keep back the next sealed key."""
        self.holding.clear()
        self._open.clear()

    def let_go(self) -> None:
        """Pass it on now."""
        self._open.set()

    def close(self) -> None:
        self.let_go()
        # Closing alone would not wake who waits for a connection.
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
