"""Real receivers for the broker's sinks: sockets and HTTPS servers, each in its own thread."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_BOM = b"\xef\xbb\xbf"


class Collector:
    """What a receiver got: the parsed rows of the record, and the bytes in ``raw``."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.rows: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    def took(self) -> None:
        """Run after a batch has arrived and before it is confirmed. Does nothing unless replaced."""

    def numbers(self) -> list[int]:
        return [row["n"] for row in self.rows if "n" in row]

    def syslog(self, message: bytes) -> None:
        self.raw.append(message)
        form = rb"<8[456]>1 \S+ \S+ kiosk-broker \d+ [a-z.]+ - " + _BOM
        assert re.match(form, message), message
        self.rows.append(json.loads(message.partition(_BOM)[2]))

    def journal(self, datagram: bytes) -> None:
        self.raw.append(datagram)
        fields = {}
        while datagram:
            name, _, rest = datagram.partition(b"\n")
            (length,) = struct.unpack("<Q", rest[:8])
            fields[name.decode()] = rest[8 : 8 + length].decode()
            datagram = rest[9 + length :]
        self.headers.append(fields)
        self.rows.append(json.loads(fields["KIOSK_RECORD"]))


def _threaded(run: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@contextlib.contextmanager
def datagrams(sock: socket.socket, take: Callable[[bytes], None]) -> Iterator[None]:
    """Pass every datagram that arrives on a bound socket to ``take``."""
    stop = threading.Event()
    sock.settimeout(0.05)

    def run() -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                take(sock.recv(1 << 17))

    thread = _threaded(run)
    try:
        yield
    finally:
        stop.set()
        thread.join()
        sock.close()


@contextlib.contextmanager
def streams(
    listener: socket.socket, take: Callable[[bytes], None], tls: ssl.SSLContext | None = None
) -> Iterator[None]:
    """Read syslog streams with octet counting until they end."""
    stop = threading.Event()
    listener.settimeout(0.05)

    def run() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(3)
            with (
                contextlib.suppress(OSError),
                tls.wrap_socket(connection, server_side=True) if tls else connection as one,
            ):
                for message in _counted(one):
                    take(message)
                if isinstance(one, ssl.SSLSocket):
                    one.unwrap()

    thread = _threaded(run)
    try:
        yield
    finally:
        stop.set()
        thread.join()
        listener.close()


@contextlib.contextmanager
def silent(port: int, tls: ssl.SSLContext | None = None) -> Iterator[list[socket.socket]]:
    """Accept connections, complete the TLS handshake, then neither read nor close. Yields the connections."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", port))
    listener.settimeout(0.05)
    taken: list[socket.socket] = []

    def run() -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                connection.settimeout(3)
                taken.append(tls.wrap_socket(connection, server_side=True) if tls else connection)

    thread = _threaded(run)
    try:
        yield taken
    finally:
        stop.set()
        thread.join()
        for one in (*taken, listener):
            one.close()


def _counted(connection: socket.socket) -> Iterator[bytes]:
    content = b""
    while piece := connection.recv(4096):
        content += piece
    while content:
        length, _, rest = content.partition(b" ")
        yield rest[: int(length)]
        content = rest[int(length) :]


@contextlib.contextmanager
def webhooks(port: int, certificate: Path, key: Path, collector: Collector, status: list[int]) -> Iterator[int]:
    """Run an HTTPS server that answers with the first of ``status``. Yields its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if status[0] < 300:
                collector.headers.append(dict(self.headers))
                collector.rows += json.loads(body)["entries"]
                collector.took()
            self.send_response(status[0])
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with _https(Handler, port, certificate, key) as found:
        yield found


@contextlib.contextmanager
def answering(certificate: Path, key: Path, answer: Callable[[str, int], bytes]) -> Iterator[int]:
    """Run an HTTPS server that sends what ``answer`` returns for a path and the server's port. Yields the port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        server: http.server.HTTPServer

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.wfile.write(answer(self.path, self.server.server_port))
            self.close_connection = True

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            pass

    with _https(Handler, 0, certificate, key) as port:
        yield port


@contextlib.contextmanager
def _https(handler: type[http.server.BaseHTTPRequestHandler], port: int, certificate: Path, key: Path) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = _threaded(lambda: server.serve_forever(0.05))
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
