"""The tables of the record, and one entry. ``docs/record.md`` describes them for readers of the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

VERSION = 3
# The one that ``kiosk record migrate`` migrates.
PREVIOUS_VERSION = 2
# Of rows: a record that was carried over begins with rows of the version before, whose encoding is the same.
VERSIONS = frozenset({2, 3})
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
_LONGEST_ADDRESS = 254

METADATA = MetaData()


class KioskOf(GenericFunction[str]):
    """``kiosk_of`` as an SQL function."""

    name = "kiosk_of"
    type = String()
    inherit_cache = True


# With constants in place of parameters and with built-in functions, so that an index can be made of it.
@compiles(KioskOf)
def _split(function: KioskOf, compiler: Any, **how: Any) -> str:
    return f"split_part({compiler.process(function.clauses, **how)}, ' ', 1)"


@compiles(KioskOf, "sqlite")
def _cut(function: KioskOf, compiler: Any, **how: Any) -> str:
    terminal = compiler.process(function.clauses, **how)
    return f"substr({terminal}, 1, instr({terminal} || ' ', ' ') - 1)"


def kiosk_of(terminal: str) -> str:
    """Return the kiosk that a terminal belongs to: the first word of its name, which is that of the machine."""
    return terminal.partition(" ")[0]


HEAD = Table(
    "head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", SmallInteger, nullable=False),
    Column("origin", String(64), nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("signed", BigInteger, nullable=False),
    Column("signed_at", String(27), nullable=False),
    Column("losses", BigInteger, nullable=False),
    Column("signature", String(92), nullable=False),
    Column("trials", BigInteger, nullable=False),
)
"""One row. ``n`` and ``hash`` belong to the newest entry, ``signed`` and ``signed_at`` are size and time of the newest
checkpoint, ``losses`` counts how often the operator accepted a record that had been rolled back. ``signature`` covers
all of these. Appending locks the row first, so entries have one order and one chain. ``trials`` counts writes that only
test whether writing works: it has to change, because a database does not write a row that stays the same."""

RECORD = Table(
    "record",
    METADATA,
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    Column("version", SmallInteger, nullable=False),
    Column("time", String(27), nullable=False),
    Column("event", String(32), nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("tid", String(36), nullable=False),
    Column("oid", String(36), nullable=False),
    Column("name", String(64), nullable=False),
    Column("address", String(_LONGEST_ADDRESS), nullable=False),
    Column("roles", String(200), nullable=False),
    Column("uti", String(64), nullable=False),
    Column("device_id", String(36), nullable=False),
    Column("device_name", String(64), nullable=False),
    Column("serial", String(64), nullable=False),
    Column("owner_type", String(64), nullable=False),
    Column("reason", String(200), nullable=False),
    Column("release_id", String(36), nullable=False),
    Column("client_request_id", String(36), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("terminal", String(64), nullable=False),
    Column("reference", String(16), nullable=False),
    Column("visit_key", String(64), nullable=False),
    Column("shown_seconds", Float, nullable=True),
    Column("digest", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("record_by_person", "oid", "event", "time"),
    Index("record_by_device", "device_id", "event", "time"),
    Index("record_by_event", "event", "time"),
    Index("record_by_release", "release_id"),
    Index("record_by_token", "uti"),
    # For searches by what people know.
    Index("record_by_time", "time"),
    Index("record_by_name", "name"),
    Index("record_by_address", "address"),
    Index("record_by_device_name", "device_name"),
    Index("record_by_serial", "serial"),
)
"""Rows are only ever added."""

_LONGEST_TEXT = 10_000
LENGTHS: dict[str, int] = {
    column.name: column.type.length or _LONGEST_TEXT for column in RECORD.columns if isinstance(column.type, String)
}
"""How many characters each text of a row may have."""

Index("record_by_kiosk", KioskOf(RECORD.c.terminal), RECORD.c.event, RECORD.c.time)
OUTDATED_INDEXES = ("record_by_terminal",)
"""Created by earlier versions of this program and no longer used."""

CHECKPOINT = Table(
    "checkpoint",
    METADATA,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("time", String(27), nullable=False),
    Column("head", String(64), nullable=False),
    Column("note", Text, nullable=False),
)
"""Rows are only ever added. ``note`` is the signed text with its signature."""


SINK = Table(
    "sink",
    MetaData(),
    Column("name", String(255), primary_key=True),
    Column("n", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("holder", String(36), nullable=False),
    Column("until", String(27), nullable=False),
    Column("signature", String(92), nullable=False),
)
"""How far the record was delivered to each sink; not part of the record. ``n`` is the last row and ``size`` the last
checkpoint that the sink has; ``signature`` covers both. ``holder`` and ``until`` are a lease, so that only one broker
delivers at a time."""


SIGN_IN = Table(
    "sign_in",
    MetaData(),
    Column("id", String(64), primary_key=True),
    Column("until", Float, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
SIGN_IN_NAME = Table(
    "sign_in_name",
    MetaData(),
    Column("name", String(64), primary_key=True),
    Column("id", String(64), nullable=False),
    Column("until", Float, nullable=False),
)
"""Sign-ins under way on phones, encrypted, and hashed names that lead to them; not part of the record. Only brokers on
one PostgreSQL database share them."""


def beside_the_record(dialect: str) -> tuple[Table, ...]:
    """Return the tables that are not part of the record, in a database of this kind."""
    return (SINK,) if dialect == "sqlite" else (SINK, SIGN_IN, SIGN_IN_NAME)


class Event(StrEnum):
    """The kinds of entries."""

    STARTED = "broker.started"
    STOPPED = "broker.stopped"
    CONFIGURED = "configuration.changed"
    ACCEPTED = "record.accepted"
    TOKEN_REFUSED = "token.refused"  # noqa: S105
    SIGN_IN_CONFIRMED = "sign_in.confirmed"
    SIGN_IN_REFUSED = "sign_in.refused"
    SESSION_OPENED = "session.opened"
    SESSION_ENDED = "session.ended"
    DEVICES_LISTED = "devices.listed"
    INTENDED = "release.intended"
    DONE = "release.done"
    REFUSED = "release.refused"
    CLOSED = "release.closed"
    CHECKED = "release.checked"


OK = "ok"
UNKNOWN = "unknown"
# Outcomes of ``record.accepted``.
LOSS = "loss"
NEW_KEY = "new_key"
# The ``detail`` of a refused release whose key the broker had in its memory.
KEY_FETCHED = "the key was fetched"


@dataclass(frozen=True)
class Entry:
    """An entry before it gets its number and time. An empty member does not apply."""

    event: Event
    outcome: str = OK
    tid: str = ""
    oid: str = ""
    name: str = ""
    address: str = ""
    roles: str = ""
    uti: str = ""
    device_id: str = ""
    device_name: str = ""
    serial: str = ""
    owner_type: str = ""
    reason: str = ""
    release_id: str = ""
    client_request_id: str = ""
    request_id: str = ""
    terminal: str = ""
    reference: str = ""
    visit_key: str = ""
    shown_seconds: float | None = None
    digest: str = ""
    detail: str = ""


COLUMNS = tuple(RECORD.c[name] for name in Entry.__dataclass_fields__)


def stamp(moment: datetime) -> str:
    """Return a moment in UTC as it is stored: text that sorts in the order of time."""
    return moment.strftime(TIME_FORMAT)
