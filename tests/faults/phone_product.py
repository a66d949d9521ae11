"""Sandbox, broker and sign-in page in one event loop, with a relay in front of each that is asked by another."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import functools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from kiosk.broker.record.writer import Record, open_record
from kiosk.broker.routes import create_app
from kiosk.broker.server import build, listening_to_page
from kiosk.broker.sign_ins.store import MemoryStore
from kiosk.clock import SystemClock
from kiosk.config.kiosk import BrokerAddress, KioskConfig
from kiosk.config.loading import load
from kiosk.config.sign_in_page import PageBroker, SignInPageConfig
from kiosk.net.listening import limits, listening
from kiosk.net.server_tls import server_tls
from kiosk.net.serving import Server
from kiosk.net.tls import no_authorities
from kiosk.sandbox.app import Sandbox
from kiosk.sandbox.certificates import Certificates
from kiosk.sandbox.faults import Fault, Faults
from kiosk.sandbox.files import Files, write_all
from kiosk.sandbox.http import read_body
from kiosk.sandbox.settings import SandboxConfig
from tests.faults.phone_calls import Cell
from tests.faults.product import serving
from tests.fleet.programs import free_port
from tests.support.broker import QUICK, RunningBroker, broker_config
from tests.support.relay import Relay
from tests.support.sign_in_page import running_page

WHO = "Ada Kessler"
_CONNECT_SECONDS, _TOTAL_SECONDS = 4, 6
_LARGEST_BODY = 1 << 20
# Longer pauses are those of tasks in the background.
_BACKGROUND_SECONDS = 5.0
_POLL_SECONDS = 0.2


class QuickClock(SystemClock):
    """A clock on which the pauses of somebody who waits are short, and the others end when the test says so."""

    def __init__(self) -> None:
        self._turn = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds < _BACKGROUND_SECONDS:
            await asyncio.sleep(min(seconds, _POLL_SECONDS))
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._turn.wait()

    def turn(self) -> None:
        """End the pauses of all tasks in the background."""
        over, self._turn = self._turn, asyncio.Event()
        over.set()


class PhoneProduct:
    """Runs everything for one cell after another. The broker keeps its keys, and the page its connections."""

    def __init__(self, place: Path, certificates: Certificates, spoiled: dict[str, int]) -> None:
        self.clock = QuickClock()
        self.cell: Cell | None = None
        # How often the fault of the newest cell has happened, once it is mended.
        self.met = 0
        self.lines = {name: Relay(spoiled) for name in ("entra", "broker", "page")}
        self.base = f"https://localhost:{self.lines['entra'].port}"
        page = f"https://localhost:{free_port()}"
        config = msgspec.convert({"approve": WHO, "sign_in": {"method": "web"}}, SandboxConfig)
        self.sandbox = Sandbox(config, self.base, page, self.clock, certificates)
        files = Files(place / "s")
        tls = write_all(files, config, self.sandbox.directory.tenant, self.base, page, certificates, "x")
        self._tls = server_tls(tls)
        self.directory, self.ca = files.directory, files.directory / "ca.pem"
        self.faults = Faults(self.clock)
        self.settings = broker_config(self.directory, place)
        self.rows = RunningBroker(self.settings, httpx.Client(verify=no_authorities(), trust_env=False))
        self.record: Record = open_record(self.settings, self.clock)
        service = build(self.settings, self.record, self.clock, QUICK)
        self._app: Any = create_app(service)
        self._sign_ins = service.sign_ins
        self._ways: dict[str, httpx.AsyncClient] = {}

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[PhoneProduct]:
        """Start everything that all cells share."""
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(self.record.running())
            await stack.enter_async_context(self._broker())
            ways = {"broker": self.settings.listen.url, "page": str(self.settings.sign_in.page_listen)}
            for name, socket in ways.items():
                # One connection per request: the broker could close a kept one just as it is used again.
                transport = httpx.AsyncHTTPTransport(
                    uds=socket.removeprefix("unix:"),
                    verify=no_authorities(),
                    limits=httpx.Limits(max_keepalive_connections=0),
                )
                self._ways[name] = await stack.enter_async_context(
                    httpx.AsyncClient(transport=transport, base_url="http://broker", timeout=30, trust_env=False)
                )
            for name in self.lines:
                app = self._entra if name == "entra" else functools.partial(self._between, name)
                self.lines[name].upstream = await stack.enter_async_context(serving(app, tls=self._tls))
                stack.push_async_callback(self.lines[name].close)
                await self.lines[name].play("")
            config = load(self.directory / "sign-in.toml", SignInPageConfig)
            limited = msgspec.structs.replace(
                config.entra, connect_seconds=_CONNECT_SECONDS, total_seconds=_TOTAL_SECONDS
            )
            broker = PageBroker(
                url=f"https://localhost:{self.lines['page'].port}",
                ca_bundle=self.ca,
                connect_seconds=_CONNECT_SECONDS,
                total_seconds=_TOTAL_SECONDS,
            )
            config = msgspec.structs.replace(config, entra=limited, broker=broker)
            await stack.enter_async_context(running_page(config, self.clock))
            yield self

    @contextlib.asynccontextmanager
    async def _broker(self) -> AsyncIterator[None]:
        listen = self.settings.listen
        with listening(listen, "broker.toml") as (sock, _), listening_to_page(self.settings.sign_in) as page:
            server = Server(self._app, limits=limits(listen), clock=SystemClock())
            task = asyncio.ensure_future(server.serve([sock, *page]))
            try:
                yield
            finally:
                server.should_exit = True
                await task

    def kiosk(self) -> KioskConfig:
        """Return the configuration of a kiosk."""
        config = load(self.directory / "kiosk.toml", KioskConfig)
        url = f"https://localhost:{self.lines['broker'].port}"
        return msgspec.structs.replace(
            config,
            broker=BrokerAddress(
                url=url, ca_bundle=self.ca, connect_seconds=_CONNECT_SECONDS, total_seconds=_TOTAL_SECONDS
            ),
        )

    @contextlib.asynccontextmanager
    async def playing(self, cell: Cell) -> AsyncIterator[None]:
        """Let a cell's fault happen from its call on, until ``mend``."""
        self.rows.forget_rows()
        for line in self.lines.values():
            line.struck = 0
            # Open connections, kept for the next request, would never meet the fault.
            if cell.line:
                await line.drop()
        self.cell = cell
        if cell.call.path.endswith("/alive"):
            # As if a minute had passed since the last report.
            self._sign_ins._started = float("-inf")
            self._store._names.pop("page", None)
        if cell.fault:
            faults = self.sandbox._faults if cell.call.line == "entra" else self.faults
            faults.arm(msgspec.convert(cell.fault, Fault))
        elif cell.call.after is None:
            await self.lines[cell.call.line].play(cell.line)
        self.clock.turn()
        try:
            yield
        finally:
            await self.mend()

    @property
    def struck(self) -> int:
        """How many requests or connections have met the fault."""
        listed = self.sandbox._faults.listed() + self.faults.listed()
        return sum(int(one["hits"]) for one in listed) + sum(line.struck for line in self.lines.values())

    async def mend(self) -> None:
        """End the fault. A page that could not report does so."""
        if self.cell is None:
            return
        self.cell = None
        self.met = self.struck
        self.sandbox._faults.disarm()
        self.faults.disarm()
        for line in self.lines.values():
            await line.play("")
        while not await self._store.find("page"):
            self.clock.turn()
            await asyncio.sleep(_POLL_SECONDS)

    async def happened(self, event: str) -> None:
        """Start the faulty connection if it is the one after this event."""
        cell = self.cell
        if cell and cell.line and cell.call.after and fnmatch.fnmatchcase(event, cell.call.after):
            await self.lines[cell.call.line].play(cell.line)

    async def left_open(self) -> int:
        """Return how many sign-ins are still under way."""
        open_ones = sum(not one.is_over for one in self._store._sign_ins.values())
        self._store._sign_ins.clear()
        return open_ones

    @property
    def _store(self) -> MemoryStore:
        store = self._sign_ins._store
        assert isinstance(store, MemoryStore)
        return store

    async def _entra(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.sandbox(scope, receive, self._closing("entra", scope, send))

    async def _between(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward to the broker, as a load balancer does, and play faults."""
        request = Request(scope, receive)
        try:
            body = await read_body(request, _LARGEST_BODY) or b""
        except ClientDisconnect:
            return
        sending = self._closing(name, scope, send)
        answer = functools.partial(self._ask, name, request, body)
        if fault := self.faults.strike(request):
            await self.faults.play(fault, request, answer, receive, sending)
            return
        await (await answer())(scope, receive, sending)

    async def _ask(self, name: str, request: Request, sent: bytes) -> Response:
        headers = {key: value for key, value in request.headers.items() if key not in {"host", "content-length"}}
        answer = await self._ways[name].request(request.method, request["path"], headers=headers, content=sent)
        kept = {"content-type": answer.headers.get("content-type", "")}
        return Response(answer.content, answer.status_code, kept)

    def _closing(self, name: str, scope: Scope, send: Send) -> Send:
        """With a faulty connection, close it after each request, so that the next request meets the fault."""
        if not (self.cell and self.cell.line):
            return send

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            elif not message.get("more_body"):
                await self.happened(f"{name} {scope['method']} {scope['path']}")
            await send(message)

        return sending
