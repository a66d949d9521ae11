"""A record of 10,000 rows to tamper with, and what somebody with write access to the database can do to it."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import insert, select

from kiosk.broker.record.chain import FIELDS, digest
from kiosk.broker.record.checkpoints import Signer
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.head import COLUMNS, Head
from kiosk.broker.record.schema import METADATA
from kiosk.cli.audit import audit
from tests.support.postgresql import database
from tests.support.record import fill, signer

ROWS = 1_000


@dataclass(frozen=True)
class Case:
    """A record to tamper with: a folder with its export, keys and anchors, and the address of its database."""

    folder: Path
    url: str


@dataclass(frozen=True)
class Cursor:
    """One syntax for both databases: ``?`` marks a value, rows are tuples or dictionaries."""

    connection: Any
    mark: str

    def execute(self, statement: str, values: Sequence[object] = ()) -> Any:
        # With an empty tuple of values, a per cent sign would be a placeholder.
        return self.connection.execute(
            statement.replace("?", self.mark), values or None if self.mark == "%s" else values
        )

    def dictionaries(self, statement: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        cursor = self.execute(statement, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, found, strict=True)) for found in cursor.fetchall()]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with the record in SQLite, its export, the keys, and what a collector received."""
    folder = tmp_path_factory.mktemp("record")
    address = f"sqlite:///{folder / 'record.db'}"
    _fill(folder, address)
    signer(folder, "other")
    exported = run("export", "--database", address, "--output", str(folder / "record.jsonl"))
    assert exported == (0, "")
    lines = (folder / "record.jsonl").read_bytes().splitlines()[1:]
    (folder / "anchors").write_bytes(b"\n".join(b"<110>1 - broker - - - " + line for line in lines if b".done" in line))
    return folder


@pytest.fixture(scope="session")
def made_on_server(made: Path, postgresql: str) -> Iterator[str]:
    """Put the same record on a server. Yields the name of the database, to be copied by each test."""
    name = f"made-{uuid.uuid4()}"
    with database(postgresql, name) as address:
        copy(f"sqlite:///{made / 'record.db'}", address)
        yield name


@pytest.fixture(params=["sqlite", "postgresql"])
def case(request: pytest.FixtureRequest, made: Path, tmp_path: Path) -> Iterator[Case]:
    """Yield a copy of the record, in each kind of database in turn."""
    folder = Path(shutil.copytree(made, tmp_path / "copy"))
    if request.param == "sqlite":
        yield Case(folder, f"sqlite:///{folder / 'record.db'}")
        return
    template = request.getfixturevalue("made_on_server")
    with database(request.getfixturevalue("postgresql"), f"copy-{uuid.uuid4()}", template=template) as address:
        yield Case(folder, address)


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Return a copy of the folder, for tests that tamper with the export."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


def _fill(folder: Path, address: str, rows: int = ROWS) -> None:
    engine = open_engine(address, limited=False)
    fill(engine, signer(folder), rows)
    engine.dispose()


def copy(source: str, target: str) -> None:
    """Copy all tables of a record into an empty database."""
    origin, copied = (open_engine(one, limited=False) for one in (source, target))
    with origin.connect() as connection, copied.begin() as writing:
        METADATA.create_all(writing)
        for table in METADATA.sorted_tables:
            names = table.columns.keys()
            writing.execute(
                insert(table), [dict(zip(names, row, strict=True)) for row in connection.execute(select(table))]
            )
    origin.dispose()
    copied.dispose()


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(audit, arguments)
    return result.exit_code, result.output


def verdict(source: Case | Path, *more: str, key: str = "record") -> dict[str, Any]:
    """Verify a database, or the export in a folder, and return the report."""
    folder = source.folder if isinstance(source, Case) else source
    place = ("--database", source.url) if isinstance(source, Case) else ("--export", str(folder / "record.jsonl"))
    code, said = run("verify", *place, "--public-key", str(folder / f"{key}.pub"), "--json", *more)
    assert code in {0, 1}, said
    found: dict[str, Any] = json.loads(said)
    assert found["holds"] == (code == 0)
    return found


def found(source: Case | Path, *more: str, **options: Any) -> tuple[int, int] | None:
    """Return the last vouched row and the row at which the break shows; None if the record holds."""
    answer = verdict(source, *more, **options)
    return None if answer["holds"] else (answer["certain"], answer["first"])


@contextlib.contextmanager
def tampering(case: Case) -> Iterator[Cursor]:
    """Connect as the owner of the database, without our code."""
    if case.url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(case.folder / "record.db")) as connection, connection:
            yield Cursor(connection, "?")
        return
    import psycopg

    with psycopg.connect(case.url.replace("+psycopg", "", 1)) as server:
        yield Cursor(server, "%s")


def row(db: Cursor, n: int) -> dict[str, Any]:
    return db.dictionaries("select * from record where n = ?", [n])[0]


def put(db: Cursor, *rows: dict[str, Any]) -> None:
    """Write rows, replacing those with the same number."""
    marks = ", ".join([db.mark] * len(FIELDS))
    cursor = db.connection.cursor()
    cursor.executemany(f"delete from record where n = {db.mark}", [(members["n"],) for members in rows])
    values = [[members[name] for name in FIELDS] for members in rows]
    cursor.executemany(f"insert into record values ({marks})", values)


def renumber(db: Cursor, first: int, by: int) -> None:
    # Through free numbers first, because each must be unique at any time.
    db.execute("update record set n = -n where n >= ?", [first])
    db.execute("update record set n = -n + ? where n < 0", [by])


def rechain(db: Cursor, first: int) -> None:
    """Recompute the hashes from a row on, as somebody can who knows the encoding."""
    previous = row(db, first - 1)["hash"]
    rows = db.dictionaries("select * from record where n >= ? order by n", [first])
    for members in rows:
        members["previous"] = previous
        previous = members["hash"] = digest(members)
    put(db, *rows)
    db.execute("update head set n = (select max(n) from record), hash = ?", [previous])


def sign_head(db: Cursor, signer: Signer) -> None:
    """Sign the head as it is now: with the stolen key, or as a broker did when the record was like this."""
    (stored,) = db.dictionaries("select * from head")
    head = Head(**{column.name: stored[column.name] for column in COLUMNS}).signed_by(signer)
    db.execute("update head set signature = ?", [head.signature])


def cut(db: Cursor, last: int, *, head: bool = True, checkpoints: bool = True) -> None:
    db.execute("delete from record where n > ?", [last])
    if checkpoints:
        db.execute("delete from checkpoint where size > ?", [last])
        db.execute("update head set signed = (select max(size) from checkpoint)")
    if head:
        db.execute("update head set n = ?, hash = ?", [last, row(db, last)["hash"]])


def forged(db: Cursor, n: int) -> dict[str, Any]:
    """Return a forged row that is chained to the one before it."""
    members = row(db, n) | {"name": "Nobody", "previous": row(db, n - 1)["hash"]}
    return members | {"hash": digest(members)}
