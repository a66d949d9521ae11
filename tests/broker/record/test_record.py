"""The record: order, durability, limits, recovery after a crash, and every way in which a write can fail."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select

from kiosk.broker.record.chain import Appended, Row
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.ledger import LONGEST_REPORT
from kiosk.broker.record.schema import RECORD, Entry, Event
from kiosk.broker.record.writer import Limit, Limits, Record
from kiosk.errors import ConfigError, LimitReached, PersonLimit, RecordUnavailable, ReleaseUnknown
from tests.support.broker import wait_for
from tests.support.clock import ManualClock

INTENDED = Entry(Event.INTENDED, tid="t", oid="o", device_id="d", serial="s", owner_type="company", release_id="r")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "record.db"


def address(file: Path) -> str:
    return f"sqlite:///{file}"


@contextlib.contextmanager
def running(url: str, clock: ManualClock | None = None) -> Iterator[Record]:
    record = Record(url, clock or ManualClock())
    with record.running():
        yield record


def rows(url: str) -> list[dict[str, Any]]:
    """Return all rows, as another program reads them."""
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            return [dict(row) for row in connection.execute(select(RECORD).order_by(RECORD.c.n)).mappings()]
    finally:
        engine.dispose()


def events(url: str) -> list[tuple[str, str]]:
    return [(row["event"], row["outcome"]) for row in rows(url)]


async def test_entries_are_numbered_without_gaps_and_stamped_in_utc(url: str) -> None:
    with running(url) as record:
        await asyncio.gather(*(record.add(Entry(Event.SESSION_OPENED, oid=str(number))) for number in range(50)))
    written = rows(url)
    assert [row["n"] for row in written] == list(range(1, 53))
    assert [row["oid"] for row in written[1:-1]] == [str(number) for number in range(50)]
    assert {row["time"] for row in written} == {"2026-11-22T09:00:00.000000Z"}
    assert {row["version"] for row in written} == {3}
    assert (written[0]["event"], written[-1]["event"]) == ("broker.started", "broker.stopped")


def test_every_field_of_an_entry_has_its_column() -> None:
    names = {field.name for field in fields(Entry)}
    assert names | {"n", "version", "time", "previous", "hash"} == set(RECORD.columns.keys())
    described = (Path(__file__).parents[3] / "docs" / "record.md").read_text()
    assert all(f"`{name}`" in described for name in set(RECORD.columns.keys()))
    assert all(f"`{kind}`" in described for kind in Event)


class Collector:
    """A subscriber that keeps all rows and can be made to object."""

    def __init__(self, record: str) -> None:
        self.lines: list[bytes] = []
        self.before: list[int] = []
        self.objects = False
        self._record = record

    def appended(self, rows: Sequence[Appended]) -> None:
        durable = len(events(self._record))
        assert all(row.n <= durable for row in rows if isinstance(row, Row))
        self.lines += [row.line() for row in rows]

    async def before_answer(self, rows: Sequence[Appended]) -> None:
        self.before += [row.n for row in rows if isinstance(row, Row)]
        if self.objects:
            raise RecordUnavailable("the collector does not answer")


class Broken:
    def appended(self, rows: Sequence[Appended]) -> None:
        raise OSError("gone")


async def test_subscribers_see_what_is_durable_and_can_object(url: str, caplog: pytest.LogCaptureFixture) -> None:
    collector = Collector(url)
    record = Record(url, ManualClock(), [Broken(), collector])
    with record.running():
        await asyncio.gather(*(record.add(Entry(Event.SESSION_OPENED, oid=str(number))) for number in range(9)))
        await record.check()
        collector.objects = True
        with pytest.raises(RecordUnavailable, match="collector"):
            await record.intend(INTENDED, limits())
        # A refusal by a limit writes no row here, so subscribers get none.
        with pytest.raises(LimitReached):
            await record.intend(INTENDED, limits("1/hour"))
    assert [json.loads(line)["n"] for line in collector.lines] == list(range(1, 13))
    assert [list(json.loads(line).values()) for line in collector.lines] == [list(row.values()) for row in rows(url)]
    assert sorted(collector.before) == list(range(2, 12))
    assert "Broken did not accept 1 rows: OSError" in caplog.text


async def test_what_waits_is_written_with_one_commit(url: str) -> None:
    collector, free, commits, clock = Collector(url), threading.Event(), [], ManualClock()
    record = Record(url, clock, [collector])
    with record.running():
        wait_for(clock.waiting)
        record._writer.submit(free.wait, 30)
        event.listen(record.engine, "commit", lambda _: commits.append(1))
        others = [record.add(Entry(Event.SESSION_OPENED, oid=str(number))) for number in range(20)]
        releases = [record.intend(replace(INTENDED, release_id=str(number)), limits("3/hour")) for number in range(9)]
        unknown = record.append_closing(Entry(Event.CLOSED, release_id="none"))
        asked = asyncio.gather(*others, *releases, unknown, return_exceptions=True)
        await asyncio.sleep(0)
        free.set()
        came = await asyncio.wait_for(asked, 20)
        # Each has its own answer, and only what it added itself is confirmed to it.
        assert [type(one) for one in came] == [type(None)] * 23 + [PersonLimit] * 6 + [ReleaseUnknown]
    assert len(commits) == 2
    written = rows(url)
    assert [row["n"] for row in written] == list(range(1, 26))
    assert [row["release_id"] for row in written if row["event"] == "release.intended"] == ["0", "1", "2"]
    assert [json.loads(line)["n"] for line in collector.lines] == list(range(1, 26))
    assert sorted(collector.before) == list(range(2, 25))


async def test_what_fails_for_one_commit_fails_for_all_in_it(url: str) -> None:
    collector, free = Collector(url), threading.Event()
    record = Record(url, ManualClock(), [collector])

    def fail(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("INSERT INTO record") and "7" in (
            parameters.values() if isinstance(parameters, dict) else parameters
        ):
            raise sqlite3.OperationalError("disk I/O error")

    with record.running():
        event.listen(record.engine, "before_cursor_execute", fail)
        record._writer.submit(free.wait, 30)
        asked = [record.add(Entry(Event.SESSION_OPENED, oid=str(number))) for number in range(10)]
        waiting = asyncio.gather(*asked, return_exceptions=True)
        await asyncio.sleep(0)
        free.set()
        assert {type(one) for one in await asyncio.wait_for(waiting, 20)} == {RecordUnavailable}
        await record.add(Entry(Event.SESSION_OPENED, oid="after"))
    assert [row["oid"] for row in rows(url)] == ["", "after", ""]
    assert len(collector.lines) == 3


def test_the_file_is_for_its_owner_and_commits_are_durable(file: Path) -> None:
    with running(address(file)) as record:
        assert file.stat().st_mode & 0o777 == 0o600
        asyncio.run(record.add(Entry(Event.SESSION_OPENED)))
        with record.engine.connect() as connection:
            assert connection.exec_driver_sql("pragma journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("pragma synchronous").scalar() == 2
        # Another program sees it while the broker runs.
        assert events(address(file))[-1] == ("session.opened", "ok")


def limits(*per_person: str) -> Limits:
    return Limits(tuple(map(Limit.parse, per_person)), ())


@pytest.mark.parametrize(("period", "seconds"), [("minute", 60), ("hour", 3600), ("day", 86_400), ("week", 604_800)])
async def test_windows(url: str, period: str, seconds: int) -> None:
    clock = ManualClock()
    with running(url, clock) as record:
        await record.intend(INTENDED, limits(f"1/{period}"))
        clock.advance(seconds - 1)
        with pytest.raises(LimitReached) as reached:
            await record.intend(INTENDED, limits(f"1/{period}"))
        assert reached.value.retry_after == 1
        clock.advance(1)
        await record.intend(INTENDED, limits(f"1/{period}"))
        assert len([row for row in rows(url) if row["event"] == "release.intended"]) == 2


async def test_the_longest_wait_counts(url: str) -> None:
    clock = ManualClock()
    with running(url, clock) as record:
        await record.intend(INTENDED, limits())
        clock.advance(100)
        await record.intend(INTENDED, limits())
        for given, wait in [(("2/hour",), 3500), (("1/hour",), 3600), (("1/minute", "2/hour"), 3500), (("3/day",), 0)]:
            if not wait:
                await record.intend(INTENDED, limits(*given))
                continue
            with pytest.raises(LimitReached) as reached:
                await record.intend(INTENDED, limits(*given))
            assert reached.value.retry_after == wait


async def test_a_clock_that_is_set_back_opens_nothing(url: str) -> None:
    clock = ManualClock()
    with running(url, clock) as record:
        await record.intend(INTENDED, limits("1/hour"))
        clock.wall = clock.wall.replace(year=2020)
        with pytest.raises(LimitReached):
            await record.intend(INTENDED, limits("1/hour"))


@pytest.mark.parametrize(("outcome", "counts"), [(Event.DONE, True), (Event.REFUSED, False), (None, True)])
async def test_what_counts(url: str, outcome: Event | None, counts: bool) -> None:
    with running(url) as record:
        await record.intend(INTENDED, limits("1/day"))
        if outcome:
            await record.add(replace(INTENDED, event=outcome))
        with pytest.raises(LimitReached) if counts else contextlib.nullcontext():
            await record.intend(replace(INTENDED, release_id="r2"), limits("1/day"))


async def test_a_crash_leaves_intentions_that_are_settled_at_the_next_start(url: str) -> None:
    clock = ManualClock()
    with running(url, clock) as record:
        await record.intend(replace(INTENDED, release_id="done"), limits())
        await record.add(replace(INTENDED, release_id="done", event=Event.DONE))
        await record.intend(replace(INTENDED, release_id="refused"), limits())
        await record.add(replace(INTENDED, release_id="refused", event=Event.REFUSED, outcome="graph_refused"))
        await record.intend(replace(INTENDED, release_id="left", reason="locked out"), limits())
    # On a shared database, a younger release may still be in progress at another broker.
    clock.advance(601)
    for _ in range(2):
        with running(url, clock) as record:
            wait_for(clock.waiting)
            with pytest.raises(LimitReached):
                await record.intend(INTENDED, limits("2/day"))
            with pytest.raises(ReleaseUnknown):
                await record.append_closing(replace(INTENDED, release_id="left", event=Event.CLOSED))
    unknown = [row for row in rows(url) if row["outcome"] == "unknown"]
    assert [(row["event"], row["release_id"], row["reason"]) for row in unknown] == [
        ("release.closed", "left", "locked out")
    ]
    assert (unknown[0]["serial"], unknown[0]["oid"]) == ("s", "o")
    # A file has one broker. On a server, where others would have to wait for it, it comes after the start.
    first = ["release.closed", "broker.started"]
    expected = first if url.startswith("sqlite") else first[::-1]
    assert [row["event"] for row in rows(url)][6:9] == ["broker.stopped", *expected]


@pytest.mark.parametrize("at_start", [True, False])
async def test_a_key_whose_end_no_kiosk_reported_is_closed_in_the_end(url: str, *, at_start: bool) -> None:
    clock = ManualClock()
    done = replace(INTENDED, event=Event.DONE)
    with running(url, clock) as record:
        for release in ("told", "untold"):
            await record.intend(replace(INTENDED, release_id=release), limits())
            await record.add(replace(done, release_id=release))
        await record.add(replace(INTENDED, release_id="told", event=Event.CLOSED, outcome="hidden"))
        clock.advance(LONGEST_REPORT.total_seconds() - 60)
        await record.intend(replace(INTENDED, release_id="young"), limits())
        await record.add(replace(done, release_id="young"))
        for late in (0, 61):
            clock.advance(late)
            if at_start:
                with running(url, clock):
                    pass
            else:
                record._writer.submit(record._transaction, record._ledger.keep_house).result()
            unknown = [row["release_id"] for row in rows(url) if row["outcome"] == "unknown"]
            assert unknown == (["untold"] if late else [])
        # A kiosk that was away for all that time is still believed.
        await record.append_closing(replace(INTENDED, release_id="untold", event=Event.CLOSED, outcome="hidden"))
    assert events(url).count(("release.closed", "unknown")) == 1


async def test_the_ending_of_a_release_that_was_written_off_too_early_is_kept(url: str) -> None:
    clock = ManualClock()
    closing = replace(INTENDED, event=Event.CLOSED, outcome="hidden")
    with running(url, clock) as record:
        await record.intend(INTENDED, limits())
        # The broker is suspended for longer than a release may take, and another one starts meanwhile.
        clock.advance(601)
        with running(url, clock):
            pass
        await record.add(replace(INTENDED, event=Event.DONE))
        await record.append_closing(closing)
        # The first report of a kiosk counts.
        await record.append_closing(replace(closing, outcome="expired"))
    assert [one for one in events(url) if one[0] == "release.closed"] == [
        ("release.closed", "unknown"),
        ("release.closed", "hidden"),
    ]


async def test_a_disk_that_hangs_is_not_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiosk.broker.record.writer.WRITE_SECONDS", 0.1)
    monkeypatch.setattr("kiosk.broker.record.writer._MOST_WAITING", 3)
    free = threading.Event()
    with running(url) as record:
        event.listen(record.engine, "begin", lambda _: free.wait(30))
        waiting = [asyncio.create_task(record.add(Entry(Event.SESSION_OPENED))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(RecordUnavailable, match="wait to be written"):
            await record.add(Entry(Event.SESSION_OPENED))
        for task in waiting:
            with pytest.raises(RecordUnavailable, match=r"not written after 0\.1 s"):
                await task
        free.set()
        await asyncio.wrap_future(record._writer.submit(lambda: None))
        await record.check()
    # What was refused before it began is not written when the disk comes back.
    assert [row["event"] for row in rows(url)] == ["broker.started", "broker.stopped"]


async def test_who_stops_waiting_does_not_stop_the_writing(url: str) -> None:
    with running(url) as record:
        task = asyncio.create_task(record.add(Entry(Event.SESSION_OPENED)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [row["event"] for row in rows(url)] == ["broker.started", "session.opened", "broker.stopped"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "record.db",
        "sqlite://",
        "sqlite:///record.db",
        "sqlite:///:memory:",
        "sqlite:////no/such/folder/record.db",
        "sqlite:////",
        "sqlite+aiosqlite:////tmp/record.db",
        "mysql://root:hunter2@localhost/record",
        "postgresql://broker:hunter2@localhost/record",
        "postgresql+psycopg://broker:hunter2@localhost:nowhere/record",
        "nonsense://x",
    ],
)
def test_invalid_addresses(url: str) -> None:
    with pytest.raises(ConfigError, match=r"record\.database: expected") as refused:
        open_engine(url)
    assert "hunter2" not in str(refused.value)


def test_a_file_that_is_no_database_is_found_at_start(file: Path) -> None:
    file.write_bytes(b"not a database, " * 100)
    with pytest.raises(ConfigError, match="expected a database that can be written"), running(address(file)):
        pass
