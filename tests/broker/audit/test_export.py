"""What leaves the record for other programs: no cell that a spreadsheet calculates, no byte that a terminal obeys."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from kiosk.broker.audit.export import inert
from kiosk.broker.record.checkpoints import Signing
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.ledger import Ledger
from kiosk.broker.record.schema import Entry, Event
from tests.broker.audit.test_audit import run
from tests.support.clock import ManualClock
from tests.support.record import signer

ACTS = "=+-@＝＋－＠"
# What a spreadsheet or its import dialog may take as the end of a cell, and what it may skip at the beginning of one.
BEFORE = ["", " ", '"', "x;", "x,", "x\t", "x\n", "x\r\n", "x; ", 'x;"', 'x,""', "x;\n", "x|", "x\u2028", "x\v"]
# Whatever else a terminal obeys or hides: C0, DEL, C1, bidi, zero width, line separators, tags outside the BMP.
OBEYED = "\x00\x07\x1b[2J\x7f\x9b2J\u202e\u200b\u2028\ufeff\U000e0041"
MEMBERS = ("name", "terminal", "reason")


@pytest.fixture
def record(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'record.db'}"
    ledger, engine = Ledger(ManualClock(), Signing(signer(tmp_path))), open_engine(url)
    with ledger.transaction(engine) as connection:
        ledger.start(connection)
        for before in BEFORE:
            for act in ACTS:
                text = f"{before}{act}cmd|' /C calc'!A0"
                ledger.add(connection, Entry(Event.REFUSED, name=text, terminal=f"{text};", reason=f"last{text}"))
        ledger.add(connection, replace(Entry(Event.REFUSED), name=OBEYED, terminal=OBEYED * 2, reason="Zoë 雪 😀"))
        ledger.stop(connection)
    engine.dispose()
    return url


def cells(table: str, separator: str, *, quoted: bool = True) -> Iterator[str]:
    # What is a quote to one program is a character of the cell to another.
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    for row in csv.reader(io.StringIO(table, newline=""), delimiter=separator, quoting=quoting):
        yield from row


@pytest.mark.parametrize("quoted", [True, False], ids=["quoted", "unquoted"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_no_spreadsheet_calculates_a_cell(record: str, separator: str, quoted: bool) -> None:
    code, table = run("export", "--database", record, "--format", "csv")
    assert code == 0
    every = [cell.lstrip(' "') for cell in cells(table, separator, quoted=quoted)]
    assert len(every) > 50
    assert [cell for cell in every if cell.startswith(tuple(ACTS))] == []


def test_a_cell_that_was_written_by_hand_is_no_exception(record: str) -> None:
    # SQLite keeps any type in any column.
    path = record.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        connection.execute("update record set reason = cast(x'783b3d312b31' as blob), shown_seconds = ';=1+1'")
    connection.close()
    code, table = run("export", "--database", record, "--format", "csv")
    assert code == 0
    assert [cell for cell in cells(table, ";") if cell.startswith("=")] == []


def test_an_ordinary_text_is_left_as_it_is(record: str) -> None:
    _, table = run("export", "--database", record, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    assert rows[-2]["reason"] == "Zoë 雪 😀"
    assert rows[-2]["time"] == "2026-11-22T09:00:00.000000Z"
    assert rows[-2]["shown_seconds"] == ""
    assert rows[1]["name"] == "'=cmd|' /C calc'!A0"


@pytest.mark.parametrize(
    "arguments", [("show", "--json"), ("export",), ("export", "--format", "csv")], ids=["show", "jsonl", "csv"]
)
def test_nothing_that_a_terminal_obeys_is_written(record: str, arguments: tuple[str, ...]) -> None:
    code, said = run(*arguments, "--database", record)
    assert code == 0
    assert {character for character in said if not character.isprintable()} <= {"\n", "\r"}
    assert "Zoë 雪 😀" in said


def test_what_was_escaped_is_still_the_same_json(record: str, tmp_path: Path) -> None:
    _, said = run("show", "--database", record, "--json", "--event", "release.refused")
    row = json.loads(said.splitlines()[-1])
    assert (row["name"], row["terminal"]) == (OBEYED, OBEYED * 2)
    file = tmp_path / "out.jsonl"
    assert run("export", "--database", record, "--output", str(file)) == (0, "")
    assert json.loads(file.read_text().splitlines()[-3])["name"] == OBEYED
    code, verdict = run("verify", "--export", str(file), "--public-key", str(tmp_path / "record.pub"))
    assert code == 0, verdict


def test_a_long_run_of_separators_takes_no_time() -> None:
    text = ' ;"' * 300_000
    assert inert(text) == text
    assert inert(text + "=") == text + "'="
