"""Sandbox, broker and kiosk in one event loop, with one fault at a time. Many of them run in parallel."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import functools
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from kiosk.broker.record.writer import Record, open_record
from kiosk.broker.routes import create_app
from kiosk.broker.server import build
from kiosk.broker.service import Service
from kiosk.broker.tokens.proofs import Proofs
from kiosk.clock import Deadline
from kiosk.config.broker import BrokerConfig
from kiosk.config.kiosk import KioskConfig
from kiosk.config.loading import load
from kiosk.models import Person
from kiosk.net.server_tls import server_tls
from kiosk.net.serving import unix_socket
from kiosk.net.tls import no_authorities
from kiosk.sandbox.app import Sandbox
from kiosk.sandbox.certificates import Certificates
from kiosk.sandbox.faults import Fault, Faults
from kiosk.sandbox.files import Files, write_all
from kiosk.sandbox.http import json_response, read_body
from kiosk.sandbox.settings import SandboxConfig
from tests.faults.calls import Call
from tests.support.broker import QUICK, MovedClock, RunningBroker, broker_config
from tests.support.relay import Relay

LIMITS = {"connect_seconds": 6, "total_seconds": 9}
BROKER_SECONDS = 18
WHO = "Ada Kessler"
_LARGEST_BODY = 1 << 20

Configuration = TypeVar("Configuration", KioskConfig, BrokerConfig)


class QuickClock(MovedClock):
    """A clock with an offset, on which nobody sleeps longer than 50 ms between two polls."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.05))


@dataclass(eq=False)
class Cell:
    """One fault at one call."""

    call: Call
    name: str
    fault: dict[str, Any] | None = None
    line: str = ""
    kiosk: dict[str, dict[str, Any]] = field(default_factory=dict)
    broker: dict[str, dict[str, Any]] = field(default_factory=dict)
    harmless: bool = False

    def __str__(self) -> str:
        return f"{self.call.name}: {self.name}"


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Product:
    """A sandbox, a broker, and a relay in front of each. A cell gets a broker without cached keys and tokens."""

    def __init__(self, place: Path, certificates: Certificates, spoiled: dict[str, int], page_size: int = 1) -> None:
        self.clock = QuickClock()
        self.cell: Cell | None = None
        self.phase = ""
        self.person = Person(tid="", oid="", name="", address="")
        self.lines = {"entra": Relay(spoiled), "broker": Relay(spoiled)}
        base = f"https://localhost:{self.lines['entra'].port}"
        page = "https://localhost:1"
        sandbox_settings = {
            "approve": WHO,
            "sign_in": {"method": "device_code"},
            "graph": {"page_size": page_size},
            "device_code": {"interval_seconds": 0},
        }
        config = msgspec.convert(sandbox_settings, SandboxConfig)
        self.sandbox = Sandbox(config, base, page, self.clock, certificates)
        self.place = place
        files = Files(place / "s")
        tls = write_all(files, config, self.sandbox.directory.tenant, base, page, certificates, "x")
        self._tls = server_tls(tls)
        self.directory = files.directory
        self.faults = Faults(self.clock)
        self._service: Service | None = None
        self._app: Any = None
        self._used = False
        self._rest: list[Any] = []
        self._forward: httpx.AsyncClient | None = None
        settings = broker_config(self.directory, place, graph={"read_seconds": 4, **LIMITS}, rules=_UNLIMITED)
        self.settings = settings
        self.rows = RunningBroker(settings, httpx.Client(verify=no_authorities(), trust_env=False))
        self.record: Record = open_record(settings, self.clock)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Product]:
        """Start everything that all cells share."""
        socket = self.place / "b"
        # One connection per request: the broker could close a kept one just as it is used again.
        limits = httpx.Limits(max_keepalive_connections=0)
        transport = httpx.AsyncHTTPTransport(uds=str(socket), verify=no_authorities(), limits=limits)
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(self.record.running())
            self._forward = await stack.enter_async_context(
                httpx.AsyncClient(transport=transport, base_url="http://broker", timeout=30, trust_env=False)
            )
            listening = stack.enter_context(unix_socket(socket))
            await stack.enter_async_context(serving(self._broker, sock=listening))
            for name, app in (("entra", self._entra), ("broker", self._between)):
                port = await stack.enter_async_context(serving(app, tls=self._tls))
                self.lines[name].upstream = port
                stack.push_async_callback(self.lines[name].close)
                await self.lines[name].play("")
            try:
                yield self
            finally:
                if self._service:
                    await self._service.close()

    @contextlib.asynccontextmanager
    async def playing(self, cell: Cell) -> AsyncIterator[KioskConfig]:
        """Prepare the broker and arm the cell's fault. Yields the configuration of a kiosk that will meet it."""
        # The credential is made with the machine's clock, so this one must not run far ahead of it.
        self.clock.ahead = timedelta()
        self.rows.forget_rows()
        self.sandbox._requests.clear()
        for line in self.lines.values():
            line.struck = 0
        self.cell, self.phase = cell, ""
        if self._service and cell.call.cold == "keys" and not cell.broker:
            ring = self._service._tokens._keys
            ring._cached = ring._ended_at = None
        if self._service:
            # The clock went back, so a proof could seem older than this broker's start.
            self._service._proofs = Proofs(self.clock)
            # For the same reason, a pause that the cell before was asked for would begin again.
            get: Any = self._service._graph._get
            get.__self__._pause = Deadline.after(self.clock, 0)
        if self._service is None or cell.call.cold == "credential" or cell.broker or self._used:
            if self._service:
                await self._service.close()
            self._service = build(_changed(self.settings, cell.broker), self.record, self.clock, QUICK)
            self._app = create_app(self._service)
        self._used = bool(cell.broker)
        await self.enter("sign_in")
        if cell.call.line == "broker" and cell.fault:
            self.faults.arm(msgspec.convert({"path": cell.call.path, **cell.fault}, Fault))
        if cell.line:
            # Open connections, kept for the next request, would never meet the fault.
            await self.lines[cell.call.line].drop()
        if cell.line and cell.call.after is None:
            await self.lines[cell.call.line].play(cell.line)
        try:
            yield self._kiosk(cell)
        finally:
            await self.mend()

    async def mend(self) -> None:
        """End the fault, and advance the clock past every retry delay."""
        if self.cell:
            self.cell = None
            self.sandbox._faults.disarm()
            self.faults.disarm()
            for line in self.lines.values():
                await line.play("")
        self.clock.ahead += timedelta(seconds=61)

    def approve(self) -> None:
        """Advance the clock until the person has signed in on the phone."""
        self.clock.ahead += timedelta(seconds=1.1)

    @property
    def struck(self) -> int:
        """How many requests or connections have met the fault."""
        listed = self.sandbox._faults.listed() + self.faults.listed()
        return sum(int(one["hits"]) for one in listed) + sum(line.struck for line in self.lines.values())

    def keys_fetched(self) -> list[str]:
        """Return the fault that each of the sandbox's answers with a recovery key met; empty for none."""
        asked = self.sandbox._requests.entries()
        return [one.fault for one in asked if one.path.endswith("/getFileVaultKey") and one.status == 200]

    async def enter(self, phase: str) -> None:
        """Note the kiosk's step. Faults of the sandbox are armed only in the step of their call."""
        if phase == self.phase:
            return
        self.phase = phase
        self.sandbox._faults.disarm()
        cell = self.cell
        if cell is None or cell.call.phase != phase:
            return
        if cell.call.keyless:
            self.sandbox._faults.arm(Fault(path="*/getFileVaultKey", kind="status", status=404))
        if cell.call.line == "entra" and cell.fault:
            self.sandbox._faults.arm(msgspec.convert({"path": cell.call.path, **cell.fault}, Fault))

    async def _served(self, path: str) -> None:
        cell = self.cell
        if cell and cell.line and cell.call.after and fnmatch.fnmatchcase(f"{self.phase} {path}", cell.call.after):
            await self.lines[cell.call.line].play(cell.line)

    async def _entra(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.sandbox(scope, receive, self._closing(scope, send))

    async def _broker(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def _between(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward from kiosk to broker, as a load balancer does. Split the list into two pages, and play faults."""
        request, path = Request(scope, receive), scope["path"]
        try:
            body = await read_body(request, _LARGEST_BODY) or b""
        except ClientDisconnect:
            return
        # The end of a session, for which nobody waits, is no step of its own.
        if scope["method"] != "DELETE":
            await self.enter(next((name for part, name in _PHASES if part in path), self.phase))
        await self._served(f"> {path}")
        sending = self._closing(scope, send)
        if fault := self.faults.strike(request):
            await self.faults.play(fault, request, functools.partial(self._ask, request, body), receive, sending)
            return
        await (await self._ask(request, body))(scope, receive, sending)

    async def _ask(self, request: Request, sent: bytes) -> Response:
        assert self._forward is not None
        path = request["path"]
        if path == "/v1/devices" and request["query_string"]:
            return json_response({"devices": self._rest})
        headers = {name: value for name, value in request.headers.items() if name not in {"host", "content-length"}}
        answer = await self._forward.request(request.method, path, headers=headers, content=sent)
        kept = {"content-type": answer.headers.get("content-type", "")}
        body = answer.content
        if path == "/v1/devices" and answer.is_success:
            first, self._rest = (devices := msgspec.json.decode(body)["devices"])[:1], devices[1:]
            body = msgspec.json.encode({"devices": first, "next": "2"})
        return Response(body, answer.status_code, kept)

    def _closing(self, scope: Scope, send: Send) -> Send:
        """With a faulty connection, close it after each request, so that the next request meets the fault."""
        if not (self.cell and self.cell.line):
            return send

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            elif not message.get("more_body"):
                query = scope["query_string"].decode()
                await self._served(f"{scope['path']}?{query}" if query else scope["path"])
            await send(message)

        return sending

    def _kiosk(self, cell: Cell) -> KioskConfig:
        config = load(self.directory / "kiosk.toml", KioskConfig)
        limits = {"connect_seconds": 6, "total_seconds": BROKER_SECONDS}
        url = f"https://localhost:{self.lines['broker'].port}"
        tables: dict[str, dict[str, Any]] = {
            "device_code": dict(LIMITS),
            "broker": {"url": url, "ca_bundle": str(config.device_code_settings.ca_bundle), **limits},
        }
        return _changed(config, {name: table | cell.kiosk.get(name, {}) for name, table in tables.items()})


_UNLIMITED: dict[str, Any] = {"per_person": (), "per_device": ()}
_PHASES = (
    ("/v1/session", "session"),
    ("/v1/devices/", "release"),
    ("/v1/devices", "devices"),
    ("/closed", "closed"),
    ("/lost", "lost"),
)


def _changed(config: Configuration, tables: dict[str, dict[str, Any]]) -> Configuration:
    for name, values in tables.items():
        before: Any = getattr(config, name)
        whole = msgspec.to_builtins(before, enc_hook=str) | values
        section = msgspec.convert(whole, type(before), dec_hook=lambda kind, value: kind(value))
        config = msgspec.structs.replace(config, **{name: section})
    return config


@contextlib.asynccontextmanager
async def serving(app: Any, *, tls: ssl.SSLContext | None = None, sock: Any = None) -> AsyncIterator[int]:
    config = uvicorn.Config(
        app,
        port=0,
        log_config=None,
        access_log=False,
        lifespan="off",
        interface="asgi3",
        http="h11",
        ws="none",
        ssl_context_factory=(lambda _config, _default: tls) if tls else None,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    task = asyncio.ensure_future(server.serve([sock] if sock else None))
    while not server.started:  # noqa: ASYNC110 - uvicorn has nothing to wait for
        await asyncio.sleep(0.01)
    try:
        yield 0 if sock else server.servers[0].sockets[0].getsockname()[1]
    finally:
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        server.should_exit = True
        await task
