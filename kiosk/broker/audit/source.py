"""Reads the record for an audit, from the database or an export: in order, in constant memory, without writing."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec
from sqlalchemy import Column, ColumnElement, Connection, Result, Select, String, Table, func, inspect, select, true
from sqlalchemy.exc import DataError, OperationalError, SQLAlchemyError

from kiosk.broker.record.database import open_reader, unusable
from kiosk.broker.record.head import COLUMNS
from kiosk.broker.record.schema import CHECKPOINT, HEAD, METADATA, PREVIOUS_VERSION, RECORD, VERSION
from kiosk.errors import ConfigError

_AT_ONCE = 500
_LONGEST_LINE = 1 << 20
_MOST_VALUES = 1000
_LARGEST_VALUE = 1 << 20
_TABLES = {table.name for table in METADATA.sorted_tables}
# Of a server that may hold texts of any length; one that was cut has not the hash of its row.
_LONGEST_TEXT = 20_000

Members: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Stored:
    """A checkpoint as it is stored, unchecked."""

    members: Members


Item: TypeAlias = Members | Stored


class TooLarge(Exception):
    """Something in the record is larger than anything that a broker writes."""


class Source(Protocol):
    """A record to audit. It can be read repeatedly and does not change meanwhile. Reading may raise TooLarge."""

    def head(self) -> Members | None:
        """Return the head of the record as it is stored, unchecked; None if it is missing."""

    def items(self) -> Iterator[Item]:
        """Yield the rows in order, and each checkpoint after the last row that it covers."""


class DatabaseSource:
    """A snapshot of the database. Brokers can continue to write.

    ``after`` are the last row and the last checkpoint that ``items`` leaves out, because they were read before.
    """

    def __init__(self, connection: Connection, after: tuple[int, int] = (0, 0)) -> None:
        self._connection = connection
        self._after = after
        self._reading: list[Result[Any]] = []

    def close(self) -> None:
        """Close results that were not read to the end."""
        for result in self._reading:
            result.close()

    def head(self) -> Members | None:
        with _bounded():
            found = self._connection.execute(select(HEAD).where(HEAD.c.id == 1)).mappings().first()
        return dict(found) if found else None

    def rows(self, *where: ColumnElement[bool]) -> Iterator[Members]:
        """Yield the rows that meet all conditions, in order."""
        names = tuple(RECORD.columns.keys())
        statement = select(*self._columns(RECORD)).where(*where).order_by(RECORD.c.n)
        with _bounded():
            for block in self._read(statement).partitions(_AT_ONCE):
                for row in block:
                    yield dict(zip(names, row, strict=True))

    def having(self, column: Column[str], fits: Callable[[str], bool]) -> ColumnElement[bool]:
        """Return an SQL condition that matches every row whose value ``fits``, and possibly more.

        The column needs an index. Callers filter the rows again.
        """
        first = select(func.min(column).label("value")).cte("leap", recursive=True)
        # A loose index scan, from each value to the next: the record is large but has few people and devices.
        following = select(func.min(column)).where(column > first.c.value).scalar_subquery()
        leap = first.union_all(select(following).where(first.c.value.is_not(None)))
        found: list[str] = []
        for (value,) in self._read(select(leap.c.value).where(leap.c.value.is_not(None))):
            if not _is_text(value) or len(found) > _MOST_VALUES:
                # Match every row.
                return true()
            if fits(value):
                found.append(value)
        return column.in_(found)

    def items(self) -> Iterator[Item]:
        n, size = self._after
        # From the first one on there is no condition, so that a damaged number is found as well.
        checkpoints = self.checkpoints(*([CHECKPOINT.c.size > size] if size else []))
        coming = next(checkpoints, None)
        for row in self.rows(*([RECORD.c.n > n] if n else [])):
            while coming and _before(coming.members["size"], row["n"]):
                yield coming
                coming = next(checkpoints, None)
            yield row
        while coming:
            yield coming
            coming = next(checkpoints, None)

    def checkpoints(self, *where: ColumnElement[bool]) -> Iterator[Stored]:
        """Yield the checkpoints that meet all conditions, in the order of their sizes."""
        statement = select(*self._columns(CHECKPOINT)).where(*where).order_by(CHECKPOINT.c.size)
        with _bounded():
            for row in self._read(statement).mappings():
                yield Stored(dict(row))

    def _columns(self, table: Table) -> list[ColumnElement[Any]]:
        """Return the columns of a table, with long texts cut by the server. SQLite has a limit of its own."""
        if self._connection.dialect.name == "sqlite":
            return list(table.columns)
        return [
            func.left(column, _LONGEST_TEXT).label(column.name) if isinstance(column.type, String) else column
            for column in table.columns
        ]

    def _read(self, statement: Select[Any]) -> Result[Any]:
        result = self._connection.execute(statement)
        self._reading.append(result)
        return result


class ExportSource:
    """A file that ``kiosk audit export`` wrote as JSON lines. Raises ConfigError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        first = next(self._lines(), {})
        if not isinstance(first.get("record"), dict):
            raise ConfigError(path, "expected a record exported as jsonl; its first line says so")
        self._head = first["record"]
        if self._head.get("version") != VERSION:
            raise ConfigError(path, f"expected a record of version {VERSION}, not {self._head.get('version')}")
        if missing := [column.name for column in COLUMNS if column.name not in self._head]:
            raise ConfigError(path, f"expected the first line to say how the record ended; missing: {missing[0]}")

    def head(self) -> Members | None:
        return dict(self._head)

    def items(self) -> Iterator[Item]:
        lines = self._lines()
        next(lines)
        for members in lines:
            checkpoint = members.get("checkpoint")
            yield Stored(checkpoint) if isinstance(checkpoint, dict) else members

    def _lines(self) -> Iterator[Members]:
        try:
            with self._path.open("rb") as file:
                while line := file.readline(_LONGEST_LINE):
                    yield read_line(line)
        except OSError as error:
            raise ConfigError(self._path, f"expected an exported record: {error.strerror or error}") from None


def read_line(line: bytes) -> Members:
    """Return the members of a JSON object on one line; an empty dictionary for anything else."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Raise TooLarge for what the database refuses to return because of its size."""
    try:
        yield
    except (DataError, OperationalError, OverflowError) as error:
        if "too big" in str(getattr(error, "orig", "")) or isinstance(error, OverflowError):
            raise TooLarge from None
        raise


@contextlib.contextmanager
def database(url: str) -> Iterator[DatabaseSource]:
    """Open a database for reading. Raises ConfigError."""
    with snapshot(url) as connection, contextlib.closing(DatabaseSource(connection)) as source:
        yield source


@contextlib.contextmanager
def snapshot(url: str, version: int = VERSION) -> Iterator[Connection]:
    """Read a database with a record of this version, as it is now, in rows that are not all loaded at once.

    Raises ConfigError.
    """
    engine = open_reader(url, limited=False)
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                # Paging through the output may take any time, and holds no lock that a broker waits for.
                connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            if engine.dialect.name == "sqlite":
                plain: Any = connection.connection.driver_connection
                # Somebody's megabytes in one column would otherwise be read before anybody can look at them.
                plain.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
            _expect_version(connection, version)
            yield connection.execution_options(stream_results=True, max_row_buffer=_AT_ONCE)
    except SQLAlchemyError as error:
        origin = getattr(error, "orig", None) or error
        words = " ".join(str(origin).split())
        raise ConfigError("the record", f"expected to read it: {type(origin).__name__}: {words}") from None
    finally:
        engine.dispose()


def _expect_version(connection: Connection, expected: int) -> None:
    known = inspect(connection)
    # Views have no end, and say something else each time.
    if not set(known.get_table_names()) >= _TABLES or _virtual(connection):
        raise unusable("expected a database with a record")
    named = {column["name"] for column in known.get_columns(HEAD.name)}
    version = connection.scalar(select(HEAD.c.version)) if "version" in named else 1
    if version not in (expected, None):
        hint = "; see kiosk record migrate" if (expected, version) == (VERSION, PREVIOUS_VERSION) else ""
        raise unusable(f"expected a record of version {expected}, not {version}{hint}")


def _virtual(connection: Connection) -> bool:
    """Whether a table is computed by a module of SQLite when it is read."""
    if connection.dialect.name != "sqlite":
        return False
    made = connection.exec_driver_sql("SELECT lower(substr(ltrim(sql), 1, 20)) FROM sqlite_master WHERE type = 'table'")
    return any("virtual" in (words or "") for words in made.scalars())


def _is_text(value: object) -> bool:
    """Whether the value can be a parameter of a query. A column that was tampered with may hold anything."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _before(size: object, n: object) -> bool:
    """Whether a checkpoint comes before row ``n``. A damaged size or number counts as before."""
    return not (isinstance(size, int) and isinstance(n, int)) or size < n
