"""A record of 10,000 rows to tamper with, and what somebody can do who may write to the database."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from click.testing import CliRunner

from kiosk.audit_cli import audit
from kiosk.broker.chain import FIELDS, digest
from kiosk.broker.database import open_engine
from tests.support.record import fill, signer

ROWS = 10_000
Cursor: TypeAlias = sqlite3.Connection


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the record, its export, the keys, and what a collector received."""
    folder = tmp_path_factory.mktemp("record")
    engine = open_engine(f"sqlite:///{folder / 'record.db'}")
    fill(engine, signer(folder), ROWS)
    engine.dispose()
    signer(folder, "other")
    exported = run("export", "--database", url(folder), "--output", str(folder / "record.jsonl"))
    assert exported == (0, "")
    lines = (folder / "record.jsonl").read_bytes().splitlines()[1:]
    (folder / "anchors").write_bytes(b"\n".join(b"<110>1 - broker - - - " + line for line in lines if b".done" in line))
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(audit, arguments)
    return result.exit_code, result.output


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'record.db'}"


def verdict(folder: Path, *more: str, key: str = "record", export: bool = False) -> dict[str, Any]:
    source = ("--export", str(folder / "record.jsonl")) if export else ("--database", url(folder))
    code, said = run("verify", *source, "--public-key", str(folder / f"{key}.pub"), "--json", *more)
    assert code in {0, 1}, said
    found: dict[str, Any] = json.loads(said)
    assert found["holds"] == (code == 0)
    return found


def found(folder: Path, *more: str, **options: Any) -> tuple[int | None, str]:
    answer = verdict(folder, *more, **options)
    return answer["first"], answer["how"]


@contextlib.contextmanager
def tampering(folder: Path) -> Iterator[Cursor]:
    with contextlib.closing(sqlite3.connect(folder / "record.db")) as connection, connection:
        connection.row_factory = sqlite3.Row
        yield connection


def row(db: Cursor, n: int) -> dict[str, Any]:
    return dict(db.execute("select * from record where n = ?", [n]).fetchone())


def put(db: Cursor, members: dict[str, Any]) -> None:
    marks = ", ".join("?" * len(FIELDS))
    db.execute(f"insert or replace into record values ({marks})", [members[name] for name in FIELDS])


def renumber(db: Cursor, first: int, by: int) -> None:
    # Over numbers that are free, as each must be unique at any time.
    db.execute("update record set n = -n where n >= ?", [first])
    db.execute("update record set n = -n + ? where n < 0", [by])


def rechain(db: Cursor, first: int) -> None:
    """What somebody does who knows the encoding, and may write to the database."""
    previous = row(db, first - 1)["hash"]
    for (n,) in db.execute("select n from record where n >= ? order by n", [first]).fetchall():
        members = row(db, n) | {"previous": previous}
        previous = members["hash"] = digest(members)
        put(db, members)
    db.execute("update head set n = (select max(n) from record), hash = ?", [previous])


def cut(db: Cursor, last: int, *, head: bool = True, checkpoints: bool = True) -> None:
    db.execute("delete from record where n > ?", [last])
    if checkpoints:
        db.execute("delete from checkpoint where size > ?", [last])
        db.execute("update head set sealed = (select max(size) from checkpoint)")
    if head:
        db.execute("update head set n = ?, hash = ?", [last, row(db, last)["hash"]])


def forged(db: Cursor, n: int) -> dict[str, Any]:
    """A row that fits behind the one before it."""
    members = row(db, n) | {"name": "Nobody", "previous": row(db, n - 1)["hash"]}
    return members | {"hash": digest(members)}
