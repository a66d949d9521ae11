"""Configuration: TOML files, typed and strict, with errors that name file, line, key and what was expected."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from kiosk.config_errors import (
    AFTER,
    COLOUR,
    FACE,
    HTTPS,
    LANGUAGE,
    LEVEL,
    LIMIT,
    NOT_EMPTY,
    SINK_KIND,
    SINK_MODE,
    SOCKET_OR_HTTP,
    SOCKET_OR_HTTPS,
    THEME,
    TYPE,
    WHO,
    explain,
    line_of,
    syntax_error,
)
from kiosk.errors import ConfigError
from kiosk.i18n import LANGUAGES, SOURCE
from kiosk.models import ReasonRule
from kiosk.patterns import Pattern

Text = Annotated[str, Meta(pattern=NOT_EMPTY)]
HttpsUrl = Annotated[str, Meta(pattern=HTTPS)]
ServiceUrl = Annotated[str, Meta(pattern=SOCKET_OR_HTTPS)]
Limit = Annotated[str, Meta(pattern=LIMIT)]
Seconds = Annotated[int, Meta(ge=1, le=86_400)]
Language = Annotated[str, Meta(pattern=LANGUAGE)]
RevealSeconds = Annotated[int, Meta(ge=5, le=3_600)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every table in a configuration file."""


class Organisation(Section, frozen=True, kw_only=True):
    """``notice`` is the organisation's own words on the first screen."""

    name: Text
    helpdesk: Text
    portal: HttpsUrl = "https://portal.manage.microsoft.com"
    notice: Annotated[str, Meta(pattern=NOT_EMPTY, max_length=300)] | None = None


class SignInSettings(Section, frozen=True, kw_only=True):
    """Seconds bound one connection, and one whole question."""

    authority: HttpsUrl
    client_id: Text
    scope: Text
    ca_bundle: Path | None = None
    connect_seconds: Seconds = 5
    total_seconds: Seconds = 20


class BrokerAddress(Section, frozen=True, kw_only=True):
    """Seconds bound one connection, and one whole question; a release takes as long as the broker's limits allow."""

    url: ServiceUrl = "unix:/run/kiosk-broker/broker.sock"
    ca_bundle: Path | None = None
    connect_seconds: Seconds = 5
    total_seconds: Seconds = 60


class VisitSettings(Section, frozen=True, kw_only=True):
    """Seconds. A key stays on the screen for ``reveal_seconds``, on request up to ``longest_reveal_seconds``.

    ``after`` says what follows a visit: the next one, or the end of the program (for SSH). ``face`` is how a visit is
    shown: on the full screen, or as plain lines for screen readers and braille.
    """

    reveal_seconds: RevealSeconds = 300
    longest_reveal_seconds: RevealSeconds = 900
    idle_seconds: Seconds = 90
    visit_seconds: Seconds = 900
    after: Annotated[str, Meta(pattern=AFTER)] = "restart"
    face: Annotated[str, Meta(pattern=FACE)] = "full"


class Look(Section, frozen=True, kw_only=True):
    """Colours, type and languages. ``languages`` are those to choose from, ``language`` is the one to begin with."""

    theme: Annotated[str, Meta(pattern=THEME)] = "auto"
    type: Annotated[str, Meta(pattern=TYPE)] = "auto"
    accent: Annotated[str, Meta(pattern=COLOUR)] | None = None
    language: Language = SOURCE
    languages: tuple[Language, ...] = tuple(LANGUAGES)


class Policy(StrEnum):
    """What a program that may record the screen means for a reveal."""

    ALLOW = "allow"
    WARN = "warn"
    MASK = "mask"
    REFUSE = "refuse"


class Surroundings(Section, frozen=True, kw_only=True):
    """A policy for each kind of program around the kiosk; ``other_tty`` is an SSH session behind a further pty."""

    script: Policy = Policy.REFUSE
    asciinema: Policy = Policy.REFUSE
    tlog: Policy = Policy.REFUSE
    debugger: Policy = Policy.REFUSE
    sudo: Policy = Policy.WARN
    other_tty: Policy = Policy.WARN
    tmux: Policy = Policy.WARN
    screen: Policy = Policy.WARN


class KioskConfig(Section, frozen=True, kw_only=True):
    """``kiosk.toml``."""

    organisation: Organisation
    sign_in: SignInSettings
    broker: BrokerAddress = BrokerAddress()
    visit: VisitSettings = VisitSettings()
    look: Look = Look()
    surroundings: Surroundings = Surroundings()


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


Configuration = TypeVar("Configuration", bound=Section)


def load(path: Path, kind: type[Configuration]) -> Configuration:
    """Read and check one configuration file. Raises ConfigError.

    Relative paths in it are taken from the file's own folder; every file that it names must be readable.
    """
    text = read_text(path, "a configuration file")
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise syntax_error(path, error) from None
    try:
        loaded = msgspec.convert(tables, kind, strict=True, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise explain(path, text, kind, str(error)) from None
    return _resolve(loaded, path, text)


def read_text(path: Path, what: str) -> str:
    """Read a text file of the operator. Raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(path, f"expected {what} in UTF-8") from None
    except OSError as error:
        raise ConfigError(path, f"expected {what}: {error.strerror or error}") from None


def changed(paths: Iterable[Path | None]) -> object:
    """Something that compares unequal once one of these files was written or replaced."""

    def seen(path: Path) -> tuple[int, ...] | None:
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    return [seen(path) for path in paths if path]


def _decode(kind: type[Any], value: object) -> Path | Pattern:
    if kind is Pattern:
        return Pattern(value)
    if kind is Path and isinstance(value, str) and value.strip():
        return Path(value)
    raise ValueError("Expected a path")


def _resolve(loaded: Configuration, path: Path, text: str) -> Configuration:
    """Make paths absolute and see that the files behind them can be read."""
    folder = path.resolve().parent

    def visit(section: Section, keys: list[str]) -> Section:
        changed: dict[str, Any] = {}
        for field in msgspec.structs.fields(section):
            value = getattr(section, field.name)
            here = [*keys, field.encode_name]
            if isinstance(value, Section):
                changed[field.name] = visit(value, here)
            elif isinstance(value, tuple) and value and isinstance(value[0], Section):
                changed[field.name] = tuple(visit(one, [*here, str(i)]) for i, one in enumerate(value))
            elif isinstance(value, Path):
                changed[field.name] = whole = folder / value.expanduser()
                _readable(whole, path, here, text)
        return msgspec.structs.replace(section, **changed)

    resolved = visit(loaded, [])
    assert isinstance(resolved, type(loaded))
    return resolved


def _readable(file: Path, path: Path, keys: list[str], text: str) -> None:
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        reason = f"expected a file that can be read: {file}: {error.strerror or error}"
        raise ConfigError(path, reason, key=".".join(keys), line=line_of(text, keys)) from None
