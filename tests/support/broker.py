"""Run a broker for tests and benchmarks: in a thread, where a test can reach into it, or in its own process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
from sqlalchemy import Engine, select

from kiosk.broker.graph.requests import Backoff
from kiosk.broker.metrics import Metrics
from kiosk.broker.record.checkpoints import Signer
from kiosk.broker.record.database import open_reader
from kiosk.broker.record.schema import RECORD
from kiosk.broker.record.writer import Record, open_record
from kiosk.broker.routes import create_app
from kiosk.broker.server import build, listening_to_page
from kiosk.broker.sinks import open_sinks
from kiosk.clock import Clock, SystemClock, ThreadClock
from kiosk.config.broker import BrokerConfig, SinkSettings
from kiosk.config.loading import load
from kiosk.models import PROOF_HEADER, Problem, ReleaseRequest
from kiosk.net.http import UNIX_PREFIX
from kiosk.net.listening import limits, listening
from kiosk.net.serving import Server
from kiosk.net.tls import no_authorities, tls_context
from kiosk.proof import Prover
from kiosk.secret import VisitKeys, release_info
from tests.support.time_limit import TimeLimit
from tests.support.warm_process import command_line, warm_process

ROOT = Path(__file__).parents[2]
QUICK = Backoff(first=0.01, most=0.05)


# The visit of each token: the same at all brokers.
_VISITS: dict[str, VisitKeys] = {}


def visit_of(token: str, keys: VisitKeys | None = None) -> str:
    """Return the fingerprint that names the visit of a token."""
    return Prover(keys or _keys(token), SystemClock()).visit


def _keys(token: str) -> VisitKeys:
    return _VISITS.setdefault(token, VisitKeys())


class FromVisit(httpx.Auth):
    """Sends a token, and proves with each request that it comes from the visit with these keys."""

    requires_request_body = True

    def __init__(self, token: str, keys: VisitKeys | None = None, clock: Clock | None = None) -> None:
        self._token = token
        self._prover = Prover(keys or _keys(token), clock or SystemClock())

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers.setdefault("authorization", f"Bearer {self._token}")
        target = request.url.raw_path.decode()
        proof = self._prover.proof(request.method, target, self._token, request.content)
        request.headers.setdefault(PROOF_HEADER, proof)
        yield request


class MovedClock(SystemClock):
    """The machine's clock with an offset that a test sets. Sleeps are not affected by the offset."""

    ahead = timedelta()

    def now(self) -> float:
        return super().now() + self.ahead.total_seconds()

    def utc(self) -> datetime:
        return super().utc() + self.ahead


def broker_config(
    sandbox_directory: Path, place: Path, sinks: Sequence[dict[str, Any]] = (), **tables: dict[str, Any]
) -> BrokerConfig:
    """Return the sandbox's broker configuration, with socket and database in ``place`` and ``tables`` merged in."""
    config = load(sandbox_directory / "broker.toml", BrokerConfig)
    config = msgspec.structs.replace(config, sink=tuple(SinkSettings(**one) for one in sinks))
    given: dict[str, dict[str, Any]] = {
        "listen": {"url": f"{UNIX_PREFIX}{place / 'broker.sock'}"},
        "graph": {"read_seconds": 1, "total_seconds": 3},
        # Tests ask more often than people, and change Macs between two lists.
        "limits": {
            "requests_per_minute": 100_000,
            "requests_at_once": 100_000,
            "refused_releases_per_hour": 100_000,
            "list_seconds": 0,
        },
        "record": {"database": f"sqlite:///{place / 'record.db'}"},
    }
    for name, values in (given | {name: given.get(name, {}) | table for name, table in tables.items()}).items():
        before: Any = getattr(config, name)
        whole = msgspec.to_builtins(before, enc_hook=str) | msgspec.to_builtins(values, enc_hook=str)
        section = msgspec.convert(whole, type(before), dec_hook=lambda kind, value: kind(value))
        config = msgspec.structs.replace(config, **{name: section})
    return config


@dataclass
class RunningBroker:
    """A broker that answers. ``record`` and ``metrics`` are set if it runs in a thread of this process."""

    config: BrokerConfig
    http: httpx.Client = field(repr=False)
    record: Record | None = None
    metrics: Metrics | None = None
    pid: int = 0
    log_file: Path | None = None
    seen: int = 0
    clock: Clock = field(default_factory=SystemClock)
    _reader: Engine | None = field(default=None, repr=False)

    def ask(
        self, method: str, path: str, token: str | None = None, *, keys: VisitKeys | None = None, **options: Any
    ) -> httpx.Response:
        """Send a request. With a token it comes from one visit, the same each time, unless ``keys`` is given."""
        auth = FromVisit(token, keys, self.clock) if token else None
        return self.http.request(method, path, auth=auth, **options)

    def release(
        self,
        token: str,
        device_id: str,
        reason: str | None = None,
        *,
        keys: VisitKeys | None = None,
        kiosk: str = "tty1",
    ) -> Answer:
        """Ask for a key. All releases with one token use one key pair, as in a visit, unless ``keys`` is given."""
        keys = keys or _keys(token)
        body = ReleaseRequest(public_key=keys.public_key, reason=reason)
        response = self.ask(
            "POST",
            f"/v1/devices/{device_id}/release",
            token,
            keys=keys,
            content=msgspec.json.encode(body),
            headers={"content-type": "application/json", "x-kiosk-terminal": kiosk},
        )
        return Answer(response, keys)

    def rows(self, event: str = "") -> list[dict[str, Any]]:
        """Return the rows added since the last ``forget_rows``, oldest first, as another program reads them."""
        later = select(RECORD).where(RECORD.c.n > self.seen).order_by(RECORD.c.n)
        # Making an engine takes longer than reading.
        reader = self._reader = self._reader or open_reader(self.config.record.database)
        with reader.connect() as connection:
            found = connection.execute(later).mappings().all()
        reader.dispose()
        return [dict(row) for row in found if row["event"].startswith(event)]

    def forget_rows(self) -> None:
        self.seen += len(self.rows())

    def log(self) -> str:
        return self.log_file.read_text() if self.log_file else ""


@dataclass
class Answer:
    """The broker's answer to a request for a key."""

    response: httpx.Response
    keys: VisitKeys

    @property
    def code(self) -> str:
        """Return the code of the refusal; empty for a release."""
        return problem_code(self.response) if self.response.is_error else ""

    def key(self, tid: str, oid: str) -> bytes:
        """Return the recovery key, opened as the kiosk opens it."""
        answer = self.response.json()
        info = release_info(tid=tid, oid=oid, device_id=answer["device_id"], release_id=answer["release_id"])
        sealed = msgspec.convert(answer["sealed"], bytes)
        with self.keys.open(sealed, info) as opened:
            return bytes(opened[index] for index in range(len(opened)))


def problem_code(response: httpx.Response) -> str:
    """Return the code of an error, and check that the error is a complete problem document."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem = msgspec.json.decode(response.content, type=Problem)
    assert problem.status == response.status_code
    assert problem.title
    assert problem.detail
    assert problem.reference
    return problem.type.removeprefix("urn:recovery-kiosk:problem:")


def wait_for(what: Callable[[], object], seconds: float = 15) -> None:
    """Poll until ``what`` returns something true."""
    limit = TimeLimit(seconds)
    while not what():
        assert not limit.passed()
        time.sleep(0.02)


@contextlib.contextmanager
def running_broker(
    config: BrokerConfig, clock: ThreadClock | None = None, backoff: Backoff = QUICK, ca_bundle: Path | None = None
) -> Iterator[RunningBroker]:
    """Run a broker in a thread of this process, on a real socket, with the test's clock."""
    clock = clock or SystemClock()
    sinks = open_sinks(config.sink, config.record.database, clock, lambda: record.signer)
    record = open_record(config, clock, [sinks] if config.sink else [])
    service = build(config, record, clock, backoff)
    app: Any = create_app(service)
    with (
        listening(config.listen, "broker.toml", config.listen.client_ca) as (sock, tls),
        listening_to_page(config.sign_in) as page,
        sinks.running(),
        record.running(),
    ):
        # A test that moves its clock does not mean the connections of its client.
        server = Server(app, limits=limits(config.listen), clock=SystemClock(), tls=tls)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([sock, *page])))
        thread.start()
        try:
            with _client(config.listen.url, ca_bundle) as http:
                yield RunningBroker(config, http, record, service.metrics, clock=clock)
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


@contextlib.contextmanager
def broker_process(config: BrokerConfig, place: Path, ca_bundle: Path | None = None) -> Iterator[RunningBroker]:
    """Run a broker in another process, with its modules imported before. Its log goes to ``place``."""
    file = place / "broker.toml"
    file.write_text(to_toml(config))
    log_file = place / "broker.log"
    with (
        _client(config.listen.url, ca_bundle) as http,
        warm_process(command_line, _arguments(file), log=log_file) as process,
    ):
        assert process.stdout.readline() == b"ready\n", log_file.read_text()
        yield RunningBroker(config, http, pid=process.pid, log_file=log_file)


@contextlib.contextmanager
def started_broker(config: BrokerConfig, place: Path, ca_bundle: Path | None = None) -> Iterator[RunningBroker]:
    """Run a broker in another process, started from the command line. Its log goes to ``place``."""
    file = place / "broker.toml"
    file.write_text(to_toml(config))
    log_file = place / "broker.log"
    command = broker_command(file)
    with (
        log_file.open("ab") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT) as process,
        _client(config.listen.url, ca_bundle) as http,
    ):
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"ready\n", log_file.read_text()
        try:
            yield RunningBroker(config, http, pid=process.pid, log_file=log_file)
        finally:
            process.stdin.close()
            process.wait(timeout=30)


@contextlib.contextmanager
def brokers(sandbox_directory: Path, place: Path, url: str, count: int, **tables: Any) -> Iterator[list[RunningBroker]]:
    """Start several broker processes at the same time, with one database and one signing key."""
    Signer.load(place / "record.key", make=True)
    starting = []
    for number in range(count):
        own = place / str(number)
        own.mkdir()
        record = {"database": url, "signing_key": place / "record.key", "checkpoint_entries": 7}
        starting.append(broker_process(broker_config(sandbox_directory, own, record=record, **tables), own))
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(count) as pool:
        yield list(pool.map(stack.enter_context, starting))


def broker_command(file: Path) -> list[str]:
    return [sys.executable, "-P", "-s", "-m", "kiosk", *_arguments(file)]


def _arguments(file: Path) -> list[str]:
    return ["broker", "--config", str(file), "--until-stdin-closes"]


def to_toml(config: BrokerConfig) -> str:
    """Return the configuration as TOML."""
    lines = []
    for name, tables in msgspec.to_builtins(config, enc_hook=str).items():
        for table in tables if isinstance(tables, list | tuple) else (tables,):
            lines.append(f"[{name}]" if table is tables else f"[[{name}]]")
            # For these values, JSON is valid TOML.
            lines += [f"{key} = {json.dumps(value)}" for key, value in table.items() if value is not None]
    return "\n".join(lines) + "\n"


def _client(url: str, ca_bundle: Path | None) -> httpx.Client:
    if url.startswith(UNIX_PREFIX):
        transport = httpx.HTTPTransport(uds=url.removeprefix(UNIX_PREFIX), verify=no_authorities())
        return httpx.Client(transport=transport, base_url="http://broker", timeout=30, trust_env=False)
    return httpx.Client(base_url=url, verify=tls_context(ca_bundle), timeout=30, trust_env=False)
