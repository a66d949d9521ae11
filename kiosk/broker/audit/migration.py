"""Carries a record of the version before over to this one: in place, in one transaction, without changing a row."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from sqlalchemy import Connection, inspect, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from kiosk.broker.audit.source import DatabaseSource
from kiosk.broker.audit.verify import verify
from kiosk.broker.record.checkpoints import public_keys
from kiosk.broker.record.database import open_engine, unavailable, unusable
from kiosk.broker.record.head import COLUMNS, Head
from kiosk.broker.record.schema import HEAD, VERSION
from kiosk.broker.record.writer import signing_of
from kiosk.config.broker import RecordSettings

_BEFORE = 2
# What version 3 added to the head. Defaults are for the row that is there.
_NEW_COLUMNS = ("losses BIGINT NOT NULL DEFAULT 0", "signature VARCHAR(92) NOT NULL DEFAULT ''")


def migrate(settings: RecordSettings, url: str | None, public_key: Path | None) -> int:
    """Carry the record over and return the number of its rows. Raises ConfigError, and leaves it as it was then.

    ``url`` is the same database for an account that may change tables; ``public_key`` names earlier signing keys.
    """
    signer = signing_of(settings).signer
    keys = [*(public_keys(public_key) if public_key else ()), signer.public]
    # Reading all rows takes its time.
    engine = open_engine(url or settings.database, limited=False)
    try:
        with engine.begin() as connection:
            head = _widened(connection)
            connection.execute(update(HEAD).values(asdict(head.signed_by(signer))))
            verdict = verify(DatabaseSource(connection), keys, iter(()))
            if not verdict.holds:
                raise unusable(f"expected a record that holds: {verdict.says}")
            return verdict.rows
    except SQLAlchemyError as error:
        raise unusable(f"expected a record that can be changed: {unavailable(error).cause}") from None
    finally:
        engine.dispose()


def _widened(connection: Connection) -> Head:
    """Add the new columns to the head, lock it, and return it as one of this version. Raises ConfigError."""
    if not inspect(connection).has_table(HEAD.name):
        raise unusable("expected a database with a record")
    version = connection.scalar(select(HEAD.c.version).with_for_update())
    if version != _BEFORE:
        raise unusable(f"expected a record of version {_BEFORE}, not {version}")
    for column in _NEW_COLUMNS:
        connection.execute(text(f"ALTER TABLE head ADD COLUMN {column}"))
    values = connection.execute(select(*COLUMNS)).one()._asdict() | {"version": VERSION}
    return Head(**{column.key: values[column.name] for column in COLUMNS})
