"""The record that is judged does not write its own verdict: whatever it holds, the answer is short and plain."""

from __future__ import annotations

import json
import os
import pty
import sqlite3
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from kiosk.broker.audit.export import pieces
from kiosk.broker.audit.source import database
from kiosk.broker.record.checkpoints import Signing
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.ledger import Ledger
from kiosk.broker.record.schema import CHECKPOINT, HEAD, RECORD, Entry, Event
from kiosk.cli.main import cli
from tests.support.clock import ManualClock
from tests.support.record import signer

VERDICT = "\x1b[2K\x1b[1Gholds: 31 rows, 3 checkpoints, 0 anchors matched\x1b[8m\r\n\x9b2J\u202e\x7f"
VALUES = {"text": VERDICT, "bytes": VERDICT.encode(), "infinity": 1e999, "less": -1, "large": "x" * 2_000_000}
# Not part of what is judged: whether the head is that row, and a count that only has to change.
FREE = {("head", "id"), ("head", "trials")}
COLUMNS = [
    (table.name, column.name)
    for table in (HEAD, CHECKPOINT, RECORD)
    for column in table.columns
    if (table.name, column.name) not in FREE
]
# One of each kind, for the values that are not the same as in all other columns.
TYPICAL = {("head", "n"), ("head", "hash"), ("record", "n"), ("record", "reason"), ("checkpoint", "note")}
Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a record of a few rows, its public key and its export."""
    folder = tmp_path_factory.mktemp("hostile")
    ledger = Ledger(ManualClock(), Signing(signer(folder)))
    url = f"sqlite:///{folder / 'record.db'}"
    engine = open_engine(url, limited=False)
    with ledger.transaction(engine) as connection:
        ledger.start(connection)
        ledger.add(connection, Entry(Event.CLOSED, outcome="hidden", name="Zoë"))
        ledger.stop(connection)
    engine.dispose()
    with database(url) as source:
        (folder / "record.jsonl").write_bytes(b"".join(pieces(source, "jsonl")))
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def change(folder: Path, *statements: str, values: tuple[object, ...] = ()) -> None:
    connection = sqlite3.connect(folder / "record.db")
    for statement in statements:
        connection.execute(statement, values)
    connection.commit()
    connection.close()


def verify(folder: Path, *more: str, export: bool = False) -> tuple[int, str]:
    """Run the command here. An exception that it does not expect is exit code 70."""
    url = f"sqlite:///{folder / 'record.db'}"
    source = ("--export", str(folder / "record.jsonl")) if export else ("--database", url)
    result = CliRunner().invoke(cli, ["audit", "verify", *source, "--public-key", str(folder / "record.pub"), *more])
    return result.exit_code, result.output


def refused(answer: tuple[int, str]) -> bool:
    """Whether the answer is that it does not hold, or cannot be read, in a few plain words."""
    code, said = answer
    plain = all(one == "\n" or unicodedata.category(one) not in {"Cc", "Cf", "Co", "Cn"} for one in said)
    return code in {1, 2} and plain and len(said) < 1200 and said.startswith(("does not hold: ", "kiosk: "))


def test_whatever_a_column_holds(folder: Path) -> None:
    original = (folder / "record.db").read_bytes()
    for table, column in COLUMNS:
        where = {"head": "id = 1", "checkpoint": "size = 1", "record": "n = 2"}[table]
        for kind, value in VALUES.items():
            if kind == "text" or (table, column) in TYPICAL:
                change(folder, f"update {table} set {column} = ? where {where}", values=(value,))
                assert refused(verify(folder)), (table, column, kind)
                (folder / "record.db").write_bytes(original)


def all_members(lines: Lines) -> list[tuple[int, str | None, str]]:
    found: list[tuple[int, str | None, str]] = []
    for number, line in enumerate(lines):
        for name, value in line.items():
            inner = value if isinstance(value, dict) else {}
            found += [(number, name, one) for one in inner] or [(number, None, name)]
    return found


def test_whatever_an_export_holds(folder: Path) -> None:
    file = folder / "record.jsonl"
    original = file.read_bytes()
    lines: Lines = [json.loads(line) for line in original.splitlines()]
    values = [VERDICT, 10**400, True, {"n": 1}, "x" * 200_000]
    members = all_members(lines[:3])
    assert (0, "record", "version") in members
    for number, outer, name in members:
        for value in values:
            changed = json.loads(json.dumps(lines))
            (changed[number][outer] if outer else changed[number])[name] = value
            file.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in changed))
            assert refused(verify(folder, export=True)), (number, outer, name, str(value)[:20])
    for line in (b"[" * 500_000, b'{"n":' * 100_000, b"\xff\xfe", b'{"n":1e999}', b'{"shown_seconds":Infinity}', b""):
        file.write_bytes(original.splitlines()[0] + b"\n" + line + b"\n")
        assert refused(verify(folder, export=True)), line[:20]
        file.write_bytes(line + b"\n")
        assert refused(verify(folder, export=True)), line[:20]


@pytest.mark.parametrize("value", ["Infinity", "-Infinity", "NaN"])
def test_what_json_writes_like_a_null_is_no_null(folder: Path, value: str) -> None:
    # Both have the same encoding, and therefore the same hash.
    assert msgspec.json.encode(float(value)) == b"null"
    change(folder, "update record set shown_seconds = ? where n = 2", values=(float(value),))
    code, said = verify(folder)
    # SQLite has no NaN and stores it as a null.
    assert (code, "row 2" in said) == ((0, False) if value == "NaN" else (1, True))


VIEWS: dict[str, Callable[[str], list[str]]] = {
    "view": lambda name: [
        f"alter table {name} rename to was",
        f"create view {name} as with recursive a(n) as (select 1 union all select n from a) select was.* from was, a",
    ],
    "virtual table": lambda name: [
        "create virtual table other using fts5(a)",
        f"alter table {name} rename to was",
        f"alter table other rename to {name}",
    ],
}


@pytest.mark.parametrize("kind", VIEWS)
@pytest.mark.parametrize("table", ["head", "checkpoint", "record"])
def test_what_is_computed_when_it_is_read_is_not_read(folder: Path, table: str, kind: str) -> None:
    change(folder, *VIEWS[kind](table))
    assert verify(folder) == (2, "kiosk: broker.toml: record.database: expected a database with a record\n")


def test_a_second_head_says_nothing(folder: Path) -> None:
    change(folder, "insert into head select 0, version, origin, 2, hash, signed, signed_at, 9, '', 0 from head")
    assert verify(folder)[1].startswith("holds: 3 rows")


def test_what_is_written_in_front_of_anchors(folder: Path) -> None:
    for line in (
        b'{"n":true,"hash":"x"}',
        b'{"n":1,"hash":"\\u001b[2J"}',
        b'{"checkpoint":{"note":"\\u001b"}}',
        b"[" * 99999,
    ):
        (folder / "anchors").write_bytes(line + b"\n")
        assert refused(verify(folder, "--anchors", str(folder / "anchors"))), line[:30]


def on_a_terminal(*arguments: str) -> bytes:
    """Return what a terminal gets to see of a command."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen([sys.executable, "-m", "kiosk", *arguments], stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 4096):
            said += piece
    except OSError:
        # The end of a terminal.
        pass
    finally:
        os.close(ours)
    child.wait()
    return said


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("update head set version = ?", b"expected a record of version 3, not "),
        ("update checkpoint set note = ?", b"does not hold: "),
    ],
)
def test_a_terminal_sees_no_control_of_the_record(folder: Path, statement: str, words: bytes) -> None:
    change(folder, statement, values=(VERDICT,))
    url = f"sqlite:///{folder / 'record.db'}"
    said = on_a_terminal("audit", "verify", "--database", url, "--public-key", str(folder / "record.pub"))
    assert words in said
    assert all(one not in said for one in (b"\x1b", "\x9b".encode(), "\u202e".encode(), b"\x7f"))
