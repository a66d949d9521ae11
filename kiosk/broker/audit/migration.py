"""Migrates a record of the version before to this one: in place, while brokers of either version run.

No row is changed. Brokers of the version before serve until the new columns are there, those of this one from then on.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import Connection, inspect, text, update
from sqlalchemy.exc import SQLAlchemyError

from kiosk.broker.audit.source import DatabaseSource, Members, snapshot
from kiosk.broker.audit.verify import Audit, Verdict
from kiosk.broker.record import time_limits
from kiosk.broker.record.checkpoints import Signer, public_keys
from kiosk.broker.record.database import open_engine, unavailable, unusable
from kiosk.broker.record.files import signing_of
from kiosk.broker.record.head import Head
from kiosk.broker.record.schema import HEAD, PREVIOUS_VERSION, SINK, VERSION
from kiosk.broker.record.sink_offset import sign_all
from kiosk.config.broker import RecordSettings

_HEAD_BEFORE = text("SELECT version, origin, n, hash, sealed, sealed_at FROM head WHERE id = 1")
# The defaults are for the rows that are there. Two columns get new names because brokers of version 2 do not compare
# versions: one that still runs could append after the head was signed, and nobody could trust the head any more.
_HEAD_CHANGES = (
    "ALTER TABLE head RENAME COLUMN sealed TO signed",
    "ALTER TABLE head RENAME COLUMN sealed_at TO signed_at",
    "ALTER TABLE head ADD COLUMN losses BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE head ADD COLUMN signature VARCHAR(92) NOT NULL DEFAULT ''",
)
_SINK_CHANGES = ("ALTER TABLE sink ADD COLUMN signature VARCHAR(92) NOT NULL DEFAULT ''",)


def migrate(settings: RecordSettings, url: str | None, public_key: Path | None) -> int:
    """Migrate the record and return the number of its rows. Raises ConfigError, and leaves it as it was then.

    ``url`` is the same database for an account that may change tables; ``public_key`` names earlier signing keys.
    """
    signer = signing_of(settings).signer
    audit = Audit([*(public_keys(public_key) if public_key else ()), signer.public], iter(()))
    url = url or settings.database
    # Reading all rows takes its time. Nobody waits for it: of what is appended meanwhile, the rest is read in the end.
    with snapshot(url, PREVIOUS_VERSION) as connection, contextlib.closing(_Before(connection, signer)) as source:
        _expect(audit.verdict(source))
    engine = open_engine(url, limited=False)
    try:
        with engine.begin() as connection:
            _migrate(connection, signer)
            return _expect(audit.verdict(DatabaseSource(connection, audit.reached))).rows
    except SQLAlchemyError as error:
        raise unusable(f"expected a record that can be changed: {unavailable(error).cause}") from None
    finally:
        engine.dispose()


class _Before(DatabaseSource):
    """A record of the version before, with the head that it will have."""

    def __init__(self, connection: Connection, signer: Signer) -> None:
        super().__init__(connection)
        self._signer, self._head = signer, _head(connection)

    def head(self) -> Members | None:
        return asdict(self._head.signed_by(self._signer))


def _migrate(connection: Connection, signer: Signer) -> None:
    """Change the tables, and sign what is signed from now on."""
    sinks = inspect(connection).has_table(SINK.name)
    if connection.dialect.name == "postgresql":
        # Brokers wait behind this lock, and it waits for all readers, such as a backup, which takes long.
        connection.execute(text(f"SET LOCAL lock_timeout = '{time_limits.BUSY_SECONDS:g}s'"))
        # Before a row is locked, so that nobody who waits for a row is waited for. Deliveries have the same order.
        tables = "sink, head" if sinks else "head"
        connection.execute(text(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"))
    head = _head(connection).signed_by(signer)
    for change in (*_HEAD_CHANGES, *(_SINK_CHANGES if sinks else ())):
        connection.execute(text(change))
    connection.execute(update(HEAD).where(HEAD.c.id == 1).values(asdict(head)))
    if sinks:
        sign_all(connection, head, signer)


def _head(connection: Connection) -> Head:
    """Return the head of a record of the version before as one of this version. Raises ConfigError."""
    found = connection.execute(_HEAD_BEFORE).first()
    if found is None:
        raise unusable("expected a database with a record")
    if found.version != PREVIOUS_VERSION:
        raise unusable(f"expected a record of version {PREVIOUS_VERSION}, not {found.version}")
    return Head(VERSION, found.origin, found.n, found.hash, found.sealed, found.sealed_at, losses=0)


def _expect(verdict: Verdict) -> Verdict:
    """Return a verdict on a record that holds. Raises ConfigError."""
    if not verdict.holds:
        raise unusable(f"expected a record that holds: {verdict.says}")
    return verdict
