"""Builds the broker from its configuration and runs it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from socket import socket

import httpx

from kiosk import __version__
from kiosk.broker import logs, monitoring
from kiosk.broker.graph.client import Graph
from kiosk.broker.graph.credential import Credential
from kiosk.broker.graph.requests import Backoff, GraphHttp
from kiosk.broker.metrics import Metrics
from kiosk.broker.monitoring import Observed, State
from kiosk.broker.record.database import sqlite_file
from kiosk.broker.record.writer import Record, open_record
from kiosk.broker.routes import create_app
from kiosk.broker.service import Service
from kiosk.broker.sign_ins.id_tokens import PhoneTokens
from kiosk.broker.sign_ins.parties import Parties, user_id
from kiosk.broker.sign_ins.service import SignIns, SignInSettings
from kiosk.broker.sign_ins.shared_store import SharedStore
from kiosk.broker.sign_ins.store import MemoryStore
from kiosk.broker.sinks import open_sinks
from kiosk.broker.tokens.signing_keys import KeyRing
from kiosk.broker.tokens.validation import Tokens
from kiosk.clock import Clock, SystemClock, ThreadClock
from kiosk.config.broker import BrokerConfig, SignInRules
from kiosk.config.loading import expect_closed
from kiosk.models import SignInMethod
from kiosk.net import serving
from kiosk.net.http import UNIX_PREFIX, timeouts
from kiosk.net.listening import limits, listening
from kiosk.net.tls import tls_context

_BACKOFF = Backoff()
# How long a release may write to a slow record, in addition to its calls to Graph.
_WRITING_SECONDS = 20
_OWN_USER, _OTHER_USER = 0o600, 0o660


def serve(
    config: BrokerConfig,
    *,
    until_stdin_closes: bool = False,
    on_ready: Callable[[], None] = lambda: None,
    clock: ThreadClock | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, or until stdin closes. Logs to stderr. Raises ConfigError at the start."""
    expect_closed_files(config)
    # Before a wrong configuration leaves a new key file behind.
    Parties.of(config)
    logs.to_stream(sys.stderr, logs.LEVELS[config.log.level])
    clock = clock or SystemClock()
    sinks = open_sinks(config.sink, config.record.database, clock, lambda: record.signer)
    record = open_record(config, clock, [sinks] if config.sink else [])
    service = build(config, record, clock)
    metrics = service.metrics
    state = State(config, clock)
    with (
        contextlib.closing(state),
        listening(config.listen, "broker.toml", config.listen.client_ca, config.listen.client_crl) as (sock, tls),
        listening_to_page(config.sign_in) as page,
        monitoring.listening(config.metrics) as second,
        sinks.running(),
        record.running(),
    ):
        metrics.watch(state)

        def ready() -> None:
            logs.event("listening", url=config.listen.url, version=__version__)
            on_ready()

        server = serving.Server(
            Observed(create_app(service), metrics, clock),
            limits=limits(config.listen).within_descriptors(),
            clock=clock,
            tls=tls,
            grace_seconds=config.graph.total_seconds + _WRITING_SECONDS,
            on_ready=ready,
            draining=serving.Draining(config.listen.drain_seconds, service.drain),
        )
        metrics.watch(monitoring.Connections(server))
        beside = (monitoring.server(metrics, clock), second) if second else None
        serving.serve(server, sock, *page, beside=beside, until_stdin_closes=until_stdin_closes, until=record.unusable)


def expect_closed_files(config: BrokerConfig) -> None:
    """Refuse to start while others can open a file with a secret, or replace what is in it. Raises ConfigError."""
    secrets = [
        (config.graph.certificate, "the certificate with its private key"),
        (config.graph.passphrase_file, "the passphrase"),
        (config.listen.key, "the private key"),
        *((sink.token_file, "the token") for sink in config.sink),
    ]
    for path, what in secrets:
        if path:
            expect_closed(path, what)


def build(config: BrokerConfig, record: Record, clock: Clock, backoff: Backoff = _BACKOFF) -> Service:
    """Return the service as configured. Opens no connection. Raises ConfigError."""
    metrics = Metrics(clock)
    metrics.watch_record(lambda: record.refused)
    record.tell_waits(metrics.locked)
    credential = Credential(config.graph, clock, metrics)
    http = GraphHttp(config.graph, credential, clock, backoff, metrics)
    client = httpx.AsyncClient(verify=tls_context(config.tokens.ca_bundle), trust_env=False, timeout=timeouts())
    keys = KeyRing(config.tokens, clock, client, metrics)
    tokens = Tokens(config.tokens, keys, clock, config.sign_in.method)
    sign_ins = build_sign_ins(config, tokens, record, clock, metrics)
    graph = Graph(config.graph, http, clock)
    return Service(config.rules, config.limits, tokens, graph, record, sign_ins, clock, metrics)


def build_sign_ins(config: BrokerConfig, tokens: Tokens, record: Record, clock: Clock, metrics: Metrics) -> SignIns:
    """Return the sign-ins on the phone as configured. Raises ConfigError."""
    settings = config.sign_in
    parties = Parties.of(config)
    page = settings.page if settings.method is SignInMethod.WEB else None
    phone_tokens = PhoneTokens(tokens, config.rules, config.tokens.client, settings.context, clock)
    database = config.record.database
    store = MemoryStore(clock) if sqlite_file(database) else SharedStore(database, record.derived, record.time)
    return SignIns(
        SignInSettings(page, config.limits.sign_ins_per_hour), parties, phone_tokens, store, record, clock, metrics
    )


@contextlib.contextmanager
def listening_to_page(settings: SignInRules) -> Iterator[Sequence[socket]]:
    """Listen on the sign-in page's own socket; yields it, or nothing without one. Raises ConfigError.

    Only the broker's own user can open it, unless the page runs as another one.
    """
    if settings.page_listen is None or settings.method is not SignInMethod.WEB:
        yield ()
        return
    mode = _OTHER_USER if settings.page_user and user_id(settings.page_user) != os.geteuid() else _OWN_USER
    with serving.unix_socket(Path(settings.page_listen.removeprefix(UNIX_PREFIX)), mode) as sock:
        yield (sock,)
