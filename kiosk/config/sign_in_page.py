"""``sign-in.toml``: every table and key of the sign-in page's configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from kiosk.config.broker import AuthenticationContext, LogLevel
from kiosk.config.types import HttpsUrl, Seconds, Section, ServiceUrl, Text


class PageListen(Section, frozen=True, kw_only=True):
    """Where the page listens: for phones over TLS, or on a unix socket for a reverse proxy that has the certificate.

    ``address`` is the one that phones open. ``proxies`` are the addresses of reverse proxies whose ``Forwarded`` or
    ``X-Forwarded-For`` header is believed; on a unix socket it always is.
    """

    address: HttpsUrl
    url: ServiceUrl = "unix:/run/kiosk-sign-in/page.sock"
    certificate: Path | None = None
    key: Path | None = None
    proxies: tuple[Text, ...] = ()
    connections: Annotated[int, Meta(ge=16, le=16_384)] = 256
    connections_per_address: Annotated[int, Meta(ge=1, le=16_384)] = 32
    request_seconds: Annotated[int, Meta(ge=1, le=60)] = 10


class EntraSettings(Section, frozen=True, kw_only=True):
    """The application *Kiosk sign-in* in Entra ID, with its certificate and private key in one file (PEM or PFX).

    ``scope`` is that of the Kiosk API. ``context`` is the authentication context to ask for, the same as in
    ``broker.toml``.
    """

    authority: HttpsUrl
    client_id: Text
    certificate: Path
    passphrase_file: Path | None = None
    scope: Text
    context: AuthenticationContext | None = None
    ca_bundle: Path | None = None
    connect_seconds: Seconds = 5
    total_seconds: Seconds = 20


class PageBroker(Section, frozen=True, kw_only=True):
    """Where the broker is. Over https, ``certificate`` and ``key`` (PEM) show that this is the sign-in page."""

    url: ServiceUrl = "unix:/run/kiosk-broker/broker.sock"
    ca_bundle: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    connect_seconds: Seconds = 5
    total_seconds: Seconds = 20


class PageOrganisation(Section, frozen=True, kw_only=True):
    """Whose page it is, and whom to ask."""

    name: Text
    helpdesk: Text


class PageLog(Section, frozen=True, kw_only=True):
    """How much the page writes to stderr."""

    level: LogLevel = "info"


class SignInPageConfig(Section, frozen=True, kw_only=True):
    """``sign-in.toml``."""

    organisation: PageOrganisation
    listen: PageListen
    entra: EntraSettings
    broker: PageBroker = PageBroker()
    log: PageLog = PageLog()
