"""Serves ``/metrics`` on its own listener, collects gauges when they are read, and measures every request."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from socket import socket
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from kiosk.broker import logs
from kiosk.broker.metrics import CONTENT_TYPE, Metrics
from kiosk.broker.record.database import open_reader
from kiosk.broker.record.schema import HEAD, SINK
from kiosk.broker.record.shared_time import SharedTime
from kiosk.broker.sinks.address import sink_name
from kiosk.clock import Clock
from kiosk.config.broker import BrokerConfig, MetricsSettings
from kiosk.errors import ConfigError
from kiosk.net import serving
from kiosk.net.certificate import certificate_of
from kiosk.net.connections import Closed, ConnectionLimits
from kiosk.net.http import UNIX_PREFIX
from kiosk.text import clean

_DAY = 86_400.0
# Of two standbys with one name, the one that is further behind. An account without pg_monitor sees no positions.
_STANDBYS = text(
    "SELECT application_name AS name, max(pg_wal_lsn_diff(pg_current_wal_flush_lsn(), flush_lsn)) AS behind"
    " FROM pg_stat_replication WHERE flush_lsn IS NOT NULL GROUP BY application_name"
)
# A few collectors, each with one connection.
_LIMITS = ConnectionLimits(connections=16, per_address=16)


class State(Collector):
    """Gauges that are looked up when Prometheus reads them: certificates, the record and the backlog of sinks.

    A value that cannot be read is left out, so that it shows as missing and not as good.
    """

    def __init__(self, config: BrokerConfig, clock: Clock) -> None:
        """Open the record for reading. Raises ConfigError."""
        self._config = config
        self._clock = clock
        self._shared = SharedTime(clock)
        self._engine = open_reader(config.record.database, tells=self._shared.tell)

    def collect(self) -> Iterable[Metric]:
        yield self._days_left()
        rows = GaugeMetricFamily("kiosk_broker_record_rows", "Rows of the record.")
        unsigned = GaugeMetricFamily("kiosk_broker_record_unsigned_rows", "Rows that no checkpoint covers yet.")
        backlog = GaugeMetricFamily(
            "kiosk_broker_sink_backlog_rows", "Rows not yet delivered to a sink.", labels=["sink"]
        )
        skew = GaugeMetricFamily(
            "kiosk_broker_database_clock_ahead_seconds", "How far the database's clock is ahead of this machine's."
        )
        behind = GaugeMetricFamily(
            "kiosk_broker_database_standby_behind_bytes", "What a standby has not on its disk yet.", labels=["standby"]
        )
        with contextlib.suppress(SQLAlchemyError), self._engine.connect() as connection:
            head = connection.execute(select(HEAD.c.n, HEAD.c.signed)).first()
            if head is not None:
                rows.add_metric([], head.n)
                unsigned.add_metric([], head.n - head.signed)
                reached = _reached(connection)
                for sink in self._config.sink:
                    name = sink_name(sink)
                    backlog.add_metric([name], head.n - reached.get(name, 0))
                if self._shared.ahead is not None:
                    skew.add_metric([], self._shared.ahead.total_seconds())
                for name, bytes_behind in _standbys(connection):
                    behind.add_metric([name], bytes_behind)
        yield from (rows, unsigned, backlog, skew, behind)

    def close(self) -> None:
        self._engine.dispose()

    def _days_left(self) -> Metric:
        days = GaugeMetricFamily(
            "kiosk_broker_certificate_days_left", "Days until a certificate expires.", labels=["use"]
        )
        with contextlib.suppress(ConfigError):
            days.add_metric(["graph"], self._until(certificate_of(self._config.graph, "graph")))
        listen = self._config.listen
        if listen.certificate and not listen.url.startswith(UNIX_PREFIX):
            with contextlib.suppress(OSError, ValueError):
                found = x509.load_pem_x509_certificates(listen.certificate.read_bytes())
                days.add_metric(["tls"], self._until(found[0]))
        return days

    def _until(self, certificate: x509.Certificate) -> float:
        return (certificate.not_valid_after_utc - self._clock.utc()).total_seconds() / _DAY


def _reached(connection: Connection) -> dict[str, int]:
    if not inspect(connection).has_table(SINK.name):
        return {}
    return {row.name: row.n for row in connection.execute(select(SINK.c.name, SINK.c.n))}


def _standbys(connection: Connection) -> list[tuple[str, float]]:
    """Return the standbys of PostgreSQL that this account may see, with what each lacks in bytes."""
    if connection.dialect.name != "postgresql":
        return []
    found = connection.execute(_STANDBYS)
    return [(clean(row.name), float(row.behind)) for row in found]


class Connections(Collector):
    """Open connections of a server, and those that it closed because of a limit."""

    def __init__(self, server: serving.Server) -> None:
        self._server = server

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "kiosk_broker_connections",
            "Open connections of kiosks.",
            sum(len(acceptor.connections) for acceptor in self._server.acceptors),
        )
        closed = CounterMetricFamily(
            "kiosk_broker_connections_closed", "Connections that were closed because of a limit.", labels=["why"]
        )
        for why in Closed:
            closed.add_metric([why], sum(acceptor.closed[why] for acceptor in self._server.acceptors))
        yield closed


class MetricsApp:
    """The ASGI application of the metrics listener: answers ``GET /metrics``, and 404 to everything else."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        status, body = 404, b"not found\n"
        if scope["type"] != "http":
            return
        if scope["method"] == "GET" and scope["path"] == "/metrics":
            status, body = 200, await asyncio.to_thread(self._metrics.text)
        headers = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Observed:
    """ASGI middleware that measures each request and logs it at debug level."""

    def __init__(self, app: Any, metrics: Metrics, clock: Clock) -> None:
        self._app = app
        self._metrics = metrics
        self._clock = clock

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = self._clock.now(), 0

        async def watched(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            seconds = self._clock.now() - begun
            # Never the path: it holds ids, and anybody can invent more.
            route = scope["route"].path if "route" in scope else "other"
            self._metrics.request(route, status, seconds)
            logs.event("request", logging.DEBUG, method=scope["method"], route=route, status=status, seconds=seconds)


def server(metrics: Metrics, clock: Clock) -> serving.Server:
    """Return the server for the metrics listener, with places of its own for connections."""
    app: Any = MetricsApp(metrics)
    return serving.Server(app, limits=_LIMITS, clock=clock, lifespan=False, grace_seconds=1)


@contextlib.contextmanager
def listening(settings: MetricsSettings) -> Iterator[socket | None]:
    """Listen on the configured address; yields None without one. Raises ConfigError."""
    if settings.listen is None:
        yield None
    elif settings.listen.startswith(UNIX_PREFIX):
        with serving.unix_socket(Path(settings.listen.removeprefix(UNIX_PREFIX))) as sock:
            yield sock
    else:
        address = urlsplit(settings.listen)
        try:
            host, port = address.hostname or "", address.port or 0
        except ValueError:
            expected = f"expected a port in {settings.listen}"
            raise ConfigError("broker.toml", expected, key="metrics.listen") from None
        with serving.tcp_socket(host, port) as sock:
            yield sock
