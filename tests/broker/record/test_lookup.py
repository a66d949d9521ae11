"""A reveal that was lost: reported without a token, so looked up without the writer and its lock."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import event, select

from kiosk.broker.record.database import open_engine
from kiosk.broker.record.limits import Limits
from kiosk.broker.record.lookup import READS_PER_SECOND
from kiosk.broker.record.schema import HEAD, RECORD, Entry, Event
from kiosk.broker.record.writer import Record
from kiosk.errors import RecordUnavailable, ReleaseUnknown
from tests.support.clock import ManualClock

INTENDED = Entry(Event.INTENDED, tid="t", oid="o", device_id="d", release_id="r")
DONE = replace(INTENDED, event=Event.DONE)
LOST = Entry(Event.CLOSED, outcome="crashed", release_id="r", terminal="tty1")


@contextlib.contextmanager
def running(url: str) -> Iterator[Record]:
    record = Record(url, ManualClock())
    with record.running():
        yield record


@contextlib.contextmanager
def locked(url: str) -> Iterator[None]:
    """Hold the lock that every writer needs, as another broker would."""
    engine = open_engine(url, limited=False)
    try:
        with engine.begin() as holder:
            holder.execute(select(HEAD).with_for_update())
            yield
    finally:
        engine.dispose()


async def released(record: Record) -> None:
    await record.intend(INTENDED, Limits())
    await record.add(DONE)


def endings(url: str) -> list[str]:
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            return list(connection.scalars(select(RECORD.c.outcome).where(RECORD.c.event == Event.CLOSED)))
    finally:
        engine.dispose()


async def test_only_the_first_report_on_a_known_release_needs_the_writer(url: str) -> None:
    with running(url) as record:
        await released(record)
        with locked(url):
            for unknown in ("x", "'; drop table record; --"):
                with pytest.raises(ReleaseUnknown):
                    await record.append_loss(replace(LOST, release_id=unknown))
            with pytest.raises(RecordUnavailable):
                await record.append_loss(LOST)
        await record.append_loss(LOST)
        with locked(url):
            await record.append_loss(replace(LOST, outcome="terminal_lost"))
    assert endings(url) == ["crashed"]


async def test_an_intention_without_a_key_cannot_be_lost(url: str) -> None:
    with running(url) as record:
        await record.intend(INTENDED, Limits())
        with pytest.raises(ReleaseUnknown):
            await record.append_loss(LOST)
        await record.add(replace(INTENDED, event=Event.REFUSED, outcome="internal"))
        with pytest.raises(ReleaseUnknown):
            await record.append_loss(LOST)
    assert endings(url) == []


async def test_many_reports_at_once_are_noted_once(url: str) -> None:
    with running(url) as record:
        await released(record)
        await asyncio.gather(*(record.append_loss(replace(LOST, outcome=str(number))) for number in range(20)))
    assert len(endings(url)) == 1


async def test_lookups_that_hang_are_bounded_and_delay_no_entry(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiosk.broker.record.lookup._MOST_WAITING", 3)
    free = threading.Event()
    with running(url) as first:
        await released(first)
    # What another broker released has to be looked up.
    with running(url) as record:
        event.listen(record.lookup.engine, "begin", lambda _: free.wait(30))
        reports = [asyncio.create_task(record.append_loss(LOST)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(RecordUnavailable, match="3 lookups wait"):
            await record.append_loss(LOST)
        await record.add(Entry(Event.SESSION_OPENED))
        assert not any(report.done() for report in reports)
        free.set()
        await asyncio.gather(*reports)
    assert endings(url) == ["crashed"]


async def test_a_lookup_that_hangs_is_given_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiosk.broker.record.lookup._SECONDS", 0.1)
    free = threading.Event()
    with running(url) as first:
        await released(first)
    # What another broker released has to be looked up.
    with running(url) as record:
        event.listen(record.lookup.engine, "begin", lambda _: free.wait(30))
        with pytest.raises(RecordUnavailable, match=r"no answer after 0\.1 s"):
            await record.append_loss(LOST)
        free.set()
    assert endings(url) == []


async def test_its_own_releases_are_known_without_a_lookup(url: str) -> None:
    with running(url) as record:
        await released(record)
        looked: list[object] = []
        event.listen(record.lookup.engine, "begin", looked.append)
        for _ in range(3):
            await record.append_loss(LOST)
        assert not looked
    assert endings(url) == ["crashed"]


async def test_so_many_lookups_a_second(url: str) -> None:
    clock = ManualClock()
    record = Record(url, clock)
    with record.running():
        for _ in range(READS_PER_SECOND):
            with pytest.raises(ReleaseUnknown):
                await record.append_loss(replace(LOST, release_id="x"))
        with pytest.raises(RecordUnavailable, match="lookups in a second"):
            await record.append_loss(replace(LOST, release_id="x"))
        clock.advance(0.1)
        with pytest.raises(ReleaseUnknown):
            await record.append_loss(replace(LOST, release_id="x"))


async def test_a_guessed_ending_does_not_keep_out_the_report(url: str) -> None:
    with running(url) as record:
        await record.intend(INTENDED, Limits())
        # Another broker wrote the release off while its own was suspended.
        await record.add(replace(LOST, outcome="unknown"))
        await record.add(DONE)
        for _ in range(2):
            await record.append_loss(LOST)
    assert endings(url) == ["unknown", "crashed"]
