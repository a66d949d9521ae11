"""A receiver for each kind of sink, and a record that delivers to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.record.writer import Record
from kiosk.broker.sinks import open_sinks
from kiosk.clock import SystemClock, ThreadClock
from kiosk.config.broker import SinkSettings
from tests.support.clock import ManualClock
from tests.support.collectors import Collector, datagrams, streams, webhooks
from tests.support.sandbox import RunningSandbox


@dataclass
class Receiver:
    """The settings of a sink, a way to start its receiver, and what the receiver has collected."""

    settings: dict[str, Any]
    collector: Collector
    listen: Callable[[], contextlib.AbstractContextManager[object]]


def receiver(kind: str, sandbox: RunningSandbox, place: Path) -> Receiver:
    """Return a receiver that does not listen yet."""
    collector = Collector()
    path = place / "sink"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    certificate, key = sandbox.directory / "server.pem", sandbox.directory / "server-key.pem"

    def datagram_socket() -> contextlib.AbstractContextManager[object]:
        if kind == "udp":
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("127.0.0.1", port))
        else:
            path.unlink(missing_ok=True)
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            sock.bind(str(path))
        return datagrams(sock, collector.journal if kind == "journald" else collector.syslog)

    def stream_socket() -> contextlib.AbstractContextManager[object]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return streams(socket.create_server(("127.0.0.1", port)), collector.syslog, context if kind == "tls" else None)

    match kind:
        case "unix" | "journald":
            settings: dict[str, Any] = {"kind": "journald" if kind == "journald" else "syslog", "url": f"unix:{path}"}
            return Receiver(settings, collector, datagram_socket)
        case "udp":
            return Receiver({"kind": "syslog", "url": f"udp://127.0.0.1:{port}"}, collector, datagram_socket)
        case "tcp" | "tls":
            settings = {"kind": "syslog", "url": f"{kind}://localhost:{port}", "ca_bundle": sandbox.ca}
            return Receiver(settings, collector, stream_socket)
        case "webhook":
            (place / "token").write_text("s3cret-token\n")
            settings = {"kind": "webhook", "url": f"https://localhost:{port}/rows", "ca_bundle": sandbox.ca}
            settings |= {"token_file": place / "token"}
            return Receiver(settings, collector, lambda: webhooks(port, certificate, key, collector, [204]))
    return Receiver({"kind": "file", "url": f"file:{path}"}, FileCollector(path), contextlib.nullcontext)


class FileCollector(Collector):
    """Reads the file that a sink writes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def numbers(self) -> list[int]:
        return [row["n"] for line in self.path.read_bytes().splitlines() if "n" in (row := json.loads(line))]


@contextlib.contextmanager
def recording(database: str | Path, *sinks: dict[str, Any], clock: ThreadClock | None = None) -> Iterator[Record]:
    """Run a record with sinks, in the given database or in SQLite in the given folder."""
    settings = [SinkSettings(**one) for one in sinks]
    database = f"sqlite:///{database / 'record.db'}" if isinstance(database, Path) else database
    delivery = open_sinks(settings, database, clock or SystemClock())
    record = Record(database, ManualClock(), [delivery])
    with delivery.running(), record.running():
        yield record


def say(record: Record, times: int = 1) -> None:
    async def add() -> None:
        for number in range(times):
            await record.add(Entry(Event.SESSION_OPENED, name=f'"{number}"]\\ \n<é>'))

    asyncio.run(add())
