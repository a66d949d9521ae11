"""Brings the indexes up to date. They are not part of the format: without them, searches are only slower."""

from __future__ import annotations

from sqlalchemy import Connection, Executable, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.schema import CreateIndex

from kiosk.broker import logs
from kiosk.broker.record.schema import OUTDATED_INDEXES, RECORD

# SQLAlchemy's reflection skips indexes on expressions.
_KNOWN = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index'",
    "postgresql": "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()",
}


def bring_up_to_date(connection: Connection) -> None:
    """Create missing indexes and drop outdated ones. Logs a warning where the account may not."""
    known = set(connection.exec_driver_sql(_KNOWN[connection.dialect.name]).scalars())
    changes: list[tuple[str, Executable]] = [
        (f"make {index.name}", CreateIndex(index)) for index in RECORD.indexes if index.name not in known
    ]
    changes += [(f"drop {name}", text(f"DROP INDEX {name}")) for name in OUTDATED_INDEXES if name in known]
    for what, change in sorted(changes, key=lambda change: change[0]):
        logs.LOG.info("the record is brought up to date: %s", what)
        try:
            with connection.begin_nested():
                connection.execute(change)
        except (OperationalError, ProgrammingError) as error:
            # Accounts that may only add rows are recommended; the owner of the tables does this once.
            logs.LOG.warning("the record stays slower than it could be: could not %s: %s", what, error.orig)
