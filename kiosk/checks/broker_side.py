"""The checks of the broker's side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from kiosk.broker.record.database import sqlite_file
from kiosk.broker.sign_ins.parties import Parties
from kiosk.checks import certificate, configuration, database, files, graph, listening, machine, record, sinks
from kiosk.checks.authority import discover, examined, skew
from kiosk.checks.result import Check, Finding, NotChecked, failed, passed, together
from kiosk.checks.side import Side
from kiosk.checks.trust import Response, Service
from kiosk.config.broker import BrokerConfig
from kiosk.errors import ConfigError
from kiosk.models import SignInMethod

_NETWORK_SECONDS = 25.0
_RECORD_SECONDS = 60.0


@dataclass
class Broker(Side[BrokerConfig]):
    """The broker's side, with what one check learned for the next. ``public_key`` verifies checkpoints."""

    kind: type[BrokerConfig] = BrokerConfig
    public_key: Path | None = None
    answer: Response | None = None
    token: str = field(default="", repr=False)

    @property
    def authority(self) -> Service:
        settings = self.config.tokens
        return Service(settings.authority, "tokens.authority", settings.ca_bundle, "tokens.ca_bundle")


def configured(side: Broker) -> Finding:
    """Check ``broker.toml``, and whether the sign-in page can be told from kiosks."""
    finding = configuration.broker(side)
    if isinstance(side.loaded, ConfigError):
        return finding
    try:
        Parties.of(side.config)
    except ConfigError as error:
        return together([finding, failed(str(error), configuration.CORRECT)], "")
    return finding


def file_modes(side: Broker) -> Finding:
    """Check who can read the broker's secrets, or change its record or its configuration."""
    config = side.config
    file = sqlite_file(config.record.database)
    signing = config.record.signing_key or (file.with_suffix(".key") if file else None)
    secrets = [
        (config.graph.certificate, "the certificate's key in"),
        (config.graph.passphrase_file, "the passphrase in"),
        (config.listen.key, "the key for https in"),
        (signing, "the key that signs checkpoints"),
        (side.path if _has_password(config.record.database) else None, "the database's password in"),
    ]
    if file:
        secrets += [(file.with_name(file.name + end), "the record") for end in ("", "-wal", "-shm")]
    found = [files.secret(path, what) for path, what in secrets if path and path.exists()]
    found.append(files.unchangeable_by_others(side.path, "the configuration"))
    return together(found, f"{len(found)} files are closed to others")


def listens(side: Broker) -> Finding:
    """Check the socket or address for kiosks."""
    return listening.listening(side.config, side.clock)


def for_graph(side: Broker) -> Finding:
    """Check the organisation's certificate."""
    return certificate.for_graph(side.config.graph, side.clock)


def authority(side: Broker) -> Finding:
    """Check the sign-in service that people use."""
    about, side.answer = discover(side.authority, side.clock)
    return examined(side.authority, about, {"jwks_uri": about.jwks_uri})


def signing_keys(side: Broker) -> Finding:
    """Check that the keys for verifying tokens can be fetched."""
    settings = side.config.tokens
    if side.answer is None:
        raise NotChecked("the sign-in service has no discovery document", "fix what the check “authority” found first")
    return graph.signing_keys(settings, side.clock)


def clock(side: Broker) -> Finding:
    """Compare the clock with the sign-in service."""
    return skew(side.answer, side.authority.place, side.clock)


def graph_token(side: Broker) -> Finding:
    """Check the broker's own sign-in."""
    finding, side.token = graph.token(side.config.graph, side.clock)
    return finding


def permissions(side: Broker) -> Finding:
    """Check what the broker's token allows."""
    return graph.permissions(_token(side))


def asks_graph(side: Broker) -> Finding:
    """Check Graph itself."""
    _token(side)
    return graph.reachable(side.config.graph, side.clock)


def writes(side: Broker) -> Finding:
    """Check the database."""
    return database.database(side.config.record.database, side.root, side.clock)


def holds(side: Broker) -> Finding:
    """Check the record in the database."""
    return record.record(side.config.record, side.public_key)


def signs_in(side: Broker) -> Finding:
    """Say how people sign in, and what that does not prevent."""
    settings = side.config.sign_in
    if settings.method is SignInMethod.DEVICE_CODE:
        return configuration.PASSED_ON
    context = f", with the authentication context {settings.context}" if settings.context else ""
    return passed(f"people sign in on {settings.page}{context}")


def delivers(side: Broker) -> Finding:
    """Check the receivers of the record."""
    return sinks.sinks(side.config.sink, side.clock)


CHECKS: Sequence[Check[Broker]] = (
    Check("configuration", "the configuration", configured),
    Check("file-modes", "the file system", file_modes),
    Check("listening", "the broker", listens, _NETWORK_SECONDS),
    Check("certificate", "the certificate", for_graph),
    Check("authority", "the sign-in service", authority, _NETWORK_SECONDS),
    Check("signing-keys", "the sign-in service", signing_keys, _NETWORK_SECONDS),
    Check("sign-in", "the way to sign in", signs_in),
    Check("clock", "the clock", clock),
    Check("graph-token", "the sign-in service", graph_token, _NETWORK_SECONDS),
    Check("permissions", "the token", permissions),
    Check("graph", "Graph", asks_graph, _NETWORK_SECONDS),
    # Before the check that writes: reading SQLite leaves files beside it, which writing removes.
    Check("record", "the record", holds, _RECORD_SECONDS),
    Check("database", "the database", writes),
    Check("sinks", "the sinks", delivers, _NETWORK_SECONDS),
    *machine.CHECKS,
)


def _token(side: Broker) -> str:
    if side.config and not side.token:
        raise NotChecked("there is no token", "fix what the check “graph-token” found first")
    return side.token


def _has_password(url: str) -> bool:
    try:
        return bool(make_url(url).password)
    except (ArgumentError, ValueError):
        return False
