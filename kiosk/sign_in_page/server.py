"""Builds the sign-in page from its configuration and runs it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

from kiosk import __version__
from kiosk.clock import Clock, SystemClock
from kiosk.config.loading import expect_closed
from kiosk.config.sign_in_page import SignInPageConfig
from kiosk.errors import ConfigError
from kiosk.net import serving
from kiosk.net.listening import limits, listening
from kiosk.process import events
from kiosk.sign_in_page.app import CALLBACK, SignInPage
from kiosk.sign_in_page.broker import Broker
from kiosk.sign_in_page.entra import Entra
from kiosk.sign_in_page.headers import origin_of


def serve(
    config: SignInPageConfig,
    *,
    until_stdin_closes: bool = False,
    on_ready: Callable[[], None] = lambda: None,
    clock: Clock | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, or until stdin closes. Logs to stderr. Raises ConfigError at the start."""
    _expect_closed_files(config)
    events.to_stream(sys.stderr, events.LEVELS[config.log.level])
    clock = clock or SystemClock()
    page = build(config, clock)

    def ready() -> None:
        # What is loaded by now stays, so that the page can look often for what does not.
        gc.freeze()
        events.event("listening", url=config.listen.url, address=config.listen.address, version=__version__)
        on_ready()

    with listening(config.listen, "sign-in.toml") as (sock, tls):
        server = serving.Server(
            page.app(),
            limits=limits(config.listen).within_descriptors(),
            clock=clock,
            tls=tls,
            grace_seconds=config.entra.total_seconds + config.broker.total_seconds,
            on_ready=ready,
        )
        serving.serve(server, sock, until_stdin_closes=until_stdin_closes)


def build(config: SignInPageConfig, clock: Clock) -> SignInPage:
    """Return the page as configured. Opens no connection. Raises ConfigError."""
    address = config.listen.address.rstrip("/")
    if urlsplit(address).path or urlsplit(address).query:
        raise ConfigError("sign-in.toml", "expected an address without a path", key="listen.address")
    if (config.broker.certificate is None) != (config.broker.key is None):
        raise ConfigError("sign-in.toml", "expected both or none", key="broker.certificate, broker.key")
    entra = Entra(config.entra, f"{origin_of(address)}{CALLBACK}", clock)
    return SignInPage(config, Broker(config.broker), entra, clock)


def _expect_closed_files(config: SignInPageConfig) -> None:
    """Refuse to start while others can open a file with a secret, or replace what is in it. Raises ConfigError."""
    secrets = [
        (config.entra.certificate, "the certificate with its private key"),
        (config.entra.passphrase_file, "the passphrase"),
        (config.listen.key, "the private key"),
        (config.broker.key, "the private key"),
    ]
    for path, what in secrets:
        if path:
            expect_closed(path, what)
