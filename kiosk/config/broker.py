"""``broker.toml``: every table and key of the broker's configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from kiosk.config.messages import (
    LEVEL,
    NOT_EMPTY,
    SINK_KIND,
    SINK_MODE,
    SOCKET_OR_HTTP,
    WHO,
)
from kiosk.config.safe_regex import Pattern
from kiosk.config.types import HttpsUrl, Limit, Seconds, Section, ServiceUrl, Text
from kiosk.models import ReasonRule


class Listen(Section, frozen=True, kw_only=True):
    """Where the broker listens. ``certificate`` and ``key`` (PEM) belong to an https address."""

    url: ServiceUrl = "unix:/run/kiosk-broker/broker.sock"
    certificate: Path | None = None
    key: Path | None = None


class TokenSettings(Section, frozen=True, kw_only=True):
    authority: HttpsUrl
    tenant: Text
    audience: Text
    scope: Text = "Session.Open"
    fresh_seconds: Seconds = 900
    ca_bundle: Path | None = None


class GraphSettings(Section, frozen=True, kw_only=True):
    """Seconds bound one connection, one read, and one whole question with its retries."""

    url: HttpsUrl = "https://graph.microsoft.com/beta"
    authority: HttpsUrl
    client_id: Text
    certificate: Path
    passphrase_file: Path | None = None
    ca_bundle: Path | None = None
    connect_seconds: Seconds = 5
    read_seconds: Seconds = 15
    total_seconds: Seconds = 30


class Rules(Section, frozen=True, kw_only=True):
    """What ``docs/rules.md`` explains. People are blocked by their object id, devices by their id or serial number."""

    company_owned_only: bool = True
    per_person: tuple[Limit, ...] = ("3/hour", "10/day")
    per_device: tuple[Limit, ...] = ("5/day",)
    per_kiosk: tuple[Limit, ...] = ()
    overall: tuple[Limit, ...] = ()
    reason: ReasonRule = ReasonRule.OFF
    reason_prompt: Annotated[str, Meta(pattern=NOT_EMPTY, max_length=200)] | None = None
    reason_pattern: Pattern | None = None
    self_service: Annotated[str, Meta(pattern=WHO)] = "everyone"
    blocked_people: tuple[Text, ...] = ()
    blocked_devices: tuple[Text, ...] = ()


class RecordSettings(Section, frozen=True, kw_only=True):
    """``signing_key`` (PEM) signs a checkpoint after so many seconds, and after so many entries, at least."""

    database: Text = "sqlite:////var/lib/kiosk-broker/record.db"
    signing_key: Path | None = None
    checkpoint_seconds: Seconds = 600
    checkpoint_entries: Annotated[int, Meta(ge=1, le=1_000_000)] = 100


class SinkSettings(Section, frozen=True, kw_only=True):
    """Somewhere that every row of the record is sent on to; ``docs/sinks.md`` has the addresses of each kind."""

    kind: Annotated[str, Meta(pattern=SINK_KIND)]
    url: str = ""
    mode: Annotated[str, Meta(pattern=SINK_MODE)]
    ca_bundle: Path | None = None
    token_file: Path | None = None


class LogSettings(Section, frozen=True, kw_only=True):
    """How much the broker writes on stderr."""

    level: Annotated[str, Meta(pattern=LEVEL)] = "info"


class MetricsSettings(Section, frozen=True, kw_only=True):
    """Where ``/metrics`` is served; nowhere without it."""

    listen: Annotated[str, Meta(pattern=SOCKET_OR_HTTP)] | None = None


class BrokerConfig(Section, frozen=True, kw_only=True):
    """``broker.toml``."""

    listen: Listen = Listen()
    tokens: TokenSettings
    graph: GraphSettings
    rules: Rules = Rules()
    record: RecordSettings = RecordSettings()
    sink: tuple[SinkSettings, ...] = ()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
