"""Slow sinks cannot delay an attempt past its limit, nor the end of the broker."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kiosk.broker.record.chain import Row, first_previous
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.record.writer import Record
from kiosk.broker.sinks import delivery, open_sinks
from kiosk.broker.sinks.json_lines import JsonLines
from kiosk.broker.sinks.sink import Sink
from kiosk.broker.sinks.syslog import DatagramSyslog, StreamSyslog
from kiosk.broker.sinks.webhook import Webhook
from kiosk.clock import Deadline, SystemClock, ThreadClock
from kiosk.config.broker import SinkSettings
from kiosk.net.tls import tls_context
from tests.support.broker import wait_for
from tests.support.clock import ManualClock
from tests.support.collectors import Collector, webhooks
from tests.support.record import fill, signer
from tests.support.sandbox import RunningSandbox

ROWS = [Row.follow(1, "2026-11-22T09:00:00.000000Z", Entry(Event.STARTED), first_previous("x"))]
SOON = 0.3
# Each byte meets the limit on one read; all of them together exceed the limit on an attempt.
DROPS, PACE = 40, 0.05


def soon() -> Deadline:
    return Deadline.after(SystemClock(), SOON)


@contextlib.contextmanager
def answering(sandbox: RunningSandbox | None, head: bytes, drop: bytes, drops: int = DROPS) -> Iterator[int]:
    """Run a server that sends ``head`` and then ``drop`` slowly, over TLS if there is a sandbox. Yields its port."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if sandbox:
        context.load_cert_chain(sandbox.directory / "server.pem", sandbox.directory / "server-key.pem")

    def run() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                plain, _ = listener.accept()
                with context.wrap_socket(plain, server_side=True) if sandbox else plain as connection:
                    connection.recv(65_536)
                    connection.sendall(head)
                    for _ in range(drops):
                        if stop.wait(PACE):
                            break
                        connection.sendall(drop)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def webhook(sandbox: RunningSandbox, port: int) -> Webhook:
    return Webhook(f"https://localhost:{port}/", tls_context(sandbox.ca))


def test_a_webhook_that_drips_its_answer(sandbox: RunningSandbox) -> None:
    with answering(sandbox, b"HTTP/1.1 200 OK\r\n", b"x: y\r\n") as port, pytest.raises(TimeoutError):
        webhook(sandbox, port).send(ROWS, soon())


def test_a_collector_that_drips_its_end() -> None:
    with answering(None, b"", b"x") as port, pytest.raises(TimeoutError):
        StreamSyslog("127.0.0.1", port, None).send(ROWS, soon())


def test_a_file_that_somebody_holds(place: Path) -> None:
    path = place / "a"
    with path.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError):
            JsonLines(path).send(ROWS, soon())
    JsonLines(path).send(ROWS, soon())
    assert path.read_bytes() == ROWS[0].line() + b"\n"


@pytest.mark.parametrize("kind", ["udp", "tcp", "webhook"])
def test_a_name_that_is_never_found(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A resolver that never answers must be simulated, because a real one would need another network."""
    found = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found.wait(20) and [])
    sinks: dict[str, Sink] = {
        "udp": DatagramSyslog(("collector.example", 514)),
        "tcp": StreamSyslog("collector.example", 601, None),
        "webhook": Webhook("https://collector.example/", tls_context(sandbox.ca)),
    }
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        sinks[kind].send(ROWS, soon())
    assert time.monotonic() - begun < 10
    found.set()


def test_a_webhook_has_taken_it_whatever_else_it_says(sandbox: RunningSandbox) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n" + b"x" * (2 << 20)
    with answering(sandbox, head, b"x") as port:
        webhook(sandbox, port).send(ROWS, Deadline.after(SystemClock(), 5))


@contextlib.contextmanager
def recording(place: Path, clock: ThreadClock, **sink: Any) -> Iterator[str]:
    database = f"sqlite:///{place / 'record.db'}"
    sinks = open_sinks([SinkSettings(mode="best-effort", **sink)], database, clock)
    with sinks.running(), Record(database, ManualClock(), [sinks]).running():
        yield database


def last_event(database: str) -> str:
    engine = open_engine(database)
    with engine.begin() as connection:
        found = connection.exec_driver_sql("SELECT event FROM record ORDER BY n DESC LIMIT 1").scalar_one()
    engine.dispose()
    return str(found)


def test_the_end_of_the_broker_does_not_wait_for_a_backlog(sandbox: RunningSandbox, place: Path) -> None:
    database, rows = f"sqlite:///{place / 'record.db'}", 2000
    engine = open_engine(database)
    fill(engine, signer(place), rows)
    engine.dispose()
    certificate, key = sandbox.directory / "server.pem", sandbox.directory / "server-key.pem"

    class Held(Collector):
        """Sends no answer until the broker has written its last row and is about to wait for its sinks."""

        ending, ended = threading.Event(), threading.Event()

        def took(self) -> None:
            if not self.ended.is_set():
                wait_for(lambda: self.ending.is_set() and last_event(database) == "broker.stopped")
                self.ended.set()

    collector = Held()
    with webhooks(0, certificate, key, collector, [200]) as port:
        sink = {"kind": "webhook", "url": f"https://localhost:{port}/", "ca_bundle": sandbox.ca}
        with recording(place, SystemClock(), **sink):
            wait_for(lambda: collector.rows)
            collector.ending.set()
        assert 0 < collector.numbers()[-1] < rows
        with recording(place, SystemClock(), **sink):
            wait_for(lambda: collector.numbers()[-1] > rows + 2)
    assert sorted(set(collector.numbers()))[:rows] == list(range(1, rows + 1))


def test_the_end_of_the_broker_does_not_wait_for_a_sink_that_hangs(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()

    def wait_for_it() -> None:
        wait_for(lambda: clock.waiting() == 1)
        clock.advance(delivery.STOP_SECONDS)

    with answering(None, b"", b"x", drops=10_000) as port:
        waiting = threading.Thread(target=wait_for_it)
        with recording(place, clock, kind="syslog", url=f"tcp://127.0.0.1:{port}"):
            waiting.start()
        waiting.join()
    assert f"sink syslog tcp://127.0.0.1:{port} does not stop" in caplog.text
