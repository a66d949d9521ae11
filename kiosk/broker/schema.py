"""The tables of the record and one entry of it. ``docs/record.md`` describes them for whoever reads the database."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, SmallInteger, String, Table

VERSION = 1
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"

METADATA = MetaData()

HEAD = Table(
    "head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("n", BigInteger, nullable=False),
    Column("trials", BigInteger, nullable=False),
)
"""One row. ``n`` is the number of the newest entry; whoever appends locks it first, so that entries have one order.
``trials`` counts writes that were made to see whether one can be made; a row set to what it holds is not written."""

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
    Column("roles", String(200), nullable=False),
    Column("uti", String(64), nullable=False),
    Column("device_id", String(36), nullable=False),
    Column("serial", String(64), nullable=False),
    Column("owner_type", String(64), nullable=False),
    Column("reason", String(200), nullable=False),
    Column("release_id", String(36), nullable=False),
    Column("client_request_id", String(36), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("terminal", String(64), nullable=False),
    Column("reference", String(16), nullable=False),
    Column("shown_seconds", Float, nullable=True),
    Index("record_by_person", "oid", "event", "time"),
    Index("record_by_device", "device_id", "event", "time"),
    Index("record_by_release", "release_id"),
)
"""Rows are only ever added."""


class Event(StrEnum):
    """What an entry says happened."""

    STARTED = "broker.started"
    STOPPED = "broker.stopped"
    TOKEN_REFUSED = "token.refused"  # noqa: S105
    SESSION_OPENED = "session.opened"
    DEVICES_LISTED = "devices.listed"
    INTENDED = "release.intended"
    DONE = "release.done"
    REFUSED = "release.refused"
    CLOSED = "release.closed"


OK = "ok"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Entry:
    """One entry without its number and time, which it gets when it is written. Empty means that it does not apply."""

    event: Event
    outcome: str = OK
    tid: str = ""
    oid: str = ""
    name: str = ""
    roles: str = ""
    uti: str = ""
    device_id: str = ""
    serial: str = ""
    owner_type: str = ""
    reason: str = ""
    release_id: str = ""
    client_request_id: str = ""
    request_id: str = ""
    terminal: str = ""
    reference: str = ""
    shown_seconds: float | None = None

    def row(self, n: int, time: str) -> dict[str, object]:
        return {"n": n, "version": VERSION, "time": time, **asdict(self)}


COLUMNS = tuple(RECORD.c[name] for name in Entry.__dataclass_fields__)


def stamp(moment: datetime) -> str:
    """A moment in UTC as it is stored: text that sorts like the time it stands for."""
    return moment.strftime(TIME_FORMAT)
