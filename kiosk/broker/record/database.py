"""Opens the database of the record: commits are durable, and a file that was removed or replaced is noticed."""

from __future__ import annotations

import os
import sqlite3
import weakref
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from kiosk.broker.record import time_limits
from kiosk.broker.record.shared_time import Tells
from kiosk.errors import ConfigError, RecordUnavailable
from kiosk.process.logging import place_of

_FILE_MODE = 0o600
_IDLE_TOO_LONG = "25P03"
_EXPECTED = "expected sqlite:////absolute/path or postgresql+psycopg://…"


def unusable(expected: str) -> ConfigError:
    """Return the error for a database that cannot be used."""
    return ConfigError("broker.toml", expected, key="record.database")


def is_no_database(error: Exception) -> bool:
    """Whether the error says that the file is not one of SQLite's: it does not become one by waiting."""
    return getattr(getattr(error, "orig", None), "sqlite_errorname", "") == "SQLITE_NOTADB"


def ended_before_commit(error: Exception) -> bool:
    """Whether the server says that it ended the transaction because the client left it idle."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) == _IDLE_TOO_LONG


def unavailable(error: Exception) -> RecordUnavailable:
    """Wrap an error of the database, or an unexpected one, for the request that met it."""
    if not isinstance(error, SQLAlchemyError):
        return RecordUnavailable(place_of(error))
    origin = getattr(error, "orig", None) or error
    # PostgreSQL's details may quote a whole row.
    words = getattr(getattr(origin, "diag", None), "message_primary", None) or origin
    return RecordUnavailable(f"{type(origin).__name__}: {words}")


def open_engine(
    url: str, *, limited: bool = True, writes: bool = True, queues: bool = False, tells: Tells | None = None
) -> Engine:
    """Open the configured address for writing; a missing SQLite file is created. Raises ConfigError.

    On PostgreSQL, ``limited`` ends what takes too long, ``writes`` makes commits durable, and with ``queues`` an insert
    or update is sent together with the next statement or the commit: it has no row count. ``tells`` is called with the
    server's time in each transaction.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed)
        if parsed.drivername != "postgresql+psycopg":
            raise unusable(f"{_EXPECTED}, not {parsed.drivername}")
        return _postgresql(parsed, limited=limited, writes=writes, queues=queues, tells=tells)
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise unusable(_EXPECTED) from None
    except ImportError as error:
        raise unusable(f"expected the driver to be installed: {error.name}") from None


def open_reader(url: str, *, limited: bool = True, tells: Tells | None = None) -> Engine:
    """Open the configured address for reading; on SQLite this takes no lock that a writer waits for.

    Without ``limited``, reading may take any time. Raises ConfigError if the address is invalid or names a file that
    does not exist.
    """
    path = sqlite_file(url)
    if path is None:
        return open_engine(url, limited=limited, writes=False, tells=tells)
    if not path.is_file():
        raise unusable(f"expected a file with a record: {path}")
    query = {"mode": "ro"}
    if not path.with_name(path.name + "-wal").exists() and not os.access(path.parent, os.W_OK):
        # A copy on a read-only medium: nobody changes it, and SQLite could not create its lock files.
        query["immutable"] = "1"
    engine = create_engine(_existing(path, **query), poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def as_stored(connection: sqlite3.Connection, _pooled: Any) -> None:
        connection.isolation_level = None
        # Text that was damaged must reach the caller instead of ending the reading.
        connection.text_factory = lambda found: found.decode("utf-8", "surrogateescape")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite address, or None for another database. Raises ConfigError."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise unusable(_EXPECTED) from None
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def _postgresql(url: URL, **how: Any) -> Engine:
    from kiosk.broker.record import postgresql

    return postgresql.open_postgresql(url, **how)


def _sqlite(url: URL) -> Engine:
    if not url.database or not Path(url.database).is_absolute() or url.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise unusable(_EXPECTED)
    path = Path(url.database)
    first = _created(path)
    # From here on the file exists: if it vanishes, that is an error and not an empty new record.
    engine = create_engine(
        _existing(path, mode="rw"),
        pool_size=1,
        max_overflow=0,
        connect_args={"timeout": time_limits.BUSY_SECONDS},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def durable(connection: Any, _pooled: Any) -> None:
        # Before the first statement, which would already write into the wrong file.
        if _identity(path) != first:
            connection.close()
            raise _replaced()
        # Otherwise the driver begins transactions late and without the write lock.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    @event.listens_for(engine, "checkout")
    def same_file(_connection: Any, _pooled: Any, _proxy: Any) -> None:
        # SQLite goes on writing into a file that was removed or replaced, without an error.
        if _identity(path) != first:
            raise _replaced()

    _hold_inode(engine, path)
    return engine


def _existing(path: Path, **query: str) -> URL:
    """Return SQLite's address of a file that it must not create."""
    return URL.create("sqlite", database=f"file:{quote(str(path))}", query={"uri": "true", **query})


def _created(path: Path) -> tuple[int, int]:
    """Create the file if it is missing, and return its device and inode. Raises ConfigError."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            found = os.fstat(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise unusable(f"expected a file that can be written: {path}: {error.strerror}") from None
    return found.st_dev, found.st_ino


def _hold_inode(engine: Engine, path: Path) -> None:
    """Keep the inode of the file from being reused while the engine is in use, even if the file is removed."""
    # O_PATH: closing a descriptor that was opened in any other way drops SQLite's locks for the whole process.
    held = os.open(path, os.O_PATH | os.O_CLOEXEC)
    let_go = weakref.finalize(engine, os.close, held)
    event.listen(engine, "engine_disposed", lambda _engine: let_go())


def _replaced() -> DisconnectionError:
    return DisconnectionError("the file is not the one that was opened")


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of the file, or None if it does not exist."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
