"""Brings the indexes up to date. They are not part of the format: without them, searches are only slower."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.schema import CreateIndex

from kiosk.broker import logs
from kiosk.broker.record.database import open_engine, sqlite_file
from kiosk.broker.record.schema import OUTDATED_INDEXES, RECORD

# SQLAlchemy's reflection skips indexes on expressions.
_ON_SQLITE = "SELECT name, true FROM sqlite_master WHERE type = 'index'"
# What a broker left half-built is not valid; what one builds at the moment is not valid yet.
_ON_POSTGRESQL = """
    SELECT relname, indisvalid OR indexrelid IN (SELECT index_relid FROM pg_stat_progress_create_index)
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = to_regclass('record')
"""
# An arbitrary number, the same for all brokers: only one of them builds.
_BUILDING = 0x6B696F736C


def bring_up_to_date(connection: Connection) -> None:
    """Create missing indexes on SQLite and drop outdated ones. Logs a warning where the account may not."""
    for what, statement in _changes(dict(connection.exec_driver_sql(_ON_SQLITE).all()), connection.dialect, ""):
        with _explained(what, OperationalError, ProgrammingError), connection.begin_nested():
            connection.execute(text(statement))


class Builder:
    """Does the same on PostgreSQL: beside the brokers that run, and with no lock that one of them waits for.

    Building takes as long as the record is large.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._stopping = False
        self._lock = threading.Lock()
        self._driver: Any = None

    def run(self) -> None:
        """Build what is missing, unless another broker does. Raises SQLAlchemyError."""
        if sqlite_file(self._url):
            return
        with _opened(self._url, limited=True) as engine, engine.connect() as connection:
            if not _changes(dict(connection.exec_driver_sql(_ON_POSTGRESQL).all()), engine.dialect, ""):
                return
        with _opened(self._url, limited=False) as engine, engine.begin() as alone:
            if alone.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _BUILDING}):
                with _opened(self._url, limited=False) as other:
                    self._build(other)

    def stop(self) -> None:
        """Leave the server alone with what it builds: it finishes that, and a later start does the rest."""
        with self._lock:
            self._stopping = True
            if self._driver and not self._driver.closed:
                with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._driver.fileno())) as line:
                    line.shutdown(socket.SHUT_RDWR)

    def _build(self, engine: Engine) -> None:
        import psycopg

        with contextlib.closing(engine.raw_connection()) as pooled:
            driver: Any = pooled.driver_connection
            with self._lock:
                self._driver = driver
            for what, statement in _changes(dict(driver.execute(_ON_POSTGRESQL)), engine.dialect, "CONCURRENTLY "):
                if self._stopping:
                    return
                with _explained(what, psycopg.Error):
                    driver.execute(statement)
                if driver.closed:
                    # Otherwise the pool would say that it cannot roll back.
                    pooled.invalidate()
                    return


def _changes(known: dict[str, bool], dialect: Dialect, how: str) -> list[tuple[str, str]]:
    """Return what is to be done, in words and as a statement. ``known`` says of each index whether it is whole."""
    changes = [(f"drop {name}", f"DROP INDEX {how}{name}") for name in OUTDATED_INDEXES if name in known]
    for index in sorted(RECORD.indexes, key=lambda index: index.name or ""):
        if known.get(str(index.name)):
            continue
        if index.name in known:
            changes.append((f"drop {index.name}", f"DROP INDEX {how}{index.name}"))
        made = str(CreateIndex(index).compile(dialect=dialect))
        changes.append((f"create {index.name}", made.replace("CREATE INDEX ", f"CREATE INDEX {how}", 1)))
    return changes


@contextlib.contextmanager
def _explained(what: str, *errors: type[Exception]) -> Iterator[None]:
    logs.LOG.info("updating the record: %s", what)
    try:
        yield
    except errors as error:
        # Accounts that may only add rows are recommended; the owner of the tables does this once.
        origin = getattr(error, "orig", None) or error
        logs.LOG.warning("the record stays slower than it could be: could not %s: %s", what, origin)


@contextlib.contextmanager
def _opened(url: str, *, limited: bool) -> Iterator[Engine]:
    engine = open_engine(url, limited=limited)
    try:
        yield engine
    finally:
        engine.dispose()
