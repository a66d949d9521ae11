"""The hash chain and its checkpoints: encoding, signing times, keys, and what a start detects."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_public_key

from kiosk.broker.audit.source import database
from kiosk.broker.audit.verify import verify
from kiosk.broker.record.chain import FIELDS, Appended, Checkpoint, Row, digest, first_previous
from kiosk.broker.record.checkpoints import InvalidCheckpoint, Signer, Signing, opened, public_keys
from kiosk.broker.record.config_entry import config_entry
from kiosk.broker.record.limits import Limits
from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.record.writer import Record, open_record
from kiosk.config.broker import BrokerConfig, GraphSettings, RecordSettings, Rules, TokenSettings
from kiosk.errors import ConfigError
from tests.broker.conftest import Start
from tests.support.clock import ManualClock
from tests.support.record import let_pass, signer
from tests.support.sandbox import RunningSandbox


class Seen:
    """A subscriber that keeps everything."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.checkpoints: list[Checkpoint] = []

    def appended(self, rows: Sequence[Appended]) -> None:
        for row in rows:
            if isinstance(row, Row):
                self.rows.append(row)
            else:
                self.checkpoints.append(row)

    def sizes(self) -> list[int]:
        return [checkpoint.size for checkpoint in self.checkpoints]


@contextlib.contextmanager
def running(
    url: str,
    key: Signer,
    seen: Seen,
    clock: ManualClock | None = None,
    *,
    entries: int = 100,
    rules: Rules | None = None,
) -> Iterator[Record]:
    signing = Signing(key, timedelta(minutes=10), entries)
    entry = config_entry(rules) if rules else None
    record = Record(url, clock or ManualClock(), [seen], signing, entry)
    with record.running():
        yield record


def config(url: str, key: Path | None = None) -> BrokerConfig:
    https = "https://login.nordwind.example/t"
    return BrokerConfig(
        tokens=TokenSettings(authority=https, tenant="t", audience="a", client="k"),
        graph=GraphSettings(authority=https, client_id="c", certificate=Path("/none")),
        record=RecordSettings(database=url, signing_key=key),
    )


def visit(record: Record, times: int = 1) -> None:
    async def add() -> None:
        for _ in range(times):
            await record.add(Entry(Event.SESSION_OPENED, name='Zoë "Z" \\ 雪'))

    asyncio.run(add())


def test_the_encoding_never_changes() -> None:
    entry = Entry(Event.CLOSED, outcome="hidden", name='Zoë "Z" \\ \u2028\x01 雪', shown_seconds=12.50049)
    row = Row.follow(7, "2026-11-22T09:00:00.000000Z", entry, "ab" * 32)
    line = row.line().decode()
    # As docs/record.md tells an auditor to do it, without our code.
    hashed, comma, end = line.rpartition(',"hash":"')
    assert comma
    assert hashlib.sha256(f"{hashed}}}".encode()).hexdigest() == end.removesuffix('"}') == row.hash
    assert list(json.loads(line)) == list(FIELDS)
    members = {name: value for name, value in json.loads(line).items() if value not in {"", None}}
    assert '"name":"Zoë \\"Z\\" \\\\ \u2028\\u0001 雪"' in line
    assert members["shown_seconds"] == 12.5
    # A change here is a change of the format: it needs a new version of the record.
    assert row.hash == "d47bbc4a1e55784adfb4c230679a4b20f3835e06cae9c2aa0c501e5ce223e4a1"


@pytest.mark.parametrize("seconds", [-0.0, -0.0004])
def test_a_zero_below_zero_is_hashed_as_it_is_stored(seconds: float) -> None:
    entry = Entry(Event.CLOSED, outcome="hidden", shown_seconds=seconds)
    row = Row.follow(7, "2026-11-22T09:00:00.000000Z", entry, "ab" * 32)
    assert b'"shown_seconds":0.0,' in row.line()
    # A database that keeps the sign may hold such a row from an earlier version, and its hash must stay valid.
    entry = replace(entry, shown_seconds=-0.0)
    old = Row(7, row.time, entry, row.previous, digest({**row.members(), "shown_seconds": -0.0}))
    assert b'"shown_seconds":-0.0,' in old.line()
    assert digest(old.members()) == old.hash


def test_nobody_breaks_the_chain_with_a_zero(
    url: str, start: Start, sandbox: RunningSandbox, place: Path, tmp_path: Path
) -> None:
    signer(tmp_path)
    token = sandbox.token("ada")
    with start(record={"database": url, "signing_key": tmp_path / "record.key"}) as broker:
        released = broker.release(token, sandbox.device("NW-AKESSLER-14").id).response.json()["release_id"]
        told = b'{"how":"hidden","shown_seconds":-0.0}'
        headers = {"content-type": "application/json"}
        path = f"/v1/releases/{released}/closed"
        assert broker.ask("POST", path, token, content=told, headers=headers).status_code == 204
        assert [row["shown_seconds"] for row in broker.rows("release.closed")] == [0.0]
    with database(url) as source:
        verdict = verify(source, public_keys(tmp_path / "record.pub"), iter(()))
    assert (verdict.says, verdict.holds) == ("", True)


async def test_each_row_carries_the_hash_of_the_one_before(url: str, tmp_path: Path) -> None:
    seen = Seen()
    record = Record(url, ManualClock(), [seen])
    with record.running():
        await asyncio.gather(*(record.add(Entry(Event.SESSION_OPENED)) for _ in range(9)))
    assert [row.previous for row in seen.rows[1:]] == [row.hash for row in seen.rows[:-1]]
    assert len(seen.rows[0].previous) == 64
    assert len({row.hash for row in seen.rows}) == 11


def test_checkpoints_at_start_at_stop_by_count_and_by_time(url: str, tmp_path: Path) -> None:
    seen, clock, key = Seen(), ManualClock(), signer(tmp_path)
    with running(url, key, seen, clock, entries=5) as record:
        assert seen.sizes() == [1]
        visit(record, 12)
        assert seen.sizes() == [1, 6, 11]
        clock.advance(599)
        visit(record)
        assert seen.sizes() == [1, 6, 11]
        clock.advance(1)
        visit(record)
        assert seen.sizes() == [1, 6, 11, 15]
        visit(record)
    assert seen.sizes() == [1, 6, 11, 15, 17]
    origin = seen.checkpoints[0].origin
    assert seen.rows[0].previous == first_previous(origin)
    public = public_keys(tmp_path / "record.pub")
    for checkpoint in seen.checkpoints:
        assert opened(checkpoint.note, public) == checkpoint
        assert checkpoint.head == seen.rows[checkpoint.size - 1].hash
        assert checkpoint.origin == origin


def test_a_quiet_record_is_signed_in_time(url: str, tmp_path: Path) -> None:
    seen, clock = Seen(), ManualClock()
    with running(url, signer(tmp_path), seen, clock) as record:
        visit(record)
        let_pass(clock, 599)
        assert seen.sizes() == [1]
        let_pass(clock, 6)
        assert seen.sizes() == [1, 2]
        let_pass(clock, 600)
        # Nothing new, nothing to sign.
        assert seen.sizes() == [1, 2]


def test_what_another_broker_left_open_is_closed_in_time(url: str, tmp_path: Path) -> None:
    seen, clock = Seen(), ManualClock()
    with running(url, signer(tmp_path), seen, clock) as record:
        asyncio.run(record.intend(Entry(Event.INTENDED, release_id="r", reason="locked out"), Limits()))
        let_pass(clock, 600)
        # The release may still be in progress.
        assert len(seen.rows) == 2
        let_pass(clock, 600)
        assert [(row.entry.event, row.entry.outcome) for row in seen.rows[2:]] == [(Event.CLOSED, "unknown")]
        assert seen.rows[2].entry.reason == "locked out"
        let_pass(clock, 600)
        assert len(seen.rows) == 3


def test_the_form_of_a_checkpoint_is_a_signed_note(tmp_path: Path) -> None:
    """Parse a checkpoint by the format's specification: text, empty line, em dash, name, key id and signature."""
    made = signer(tmp_path).sign("recovery-kiosk/x", 12, "ab" * 32, ManualClock().utc())
    text, _, last = made.note.rpartition("\n\n")
    assert text.split("\n") == ["recovery-kiosk/x", "12", base64.b64encode(b"\xab" * 32).decode(), made.time]
    dash, name, encoded = last.rstrip("\n").split(" ")
    public: Any = load_pem_public_key((tmp_path / "record.pub").read_bytes())
    raw = public.public_bytes_raw()
    signature = base64.b64decode(encoded)
    assert (dash, name) == ("—", "recovery-kiosk/x")
    assert signature[:4] == hashlib.sha256(b"recovery-kiosk/x\n\x01" + raw).digest()[:4]
    public.verify(signature[4:], f"{text}\n".encode())
    for false in ("", made.note[:-1], made.note.replace("12", "13"), made.note.replace("\n\n", "\n")):
        with pytest.raises(InvalidCheckpoint):
            opened(false, [public])


def test_the_rules_are_noted_when_they_change(url: str, tmp_path: Path) -> None:
    seen, key = Seen(), signer(tmp_path)
    for rules in (Rules(), Rules(), Rules(per_person=("1/day",)), Rules()):
        with running(url, key, seen, rules=rules):
            pass
    changes = [row for row in seen.rows if row.entry.event == Event.CONFIGURED]
    assert len(changes) == 3
    assert changes[0].entry.digest == changes[2].entry.digest != changes[1].entry.digest
    assert "company_owned_only = true; per_person = 3/hour, 10/day; per_device = 5/day" in changes[0].entry.detail
    assert "per_person = 1/day" in changes[1].entry.detail


def test_the_key_is_made_once_for_its_owner_with_the_public_one_beside_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    url = f"sqlite:///{tmp_path / 'record.db'}"
    for _ in range(2):
        with open_record(config(url), ManualClock()).running():
            pass
    assert (tmp_path / "record.key").stat().st_mode & 0o777 == 0o600
    public = (tmp_path / "record.pub").read_text()
    assert public.splitlines()[1] in caplog.text
    assert [path.name for path in sorted(tmp_path.iterdir()) if path.name.startswith(".")] == []
    assert caplog.text.count("created the key that signs checkpoints") == 1
    assert "PRIVATE" not in caplog.text
    (tmp_path / "record.key").unlink()
    caplog.clear()
    with contextlib.suppress(ConfigError), open_record(config(url), ManualClock()).running():
        pass
    assert "the record is refused, so no key is released: no broker wrote its head: it is signed with another key" in (
        caplog.text
    )


def pem(key: Any) -> bytes:
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def test_invalid_keys(tmp_path: Path) -> None:
    key, url = tmp_path / "given.pem", f"sqlite:///{tmp_path / 'record.db'}"
    with pytest.raises(ConfigError, match=r"given\.pem: expected the key that signs checkpoints: No such file"):
        open_record(config(url, key), ManualClock())
    for content in (b"", b"nonsense", pem(X25519PrivateKey.generate())):
        key.write_bytes(content)
        key.chmod(0o600)
        with pytest.raises(ConfigError, match=r"expected an Ed25519 private key in PEM"):
            open_record(config(url, key), ManualClock())
    key.write_bytes(pem(Ed25519PrivateKey.generate()))
    for mode in (0o644, 0o604, 0o660):
        key.chmod(mode)
        with pytest.raises(ConfigError, match=rf"accessible to others.* its mode is {mode:04o}"):
            open_record(config(url, key), ManualClock())
    key.chmod(0o640)
    with open_record(config(url, key), ManualClock()).running():
        assert not (tmp_path / "record.key").exists()
    with pytest.raises(ConfigError, match=r"record\.signing_key: missing"):
        open_record(config("postgresql+psycopg://broker@/none"), ManualClock())
    with pytest.raises(ConfigError, match=r"record\.database: expected a file"):
        open_record(config("sqlite:////no/such/folder/record.db"), ManualClock())


@pytest.mark.parametrize(
    ("statement", "version"),
    [("update head set version = 4", "4"), ("alter table head drop column version", "1")],
)
def test_a_record_of_another_version_is_left_alone(tmp_path: Path, statement: str, version: str) -> None:
    file = tmp_path / "record.db"
    with Record(f"sqlite:///{file}", ManualClock()).running():
        pass
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)
    before = file.read_bytes()
    with (
        pytest.raises(ConfigError, match=f"expected a record of version 3, not {version}$"),
        Record(f"sqlite:///{file}", ManualClock()).running(),
    ):
        pass
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "statement",
    [
        "delete from record where n = 5",
        "delete from record where n = 1",
        "update record set hash = '' where n = 5",
        "update record set n = 7 where n = 5",
        "update head set n = 4, hash = (select hash from record where n = 4)",
        "delete from checkpoint where size = 5",
        "delete from record",
    ],
)
def test_a_start_notices_an_end_that_is_not_as_it_was_left(
    tmp_path: Path, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    file, key = tmp_path / "record.db", signer(tmp_path)
    url = f"sqlite:///{file}"
    with running(url, key, Seen()) as record:
        visit(record)
    with running(url, key, Seen()):
        assert "the record is refused" not in caplog.text
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)
    with contextlib.suppress(ConfigError), running(url, key, Seen()):
        pass
    # Releases are decided by rows: for a checkpoint alone nobody is refused a key.
    refused = "checkpoint" not in statement
    assert ("the record is refused, so no key is released" in caplog.text) == refused
    assert ("the checkpoints are not as they were left" in caplog.text) != refused


def test_the_summary_is_one_clean_line() -> None:
    entry = config_entry(Rules(per_device=(), reason_prompt="Ticket\nnumber\x1b[2J?"))
    assert "\n" not in entry.detail
    assert "\x1b" not in entry.detail
    assert "per_device = none" in entry.detail
    assert len(msgspec.json.encode(entry.detail)) < 2000
