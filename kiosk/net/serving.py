"""Runs a service on a unix socket or over TLS, reports when it is ready, and stops on a signal or when stdin closes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from kiosk.config.loading import file_versions
from kiosk.errors import ConfigError

if TYPE_CHECKING:
    from uvicorn._types import ASGIApplication

log = logging.getLogger(__name__)

_BACKLOG = 128
_SOCKET_MODE = 0o660
_GRACE_SECONDS = 5
_FIRST_FROM_SYSTEMD = 3


@dataclass(frozen=True)
class Tls:
    """Files with a certificate chain and its private key, in PEM."""

    certificate: Path
    key: Path


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


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close idle connections at once, before uvicorn's own shutdown.

        A client with an idle TLS connection notices the end only when it reads again; uvicorn would wait for it.
        """
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            if connection.transport is not None and (cycle is None or cycle.response_complete):
                connection.transport.abort()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal and return, so that the caller's own clean-up still runs."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True


class _Beside(_Server):
    """A second server in the same process. Leaves the signals to the first."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config, on_ready=lambda: None)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(
    app: ASGIApplication,
    sock: socket.socket,
    *,
    tls: Tls | None = None,
    beside: tuple[ASGIApplication, socket.socket] | None = None,
    on_ready: Callable[[], None] = lambda: None,
    until_stdin_closes: bool = False,
    grace_seconds: int = _GRACE_SECONDS,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP.

    With ``until_stdin_closes``, stop then as well: a child must not outlive its parent. ``beside`` is a second
    application on its own socket, without TLS; it stops with the first. Requests that are still running then have
    ``grace_seconds`` to finish.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        http="h11",
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=grace_seconds,
        proxy_headers=False,
        # uvicorn's own file arguments would prompt on the terminal for the passphrase of a key.
        ssl_context_factory=(lambda _config, _default: renewed_tls(tls)) if tls else None,
    )
    server = _Server(config, on_ready)
    asyncio.run(_serve(server, sock, beside, until_stdin_closes))


async def _serve(
    server: uvicorn.Server,
    sock: socket.socket,
    beside: tuple[ASGIApplication, socket.socket] | None,
    until_stdin_closes: bool,
) -> None:
    loop = asyncio.get_running_loop()

    def on_stdin() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            server.should_exit = True

    if until_stdin_closes:
        loop.add_reader(sys.stdin.fileno(), on_stdin)
    if beside is None:
        await server.serve(sockets=[sock])
        return
    application, second_socket = beside
    second = _Beside(
        uvicorn.Config(application, log_config=None, access_log=False, server_header=False, http="h11", ws="none",
                       lifespan="off", timeout_graceful_shutdown=1, proxy_headers=False)
    )  # fmt: skip
    running = asyncio.create_task(second.serve(sockets=[second_socket]))
    try:
        await server.serve(sockets=[sock])
    finally:
        second.should_exit = True
        await running


def server_tls(tls: Tls) -> ssl.SSLContext:
    """Return a server context for TLS 1.2 or newer. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        reason = f"expected a certificate and its key {tls.key}, in PEM without passphrase: {error.strerror or error}"
        raise ConfigError(tls.certificate, reason) from None
    return context


def renewed_tls(tls: Tls) -> ssl.SSLContext:
    """Return a server context that reloads a replaced certificate at the next connection. Raises ConfigError.

    Keeps the previous certificate while the new files are unusable, as when only one of the two has been written.
    """
    files = (tls.certificate, tls.key)
    seen = file_versions(files)
    current = first = server_tls(tls)

    def choose(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        nonlocal seen, current
        found = file_versions(files)
        if found != seen:
            seen = found
            try:
                current = server_tls(tls)
                log.info("the certificate was replaced: %s", tls.certificate)
            except ConfigError as error:
                log.warning("the replaced certificate cannot be used, the one before stays: %s", error)
        connection.context = current

    first.sni_callback = choose
    return first


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
def unix_socket(path: Path) -> Iterator[socket.socket]:
    """Listen on a unix socket for owner and group only, and remove its file at the end. Raises ConfigError.

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
        before = os.umask(0o117)
        try:
            listener.bind(str(path))
            listener.path = path
        finally:
            os.umask(before)
        path.chmod(_SOCKET_MODE)
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
