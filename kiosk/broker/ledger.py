"""What happens inside one transaction on the record: the lock on its head, the chain, and what is chained to it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, inspect, select, text, update

from kiosk.broker import logs
from kiosk.broker.chain import Appended, Row, first_previous
from kiosk.broker.database import unusable
from kiosk.broker.limits import Limits
from kiosk.broker.schema import COLUMNS, HEAD, METADATA, RECORD, UNKNOWN, VERSION, Entry, Event, stamp
from kiosk.clock import Clock
from kiosk.errors import LimitReached, RecordUnavailable, ReleaseUnknown

_LONGEST_RELEASE = timedelta(minutes=10)
# Any number that all brokers on one database share: two that start at once must not both make the tables.
_STARTING = 0x6B696F736B


@dataclass(frozen=True)
class _Head:
    origin: str
    n: int
    hash: str


@dataclass
class Ledger:
    """Appends to the record. ``appended`` collects what one transaction adds; the caller empties it for the next."""

    clock: Clock
    appended: list[Appended] = field(default_factory=list)

    def start(self, connection: Connection) -> None:
        """Make what is missing, and close what a crash left open. Raises ConfigError for another version."""
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _STARTING})
        _refuse_other_versions(connection)
        METADATA.create_all(connection)
        if connection.scalar(select(HEAD.c.n)) is None:
            origin = f"recovery-kiosk/{uuid.uuid4()}"
            head = {"origin": origin, "n": 0, "hash": first_previous(origin), "sealed": 0, "sealed_at": ""}
            connection.execute(insert(HEAD).values(id=1, version=VERSION, trials=0, **head))
        for entry in self._unsettled(connection):
            logs.LOG.warning(
                "release=%s of device=%s was left open: it may have been seen", entry.release_id, entry.device_id
            )
            self.add(connection, entry)
        self.add(connection, Entry(Event.STARTED))

    def stop(self, connection: Connection) -> None:
        """Note the end."""
        self.add(connection, Entry(Event.STOPPED))

    def add(self, connection: Connection, entry: Entry) -> None:
        """Append one entry."""
        self._append(connection, self._head(connection), entry, self.clock.utc())

    def intend(self, connection: Connection, entry: Entry, limits: Limits) -> None:
        """Append an intention if the limits allow it. Raises LimitReached."""
        head = self._head(connection)
        now = self.clock.utc()
        if wait := limits.wait(connection, entry, now):
            raise LimitReached(f"the next in {wait:.0f} s", retry_after=wait)
        self._append(connection, head, entry, now)

    def close(self, connection: Connection, entry: Entry) -> None:
        """Append how a reveal ended, unless it is known already. Raises ReleaseUnknown."""
        ours = (RECORD.c.release_id == entry.release_id) & (RECORD.c.tid == entry.tid) & (RECORD.c.oid == entry.oid)
        head = self._head(connection)
        done = connection.execute(select(*COLUMNS).where(ours, RECORD.c.event == Event.DONE)).first()
        if done is None:
            raise ReleaseUnknown(f"release {entry.release_id} was not made to this person")
        if connection.scalar(select(RECORD.c.n).where(ours, RECORD.c.event == Event.CLOSED)) is None:
            names = {name: getattr(done, name) for name in ("device_id", "device_name", "serial", "owner_type")}
            self._append(connection, head, replace(entry, **names), self.clock.utc())

    def trial(self, connection: Connection) -> None:
        """Write without adding anything."""
        if connection.execute(update(HEAD).values(trials=HEAD.c.trials + 1)).rowcount != 1:
            raise RecordUnavailable("the head of the record is missing")

    def _head(self, connection: Connection) -> _Head:
        """Lock the head against all other writers until the transaction ends."""
        found = connection.execute(select(HEAD.c.origin, HEAD.c.n, HEAD.c.hash).with_for_update()).first()
        if found is None:
            raise RecordUnavailable("the head of the record is missing")
        return _Head(*found)

    def _append(self, connection: Connection, head: _Head, entry: Entry, now: datetime) -> None:
        row = Row.follow(head.n + 1, stamp(now), entry, head.hash)
        connection.execute(insert(RECORD).values(row.members()))
        connection.execute(update(HEAD).values(n=row.n, hash=row.hash))
        self.appended.append(row)

    def _unsettled(self, connection: Connection) -> Sequence[Entry]:
        """For each intention that nothing followed, the entry that closes it: the key may have been seen, or not."""
        outcome = RECORD.alias()
        followed = (
            select(outcome.c.n)
            .where(outcome.c.release_id == RECORD.c.release_id, outcome.c.event != Event.INTENDED)
            .exists()
        )
        open_ones = select(*COLUMNS).where(RECORD.c.event == Event.INTENDED, ~followed).order_by(RECORD.c.n)
        if connection.dialect.name != "sqlite":
            # Behind a shared database another broker may be at work on a younger one.
            open_ones = open_ones.where(RECORD.c.time < stamp(self.clock.utc() - _LONGEST_RELEASE))
        left = connection.execute(open_ones).all()
        return [replace(Entry(**row._mapping), event=Event.CLOSED, outcome=UNKNOWN) for row in left]


def _refuse_other_versions(connection: Connection) -> None:
    known = inspect(connection)
    if not known.has_table(HEAD.name):
        return
    named = {column["name"] for column in known.get_columns(HEAD.name)}
    found = connection.scalar(select(HEAD.c.version)) if "version" in named else 1
    if found not in {VERSION, None}:
        raise unusable(f"expected a record of version {VERSION}, not {found}; keep that one, and name a new database")
