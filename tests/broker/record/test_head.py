"""The head of the record is the broker's own: one that is forged, rolled back or of another version is refused."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import event, insert, text, update

from kiosk.broker.metrics import Metrics
from kiosk.broker.record.chain import Row
from kiosk.broker.record.checkpoints import Signing
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.ledger import Ledger
from kiosk.broker.record.limits import Limit, Limits
from kiosk.broker.record.schema import HEAD, RECORD, Entry, Event
from kiosk.broker.record.writer import Record, open_record
from kiosk.broker.sinks.offsets import Offsets
from kiosk.cli.main import cli
from kiosk.config.broker import BrokerConfig
from kiosk.config.loading import load
from kiosk.errors import ConfigError, LimitReached, RecordUnavailable
from tests.support.clock import ManualClock
from tests.support.record import broker_toml, contents, head_of, set_back, signer

SESSION = Entry(Event.SESSION_OPENED)
INTENDED = Entry(Event.INTENDED, tid="t", oid="o", device_id="d", release_id="r")
ONE = Limits(per_person=(Limit.parse("1/hour"),))


@contextlib.contextmanager
def running(url: str, folder: Path, *, machine: str = "record", clock: ManualClock | None = None) -> Iterator[Record]:
    """Run a broker's record. Each machine has a file of its own for what it saw; all share the key."""
    signing = Signing(signer(folder), seen=folder / f"{machine}.seen")
    record = Record(url, clock or ManualClock(), signing=signing)
    with record.running():
        yield record


def change(url: str, statement: str) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def forge(url: str, entry: Entry) -> None:
    """Append a row as somebody does who may write to the database and knows the encoding."""
    engine = open_engine(url)
    head = head_of(engine)
    row = Row.follow(head.n + 1, "2026-11-22T09:00:01.000000Z", entry, head.hash)
    with engine.begin() as connection:
        connection.execute(insert(RECORD).values(row.members()))
        connection.execute(update(HEAD).values(n=row.n, hash=row.hash))
    engine.dispose()


async def refuses_at_start(url: str, folder: Path, words: str) -> None:
    said = words
    try:
        with running(url, folder) as record:
            await refuses(record, words)
    except ConfigError as refusal:
        said = str(refusal)
    assert words in said


async def refuses(record: Record, words: str) -> None:
    with pytest.raises(RecordUnavailable, match=words):
        await record.add(SESSION)
    with pytest.raises(RecordUnavailable, match=words):
        await record.check()


async def test_a_forged_row_stops_the_broker_and_is_said_once(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    metrics = Metrics()
    with running(url, tmp_path) as record:
        metrics.watch_record(lambda: record.refused)
        await record.add(SESSION)
        before = contents(url)
        forge(url, Entry(Event.DONE, name="Priya Raman"))
        await refuses(record, "no broker wrote its head: its signature does not match")
        await refuses(record, "no broker wrote its head")
        assert b"kiosk_broker_record_refused 1.0" in metrics.text()
        assert [one.levelname for one in caplog.records if "the record is refused" in one.message] == ["ERROR"]
        set_back(url, before)
        await record.add(SESSION)
        assert b"kiosk_broker_record_refused 0.0" in metrics.text()
        assert "the record is appended to again" in caplog.text


async def test_a_forged_refusal_frees_no_limit(url: str, tmp_path: Path) -> None:
    with running(url, tmp_path) as record:
        await record.intend(INTENDED, ONE)
        for n in (-7, 0, 5000):
            row = Row.follow(n, "2026-11-22T09:00:01.000000Z", replace(INTENDED, event=Event.REFUSED), "")
            engine = open_engine(url)
            with engine.begin() as connection:
                connection.execute(insert(RECORD).values(row.members()))
            engine.dispose()
        with pytest.raises(LimitReached):
            await record.intend(replace(INTENDED, release_id="r2"), ONE)
        forge(url, replace(INTENDED, event=Event.REFUSED))
        with pytest.raises(RecordUnavailable):
            await record.intend(replace(INTENDED, release_id="r2"), ONE)


async def test_brokers_on_one_record_follow_each_other_and_notice_that_it_went_back(url: str, tmp_path: Path) -> None:
    with running(url, tmp_path, machine="a") as a, running(url, tmp_path, machine="b") as b:
        for record in (a, b, b, a, a, b):
            await record.add(SESSION)
        earlier = contents(url)
        for record in (a, b):
            await record.add(SESSION)
        set_back(url, earlier)
        await refuses(a, "it was rolled back to row 8; row 9 had been written")
        await refuses(b, "it was rolled back to row 8; row 10 had been written")
        # A broker that saw nothing yet goes on with it, and the others do not follow.
        with running(url, tmp_path, machine="c") as c:
            for _ in range(3):
                await c.add(SESSION)
            await refuses(a, "row 9 is missing or is not the one that was written")


async def test_the_last_row_cannot_be_exchanged(url: str, tmp_path: Path) -> None:
    with running(url, tmp_path) as record:
        await record.add(SESSION)
        change(url, "delete from record where n = 2")
        await refuses(record, "row 2 is missing")


@pytest.mark.parametrize("stopped", [True, False])
async def test_a_start_notices_that_the_record_went_back(url: str, tmp_path: Path, stopped: bool) -> None:
    with running(url, tmp_path) as record:
        await record.add(SESSION)
        earlier = contents(url)
        await record.add(SESSION)
        # What a broker leaves that is killed here.
        killed = (tmp_path / "record.seen").read_bytes()
    assert (tmp_path / "record.seen").stat().st_mode & 0o777 == 0o600
    if not stopped:
        (tmp_path / "record.seen").write_bytes(killed)
    set_back(url, earlier)
    await refuses_at_start(url, tmp_path, "it was rolled back to row 2")
    assert contents(url) == earlier


async def test_an_empty_record_in_place_of_the_own_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "record.db"
    for path, words in [(file, "it is empty; row 2 was written"), (tmp_path / "other.db", "it is another record")]:
        with running(f"sqlite:///{tmp_path / 'other.db'}", tmp_path, machine="other"):
            pass
        with contextlib.suppress(FileNotFoundError):
            (tmp_path / "record.seen").unlink()
            file.unlink()
        with running(f"sqlite:///{file}", tmp_path):
            pass
        file.unlink()
        await refuses_at_start(f"sqlite:///{path}", tmp_path, words)


def test_what_a_crash_tore_is_not_believed(url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for torn in (b"", b"{", b'{"version":3}', b"[" * 1024, b"\xff" * 1024):
        (tmp_path / "record.seen").write_bytes(torn)
        with running(url, tmp_path):
            pass
        assert "the state of the record at the last stop is unknown" in caplog.text
        caplog.clear()
    kept = (tmp_path / "record.seen").read_bytes()
    (tmp_path / "record.seen").write_bytes(kept.replace(b'"losses":0', b'"losses":9'))
    with running(url, tmp_path):
        assert "is unknown" in caplog.text


def test_a_file_that_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "record.seen").mkdir()
    with running(f"sqlite:///{tmp_path / 'record.db'}", tmp_path) as record:
        asyncio.run(record.add(SESSION))
    assert caplog.text.count("a restart would not notice a record that was rolled back") == 1


async def test_a_record_that_was_carried_over_is_not_appended_to(url: str, tmp_path: Path) -> None:
    with running(url, tmp_path) as record:
        change(url, "update head set version = 4")
        await refuses(record, "it is of version 4, not 3")
        change(url, "update head set version = 3")
        await record.add(SESSION)


async def test_a_text_that_no_audit_would_believe_is_refused(url: str, tmp_path: Path) -> None:
    with running(url, tmp_path) as record:
        written = [record.add(replace(SESSION, name="x" * length)) for length in (64, 65, 1)]
        came = await asyncio.gather(*written, return_exceptions=True)
        assert [type(one) for one in came] == [type(None), RecordUnavailable, type(None)]


def test_a_transaction_writes_the_head_once(url: str, tmp_path: Path) -> None:
    ledger = Ledger(ManualClock(), Signing(signer(tmp_path)))
    engine = open_engine(url)
    with ledger.transaction(engine) as connection:
        ledger.start(connection)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2].split()[0]))
    with ledger.transaction(engine) as connection:
        for _ in range(3):
            ledger.add(connection, SESSION)
    engine.dispose()
    expected = ["SELECT", "INSERT", "INSERT", "INSERT", "UPDATE"]
    assert [one for one in statements if one != "BEGIN"] == expected


def kiosk(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, arguments)
    return result.exit_code, result.output


async def test_a_loss_that_the_operator_accepts(url: str, tmp_path: Path) -> None:
    config = broker_toml(tmp_path, url)
    verify = ("audit", "verify", "--config", config, "--public-key", str(tmp_path / "record.pub"))
    with running(url, tmp_path) as record, running(url, tmp_path, machine="b") as other:
        await record.add(SESSION)
        earlier = contents(url)
        for _ in range(4):
            await other.add(SESSION)
        await record.check()
        exported = tmp_path / "anchors"
        assert kiosk("audit", "export", "--config", config, "--output", str(exported))[0] == 0
        assert kiosk("record", "accept-loss", "--config", config)[0] == 2
        set_back(url, earlier)
        await refuses(record, "it was rolled back to row 3")
        code, said = kiosk(*verify)
        assert code == 1
        assert (
            "this is not the record that the broker saw last: it was rolled back to row 3; row 7 had been written"
            in said
        )
        code, said = kiosk("record", "accept-loss", "--config", config, "--anchors", str(exported))
        assert (code, said) == (0, "accepted: rows 4 to 7 are lost\n")
        # All brokers go on, whether they lost something or not.
        for _ in range(2):
            await record.add(SESSION)
            await other.add(SESSION)
    with running(url, tmp_path) as record:
        await record.add(SESSION)
    code, said = kiosk(*verify, "--anchors", str(exported))
    assert code == 0, said
    assert said.startswith("holds, with a loss accepted at row 4: 13 rows, ")
    # The acceptance is no licence: what came after it cannot be taken back.
    set_back(url, earlier)
    await refuses_at_start(url, tmp_path, "it was rolled back to row 3")


def test_a_named_file_of_the_newest_head_is_made_at_the_first_start(url: str, tmp_path: Path) -> None:
    signer(tmp_path)
    config, seen = Path(broker_toml(tmp_path, url)), tmp_path / "elsewhere.seen"
    config.write_text(f'{config.read_text()}seen_file = "{seen}"\n')
    with open_record(load(config, BrokerConfig), ManualClock()).running():
        pass
    assert stat.S_IMODE(seen.stat().st_mode) == 0o600
    assert not (tmp_path / "record.seen").exists()


def delivered(url: str, folder: Path, name: str) -> list[int]:
    """Deliver all that a sink has not got yet, and return the numbers of the rows."""
    numbers: list[int] = []
    with contextlib.closing(Offsets(url, name, ManualClock(), lambda: signer(folder))) as offsets:
        batch = offsets.take()
        while batch and batch.items:
            numbers += [item.n for item in batch.items if isinstance(item, Row)]
            batch = offsets.delivered(batch)
    return numbers


async def test_a_key_that_was_replaced_is_accepted_once(url: str, tmp_path: Path) -> None:
    config = broker_toml(tmp_path, url)
    with running(url, tmp_path) as record:
        await record.add(SESSION)
    assert delivered(url, tmp_path, "a") == [1, 2, 3]
    (tmp_path / "record.pub").rename(tmp_path / "old.pub")
    (tmp_path / "record.key").unlink()
    await refuses_at_start(url, tmp_path, "no broker wrote its head: it is signed with another key")
    assert kiosk("record", "accept-loss", "--config", config)[0] == 2
    code, said = kiosk("record", "accept-loss", "--config", config, "--public-key", str(tmp_path / "old.pub"))
    assert code == 0, said
    assert said.startswith("accepted: signed with ")
    with running(url, tmp_path) as record:
        await record.add(SESSION)
    # A sink continues where it was, and a new one gets everything, also what another key signed.
    assert delivered(url, tmp_path, "a") == [4, 5, 6, 7]
    assert delivered(url, tmp_path, "b") == [1, 2, 3, 4, 5, 6, 7]
    both = tmp_path / "both.pub"
    both.write_text((tmp_path / "old.pub").read_text() + (tmp_path / "record.pub").read_text())
    code, said = kiosk("audit", "verify", "--config", config, "--public-key", str(both))
    assert (code, said.split(":")[0]) == (0, "holds"), said
