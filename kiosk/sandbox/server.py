"""Starts the sandbox: address, certificates, files, then the service over TLS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kiosk.clock import Clock, SystemClock
from kiosk.net.connections import ConnectionLimits
from kiosk.net.serving import Server, tcp_socket
from kiosk.net.serving import serve as serve_app
from kiosk.sandbox.app import Sandbox
from kiosk.sandbox.certificates import make_certificates
from kiosk.sandbox.files import Files, write_all
from kiosk.sandbox.settings import SandboxConfig

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
        certificates = make_certificates(clock.utc())
        sandbox = Sandbox(config, base, clock, certificates.broker)
        files = Files(Path(config.directory)) if config.directory else Files.temporary()
        try:
            tenant = sandbox.directory.tenant
            tls = write_all(files, config, tenant, base, certificates, sandbox.admin_token)
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
