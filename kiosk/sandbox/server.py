"""Starts the sandbox: address, certificates, files, then the service over TLS."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kiosk.clock import Clock, SystemClock
from kiosk.errors import ConfigError
from kiosk.net.connections import ConnectionLimits
from kiosk.net.serving import Server, tcp_socket
from kiosk.net.serving import serve as serve_app
from kiosk.sandbox.app import Sandbox
from kiosk.sandbox.certificates import make_certificates
from kiosk.sandbox.files import Files, write_all
from kiosk.sandbox.settings import SandboxConfig

_PORTS = range(20_000, 32_000)
_TRIES = 50
_LOOPBACK = "127.0.0.1"
# Broker and tests ask from one address, and may ask for much.
_LIMITS = ConnectionLimits(connections=2048, per_address=2048, handshakes_per_second=100_000)


@dataclass(frozen=True)
class Ready:
    """Address and files of a running sandbox. ``directory`` holds kiosk.toml, broker.toml and ca.pem."""

    url: str
    directory: Path
    admin_token: str = field(repr=False)


def serve(
    config: SandboxConfig,
    *,
    until_stdin_closes: bool = False,
    on_ready: Callable[[Ready], None] = lambda ready: None,
    clock: Clock | None = None,
) -> None:
    """Run a sandbox until SIGTERM or SIGINT, or until stdin is closed. Raises ConfigError."""
    clock = clock or SystemClock()
    with tcp_socket(config.listen.host, config.listen.port) as sock:
        # The name is the same on every loopback address, so browsers and our own clients see one address.
        base = f"https://localhost:{sock.getsockname()[1]}"
        page = f"https://localhost:{config.sign_in.port or _free_port()}"
        certificates = make_certificates(clock.utc())
        sandbox = Sandbox(config, base, page, clock, certificates)
        files = Files(Path(config.directory)) if config.directory else Files.temporary()
        try:
            tenant = sandbox.directory.tenant
            tls = write_all(files, config, tenant, base, page, certificates, sandbox.admin_token)
            ready = Ready(base, files.directory, sandbox.admin_token)
            app: Any = sandbox  # Starlette and uvicorn type ASGI differently
            server = Server(
                app,
                tls=tls,
                limits=_LIMITS.within_descriptors(),
                clock=SystemClock(),
                on_ready=lambda: on_ready(ready),
            )
            serve_app(server, sock, until_stdin_closes=until_stdin_closes)
        finally:
            if config.remove_files or not config.directory:
                files.remove()


def _free_port() -> int:
    """Return a port that nobody listens on. Raises ConfigError.

    It is below those that the system gives to outgoing connections, one of which could take it before the page does.
    """
    for port in random.sample(_PORTS, _TRIES):
        with contextlib.suppress(ConfigError), tcp_socket(_LOOPBACK, port):
            return port
    raise ConfigError("sandbox", "no free port for the sign-in page", key="sign_in.port")
