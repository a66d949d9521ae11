"""Runs a service on a unix socket or over TLS, reports when it is ready, and stops on a signal or when stdin closes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from kiosk.clock import Clock
from kiosk.errors import ConfigError
from kiosk.net.connections import Acceptor, Connection, ConnectionLimits
from kiosk.net.limited_http import LimitedHttp
from kiosk.net.log_limit import LimitedLogger
from kiosk.net.server_tls import RenewedTls, Tls

if TYPE_CHECKING:
    from uvicorn._types import ASGIApplication

_BACKLOG = 128
_SOCKET_MODE = 0o660
_GRACE_SECONDS = 5
_FLUSH_SECONDS = 5.0
_FIRST_FROM_SYSTEMD = 3


class _UnixListener(socket.socket):
    """A listening unix socket that removes its file just before it closes.

    A server that stops closes its listeners first and then finishes its requests. Meanwhile a successor may bind the
    same path, and its file must stay.
    """

    path: Path | None = None

    def close(self) -> None:
        """Remove the file, then close the socket."""
        path, self.path = self.path, None
        if path:
            path.unlink(missing_ok=True)
        super().close()


@dataclass(frozen=True)
class Draining:
    """What happens between the signal to stop and the end: ``begin`` is called, then everything is served for a time.

    Balancers see in that time that this server is about to go, and send nothing more.
    """

    seconds: float = 0
    begin: Callable[[], None] = lambda: None


class Server(uvicorn.Server):
    """uvicorn's server, with its own way to accept connections."""

    def __init__(
        self,
        app: ASGIApplication,
        *,
        limits: ConnectionLimits,
        clock: Clock,
        tls: Tls | None = None,
        lifespan: bool = True,
        grace_seconds: int = _GRACE_SECONDS,
        on_ready: Callable[[], None] = lambda: None,
        draining: Draining | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                http="h11",
                ws="none",
                lifespan="on" if lifespan else "off",
                timeout_graceful_shutdown=grace_seconds,
                timeout_keep_alive=math.ceil(limits.idle_seconds),
                proxy_headers=False,
            )
        )
        self._limits = limits
        self.clock = clock
        self._tls = RenewedTls(tls) if tls else None
        self._on_ready = on_ready
        self._draining = draining or Draining()
        self._drain: asyncio.Task[None] | None = None
        self.acceptors: list[Acceptor] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        if not self.started:
            return
        for sock in sockets or []:
            tls = None if sock.family == socket.AF_UNIX else self._tls
            acceptor = Acceptor(sock, self._protocol, self._limits, self.clock, tls)
            acceptor.start()
            self.acceptors.append(acceptor)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close idle connections at once, before uvicorn's own shutdown.

        A client with an idle TLS connection notices the end only when it reads again; uvicorn would wait for it.
        """
        for acceptor in self.acceptors:
            acceptor.stop()
        if self._drain:
            self._drain.cancel()
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            if connection.transport is not None and (cycle is None or cycle.response_complete):
                connection.transport.abort()
        await super().shutdown(sockets)
        for acceptor in self.acceptors:
            acceptor.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to ``serve``, which stops all servers of the process."""
        yield

    def stop(self, *, at_once: bool = False) -> None:
        """Stop after draining, or at once if that has begun already."""
        if at_once or self._drain or not self._draining.seconds:
            self.should_exit = True
        else:
            self._draining.begin()
            self._drain = asyncio.get_running_loop().create_task(self._stop_later())

    async def _stop_later(self) -> None:
        await self.clock.sleep(self._draining.seconds)
        self.should_exit = True

    def _protocol(self, connection: Connection) -> LimitedHttp:
        return LimitedHttp(self.config, self.server_state, self.lifespan.state, connection, self._limits, self.clock)


def serve(
    server: Server,
    *sockets: socket.socket,
    beside: tuple[Server, socket.socket] | None = None,
    until_stdin_closes: bool = False,
    until: Future[None] | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP.

    With ``until_stdin_closes`` or ``until``, stop then as well: a child must not outlive its parent. ``beside`` is a
    second server on its own socket; it stops with the first.
    """
    asyncio.run(_serve(server, sockets, beside, until_stdin_closes, until))


async def _serve(
    server: Server,
    sockets: Sequence[socket.socket],
    beside: tuple[Server, socket.socket] | None,
    until_stdin_closes: bool,
    until: Future[None] | None,
) -> None:
    loop = asyncio.get_running_loop()

    def stop(_done: object) -> None:
        with contextlib.suppress(RuntimeError):
            # Raised when the loop has ended by itself meanwhile.
            loop.call_soon_threadsafe(setattr, server, "should_exit", True)

    def on_stdin() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            server.stop(at_once=True)

    # Return on a signal, so that the caller's own clean-up still runs.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, server.stop)
    if until:
        until.add_done_callback(stop)
    if until_stdin_closes:
        try:
            loop.add_reader(sys.stdin.fileno(), on_stdin)
        except PermissionError:
            # A file or /dev/null, which cannot be waited for: there is no parent that holds it open.
            server.stop(at_once=True)
    async with limited_log(server.clock):
        if beside is None:
            await server.serve(sockets=list(sockets))
            return
        second, second_socket = beside
        running = asyncio.create_task(second.serve(sockets=[second_socket]))
        try:
            await server.serve(sockets=list(sockets))
        finally:
            second.stop(at_once=True)
            await running


@contextlib.asynccontextmanager
async def limited_log(clock: Clock) -> AsyncIterator[None]:
    """Bound what peers can make uvicorn log, such as a line for each request that is no HTTP."""
    logger, limit = logging.getLogger("uvicorn.error"), LimitedLogger(clock, "http")

    async def flush() -> None:
        while True:
            await clock.sleep(_FLUSH_SECONDS)
            limit.flush()

    flushing = asyncio.create_task(flush())
    logger.addFilter(limit)
    try:
        yield
    finally:
        flushing.cancel()
        logger.removeFilter(limit)
        limit.flush(now=True)


def _from_systemd() -> socket.socket | None:
    """Return the socket that systemd opened for this service (sd_listen_fds), or None. Raises ConfigError."""
    count = os.environ.pop("LISTEN_FDS", "")
    if os.environ.pop("LISTEN_PID", "") != str(os.getpid()):
        return None
    if count != "1":
        raise ConfigError("the service's .socket unit", f"expected one ListenStream, not {count or 'none'}")
    try:
        given = socket.socket(fileno=_FIRST_FROM_SYSTEMD)
    except OSError as error:
        raise ConfigError("the service's .socket unit", f"expected a socket: {error.strerror}") from None
    given.set_inheritable(False)
    return given


@contextlib.contextmanager
def unix_socket(path: Path, mode: int = _SOCKET_MODE) -> Iterator[socket.socket]:
    """Listen on a unix socket, usually for owner and group only, and remove its file at the end. Raises ConfigError.

    If systemd opened the socket, systemd sets its mode and removes its file.
    """
    if given := _from_systemd():
        with contextlib.closing(given):
            if given.getsockname() != str(path):
                raise ConfigError(path, f"expected systemd to listen here too, not on {given.getsockname()}")
            yield given
        return
    listener = _UnixListener(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_left_over(path)
        # uvicorn would give its own socket mode 0666.
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
            listener.path = path
        finally:
            os.umask(before)
        path.chmod(mode)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(path, f"expected to listen on this socket: {error.strerror or error}") from None
    with contextlib.closing(listener):
        yield listener


def _remove_left_over(path: Path) -> None:
    """Remove the socket of a process that was killed. Leave one on which a process still listens."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def tcp_socket(host: str, port: int) -> Iterator[socket.socket]:
    """Listen on a TCP socket, or on systemd's if it opened one. Port 0 picks a free port. Raises ConfigError."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = _from_systemd() or socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(f"{host}:{port}", f"expected to listen here: {error.strerror or error}") from None
    if listener.family == socket.AF_UNIX or port not in (0, listener.getsockname()[1]):
        listener.close()
        raise ConfigError(f"{host}:{port}", "expected systemd to listen here too")
    # Without this, each response waits for the client's delayed acknowledgement. asyncio sets it only on sockets with a
    # protocol number, which create_server does not pass. Accepted connections inherit it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.closing(listener):
        yield listener
