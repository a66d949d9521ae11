"""Opens what a service listens on, as its configuration says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from typing import Protocol
from urllib.parse import urlsplit

from kiosk.errors import ConfigError
from kiosk.net.connections import ConnectionLimits
from kiosk.net.http import UNIX_PREFIX
from kiosk.net.server_tls import Tls, server_tls
from kiosk.net.serving import tcp_socket, unix_socket

_HTTPS_PORT = 443
_FEWEST_HANDSHAKES = 16


class ListenSettings(Protocol):
    """The table ``[listen]`` of a service."""

    @property
    def url(self) -> str: ...

    @property
    def certificate(self) -> Path | None: ...

    @property
    def key(self) -> Path | None: ...

    @property
    def connections(self) -> int: ...

    @property
    def connections_per_address(self) -> int: ...

    @property
    def request_seconds(self) -> int: ...


def limits(listen: ListenSettings) -> ConnectionLimits:
    """Return the limits on connections as configured."""
    return ConnectionLimits(
        connections=listen.connections,
        per_address=min(listen.connections_per_address, listen.connections),
        handshakes_per_second=max(_FEWEST_HANDSHAKES, listen.connections / 4),
        handshake_seconds=listen.request_seconds,
        head_seconds=listen.request_seconds,
        body_seconds=listen.request_seconds,
    )


@contextlib.contextmanager
def listening(
    listen: ListenSettings, file: str, client_ca: Path | None = None, client_crl: Path | None = None
) -> Iterator[tuple[socket, Tls | None]]:
    """Listen on the configured address; yields the socket, and a certificate if it is TCP.

    With ``client_ca``, clients need a certificate. Raises ConfigError, which names the ``file`` of the configuration.
    """
    if listen.url.startswith(UNIX_PREFIX):
        if client_ca:
            raise ConfigError(file, "only an https address has client certificates", key="listen.client_ca")
        with unix_socket(Path(listen.url.removeprefix(UNIX_PREFIX))) as sock:
            yield sock, None
        return
    if listen.certificate is None or listen.key is None:
        missing = "certificate" if listen.certificate is None else "key"
        raise ConfigError(file, "missing; an https address needs it", key=f"listen.{missing}")
    if client_crl and not client_ca:
        raise ConfigError(file, "missing; client_crl needs it", key="listen.client_ca")
    tls = Tls(listen.certificate, listen.key, client_ca, client_crl)
    server_tls(tls)
    address = urlsplit(listen.url)
    try:
        host, port = address.hostname or "", address.port or _HTTPS_PORT
    except ValueError:
        raise ConfigError(file, f"expected a port in {listen.url}", key="listen.url") from None
    with tcp_socket(host, port) as sock:
        yield sock, tls
