"""A TCP proxy before a database that counts round trips, can be cut off, and can be a distance away."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_PIECE = 1 << 16
_FAREWELL = b"X\0\0\0\4"


class DatabaseProxy:
    """Forwards between clients and a unix socket. ``seconds`` is the delay of each direction."""

    def __init__(self, server: Path, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.round_trips = 0
        self._server = server
        self._open = threading.Event()
        self._open.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        """Forward nothing more, as if the network were cut: nobody is told."""
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    def close(self) -> None:
        self.let_go()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                here.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(here,), daemon=True).start()

    def _serve(self, here: socket.socket) -> None:
        with here, socket.socket(socket.AF_UNIX) as there, contextlib.suppress(OSError):
            there.connect(str(self._server))
            self._pairs.append((here, there))
            answered = True
            while True:
                readable, _, _ = select.select([here, there], [], [])
                self._open.wait()
                time.sleep(self.seconds)
                for source in readable:
                    data = source.recv(_PIECE)
                    if not data:
                        return
                    # A request after an answer begins a round trip, but nothing answers a farewell.
                    self.round_trips += source is here and answered and data != _FAREWELL
                    answered = source is there
                    (there if source is here else here).sendall(data)


@contextlib.contextmanager
def database_proxy(url: str, seconds: float = 0.0) -> Iterator[tuple[str, DatabaseProxy]]:
    """Yield the address of a database behind a proxy, and the proxy."""
    plain, _, folder = url.partition("?host=")
    proxy = DatabaseProxy(Path(folder) / ".s.PGSQL.5432", seconds)
    try:
        yield plain.replace("broker@", f"broker@127.0.0.1:{proxy.port}"), proxy
    finally:
        proxy.close()
