"""``kiosk audit`` for people: filters, readable entries, nothing that acts on a terminal, and exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from kiosk.broker.audit.show import moment, wrapped
from kiosk.broker.record.chain import FIELDS
from kiosk.broker.record.checkpoints import Signing
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.ledger import Ledger
from kiosk.broker.record.schema import Entry, Event
from kiosk.cli.main import cli
from kiosk.errors import ConfigError
from tests.support.clock import ManualClock
from tests.support.record import signer

HOSTILE = '=1+1 \x1b[2J\x1b]0;x\x07"\u202e\n雪' * 2
ADA = Entry(
    Event.SESSION_OPENED,
    tid="6f1f1f0e-0000-4000-8000-000000000001",
    oid="0a0a0a0a-0000-4000-8000-000000000001",
    name="Ada Östberg",
    address="ada.ostberg@nordwind.example",
    terminal="desk-1",
)
RELEASE = replace(
    ADA,
    event=Event.INTENDED,
    device_id="1b1b1b1b-0000-4000-8000-000000000001",
    device_name="NW-AOSTBERG-14",
    serial="H4XQ7LM2PN",
    owner_type="company",
    reason="forgot the password after the holidays",
    release_id="2c2c2c2c-0000-4000-8000-000000000001",
)
EVE = Entry(Event.REFUSED, outcome="device_not_yours", oid="eve", name=HOSTILE, reference="9AF2FC16", serial=HOSTILE)


def write(url: str, folder: Path) -> None:
    clock = ManualClock()
    ledger = Ledger(clock, Signing(signer(folder)))
    engine = open_engine(url, limited=False)
    with ledger.transaction(engine) as connection:
        ledger.start(connection)
        for days, entry in [
            (0, ADA),
            (0, RELEASE),
            (0, replace(RELEASE, event=Event.DONE)),
            (0, replace(RELEASE, event=Event.CLOSED, outcome="hidden", shown_seconds=12.5)),
            (1, EVE),
            (1, replace(RELEASE, event=Event.CLOSED, outcome="unknown", reason="again", release_id="3")),
        ]:
            clock.advance(86_400 * days)
            ledger.add(connection, entry)
        ledger.stop(connection)
    engine.dispose()


@pytest.fixture
def record(url: str, tmp_path: Path) -> str:
    write(url, tmp_path)
    return url


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["audit", *arguments])
    return result.exit_code, result.output


def numbers(record: str, *arguments: str) -> list[int]:
    code, said = run("show", "--database", record, "--json", *arguments)
    assert code == 0, said
    return [json.loads(line)["n"] for line in said.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], range(1, 9)),
        (["--person", "öst"], [2, 3, 4, 5, 7]),
        (["--person", "ADA.OSTBERG@nordwind.example"], [2, 3, 4, 5, 7]),
        (["--person", "0A0A0A0A-0000-4000-8000-000000000001"], [2, 3, 4, 5, 7]),
        (["--person", "%"], [6] if "%" in HOSTILE else []),
        (["--device", "h4xq7lm2pn"], [3, 4, 5, 7]),
        (["--device", "nw-aostberg-14"], [3, 4, 5, 7]),
        (["--device", "1B1B1B1B-0000-4000-8000-000000000001"], [3, 4, 5, 7]),
        (["--device", "H4XQ7LM2P"], []),
        (["--event", "release"], [3, 4, 5, 6, 7]),
        (["--event", "release.done"], [4]),
        (["--event", "rel"], []),
        (["--outcome", "device_not_yours"], [6]),
        (["--seen"], [4, 7]),
        (["--since", "2026-11-23"], [6, 7, 8]),
        (["--until", "2026-11-22"], [1, 2, 3, 4, 5]),
        (["--since", "2026-11-23", "--until", "2026-11-23T12:00"], [6]),
        (["--since", "2026-11-23T10:00+01:00", "--until", "2026-11-24T09:00Z"], [6]),
        (["--seen", "--device", "H4XQ7LM2PN", "--since", "2026-11-24"], [7]),
    ],
)
def test_filters(record: str, arguments: list[str], expected: Sequence[int]) -> None:
    assert numbers(record, *arguments) == list(expected)


NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)  # a Sunday


@pytest.mark.parametrize(
    ("words", "since", "until"),
    [
        ("monday", "2026-11-16T00:00", "2026-11-17T00:00"),
        ("Sunday", "2026-11-22T00:00", "2026-11-23T00:00"),
        ("today", "2026-11-22T00:00", "2026-11-23T00:00"),
        ("yesterday", "2026-11-21T00:00", "2026-11-22T00:00"),
        ("7d", "2026-11-15T09:30", "2026-11-15T09:30"),
        ("2w", "2026-11-08T09:30", "2026-11-08T09:30"),
        ("90m", "2026-11-22T08:00", "2026-11-22T08:00"),
        ("12h", "2026-11-21T21:30", "2026-11-21T21:30"),
        ("2026-11-20", "2026-11-20T00:00", "2026-11-21T00:00"),
        ("2026-11-20 08:15", "2026-11-20T08:15", "2026-11-20T08:15"),
        ("2026-11-20T08:15+02:00", "2026-11-20T06:15", "2026-11-20T06:15"),
    ],
)
def test_moments(words: str, since: str, until: str) -> None:
    assert moment("--since", words, NOW) == datetime.fromisoformat(since).replace(tzinfo=UTC)
    assert moment("--until", words, NOW, end=True) == datetime.fromisoformat(until).replace(tzinfo=UTC)


@pytest.mark.parametrize("words", ["", "soon", "2026-13-01", "7y", "mon", "0001-01-01T00:00+23:00"])
def test_invalid_moments(words: str) -> None:
    with pytest.raises(ConfigError, match=r"--since: expected a day"):
        moment("--since", words, NOW)


def test_entries_fit_and_do_nothing_to_the_terminal(record: str) -> None:
    code, said = run("show", "--database", record)
    assert code == 0
    lines = said.splitlines()
    assert lines[-1] == "8 entries"
    assert "4  2026-11-22 09:00:00Z  release.done  ok" in lines
    assert "    Ada Östberg <ada.ostberg@nordwind.example>" in lines
    assert "    NW-AOSTBERG-14 (H4XQ7LM2PN)" in lines
    assert "    reason: forgot the password after the holidays" in lines
    assert not [line for line in lines for c in line if unicodedata.category(c) in {"Cc", "Cf", "Cs"}]
    widths = [sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line) for line in lines]
    assert max(widths) <= 80
    assert run("show", "--database", record, "--event", "nothing") == (0, "0 entries\n")


def test_wrapping() -> None:
    assert wrapped("a " * 60, "  ")[0] == "  " + "a " * 38 + "a"
    assert [len(line) for line in wrapped("x" * 200, "")] == [80, 80, 40]
    assert [len(line) for line in wrapped("雪" * 50, "")] == [40, 10]


def test_exports_can_be_verified_and_read(record: str, tmp_path: Path) -> None:
    public = str(tmp_path / "record.pub")
    file = tmp_path / "out.jsonl"
    assert run("export", "--database", record, "--output", str(file)) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    assert run("export", "--database", record) == (0, file.read_text())
    for source in (("--export", str(file)), ("--database", record)):
        said = run("verify", *source, "--public-key", public, "--anchors", str(file))
        assert said == (0, "holds: 8 rows, 4 checkpoints, 8 anchors matched\n")
    code, table = run("export", "--database", record, "--format", "csv")
    cells = list(csv.DictReader(io.StringIO(table)))
    assert code == 0
    assert [int(row["n"]) for row in cells] == list(range(1, 9))
    assert list(cells[0]) == list(FIELDS)
    # A spreadsheet would evaluate a cell that begins with an equals sign.
    assert cells[5]["name"].startswith("'=1+1")
    code, words = run("export", "--database", record, "--output", str(file))
    assert code == 2
    assert "expected to write a new file: File exists" in words
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def append(record: str, folder: Path) -> None:
    ledger = Ledger(ManualClock(), Signing(signer(folder)))
    engine = open_engine(record, limited=False)
    with ledger.transaction(engine) as connection:
        ledger.add(connection, ADA)
    engine.dispose()


def test_rows_after_the_last_checkpoint_are_vouched_for_by_the_head(record: str, tmp_path: Path) -> None:
    append(record, tmp_path)
    code, said = run("verify", "--database", record, "--public-key", str(tmp_path / "record.pub"), "--json")
    assert (code, json.loads(said)["rows"], json.loads(said)["certain"]) == (0, 9, 9)


def test_a_broker_that_goes_on_writing_is_no_trouble(record: str, tmp_path: Path) -> None:
    from kiosk.broker.audit.source import database
    from kiosk.broker.audit.verify import verify
    from kiosk.broker.record.checkpoints import public_keys

    with database(record) as source:
        assert source.head() is not None
        append(record, tmp_path)
        verdict = verify(source, public_keys(tmp_path / "record.pub"), iter(()))
    assert (verdict.holds, verdict.rows) == (True, 8)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["verify", "--public-key", "{pub}"], "expected exactly one of --config or --database or --export"),
        (["verify", "--database", "{url}", "--export", "x", "--public-key", "{pub}"], "expected exactly one of"),
        (["verify", "--database", "{url}", "--public-key", "{none}"], "expected public keys in PEM: No such file"),
        (["verify", "--database", "{url}", "--public-key", "{junk}"], "expected Ed25519 public keys in PEM"),
        (["verify", "--database", "sqlite:///{none}", "--public-key", "{pub}"], "expected a file with a record"),
        (["verify", "--database", "sqlite:///{junk}", "--public-key", "{pub}"], "expected to read it"),
        (["verify", "--database", "mysql://x", "--public-key", "{pub}"], "expected sqlite"),
        (["verify", "--export", "{none}", "--public-key", "{pub}"], "expected an exported record: No such file"),
        (["verify", "--export", "{junk}", "--public-key", "{pub}"], "expected a record exported as jsonl"),
        (["verify", "--export", "{bare}", "--public-key", "{pub}"], "how the record ended; missing: origin"),
        (["verify", "--database", "{url}", "--public-key", "{pub}", "--anchors", "{none}"], "expected anchors"),
        (["verify", "--database", "{url}", "--public-key", "{pub}", "--anchors", "{junk}"], "expected anchors"),
        (["show", "--database", "{url}", "--since", "soon"], "--since: expected a day"),
        (["show", "--config", "{none}"], "expected a configuration file"),
        (["export", "--database", "{url}", "--output", "/no/such/file"], "expected to write a new file"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_two(tmp_path: Path, arguments: list[str], words: str) -> None:
    url = f"sqlite:///{tmp_path / 'record.db'}"
    write(url, tmp_path)
    (tmp_path / "junk").write_bytes(os.urandom(4096))
    (tmp_path / "bare").write_text('{"record":{"version":3}}\n')
    names = {"url": url, "pub": tmp_path / "record.pub"} | {one: tmp_path / one for one in ("none", "junk", "bare")}
    code, said = run(*(argument.format(**names) for argument in arguments))
    assert code == 2
    assert words in said
    assert said.startswith("kiosk: ")
    assert said.count("\n") == 1


def test_a_copy_on_a_medium_that_cannot_be_written(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'record.db'}"
    write(url, tmp_path)
    folder = tmp_path / "medium"
    folder.mkdir()
    (folder / "record.db").write_bytes((tmp_path / "record.db").read_bytes())
    (folder / "record.db").chmod(0o444)
    folder.chmod(0o555)
    code, said = run("verify", "--database", f"sqlite:///{folder}/record.db", "--public-key", f"{tmp_path}/record.pub")
    assert code == 0, said
    folder.chmod(0o755)
