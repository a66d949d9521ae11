"""A broker that freezes in the middle of a transaction, and a server that accepts connections and answers nothing."""

from __future__ import annotations

import asyncio
import threading
from urllib.parse import quote

import pytest
from sqlalchemy import Connection

from kiosk.broker.record import time_limits
from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.record.writer import Record
from kiosk.errors import RecordUnavailable
from tests.broker.record.test_record import rows
from tests.support.broker import wait_for
from tests.support.clock import ManualClock
from tests.support.database_proxy import database_proxy

ENTRY = Entry(Event.SESSION_OPENED)


async def test_a_broker_that_freezes_does_not_keep_the_head(postgresql_database: str) -> None:
    frozen, other = (Record(postgresql_database, ManualClock()) for _ in range(2))
    holds, thaws = threading.Event(), threading.Event()

    def freeze(connection: Connection) -> None:
        frozen._ledger._head(connection)
        if not holds.is_set():
            holds.set()
            thaws.wait(30)
        frozen._ledger.add(connection, Entry(Event.SESSION_OPENED, oid="frozen"))

    with frozen.running(), other.running():
        thawed = frozen._writer.submit(frozen._transaction, freeze)
        assert holds.wait(20)
        # With the limits as they are: the others wait longer for the head than one broker can hold it.
        await other.add(Entry(Event.SESSION_OPENED, oid="other"))
        thaws.set()
        # The server has ended its transaction, so it does the work once more.
        await asyncio.wrap_future(thawed)
    assert [row["oid"] for row in rows(postgresql_database) if row["oid"]] == ["other", "frozen"]


async def test_a_server_that_hangs_is_left_for_another(
    postgresql_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_limits, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(time_limits, "CONNECT_SECONDS", 2)
    plain = postgresql_database.partition("?")[0]
    with database_proxy(postgresql_database) as (_, first), database_proxy(postgresql_database) as (_, second):
        # As libpq writes it.
        hosts = quote(f"127.0.0.1:{first.port},127.0.0.1:{second.port}", safe="")
        record = Record(f"{plain}?host={hosts}", ManualClock())
        with record.running():
            await record.add(ENTRY)
            before = second.round_trips
            await record.lookup.events("nobody")
            first.hold()

            async def look_up() -> None:
                with pytest.raises(RecordUnavailable, match="has not answered"):
                    await record.lookup.events("nobody")
                assert await record.lookup.events("nobody") == frozenset()

            await asyncio.gather(record.add(ENTRY), look_up())
            assert second.round_trips > before == 0
    assert [row["event"] for row in rows(postgresql_database)].count("session.opened") == 2


async def test_a_write_that_was_given_up_before_it_began_is_not_written(
    postgresql_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kiosk.broker.record.writer.WRITE_SECONDS", 0.1)
    record = Record(postgresql_database, ManualClock())
    free = threading.Event()
    with record.running():
        record._writer.submit(free.wait, 30)
        late = await asyncio.gather(
            *(record.add(Entry(Event.DONE, release_id=str(number))) for number in range(3)), return_exceptions=True
        )
        assert [str(one) for one in late] == ["not written after 0.1 s"] * 3
        free.set()
        monkeypatch.setattr("kiosk.broker.record.writer.WRITE_SECONDS", 10)
        await record.add(Entry(Event.REFUSED, release_id="0", outcome="record_unavailable"))
    assert [row["event"] for row in rows(postgresql_database) if row["release_id"]] == ["release.refused"]


async def test_a_release_that_was_done_late_is_not_refused_as_well(
    postgresql_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kiosk.broker.record.writer.WRITE_SECONDS", 0.3)
    with database_proxy(postgresql_database) as (url, proxy):
        clock = ManualClock()
        record = Record(url, clock)
        with record.running():
            wait_for(clock.waiting)
            proxy.hold()
            (late,) = await asyncio.gather(record.add(Entry(Event.DONE, release_id="r")), return_exceptions=True)
            assert "not written" in str(late)
            monkeypatch.setattr("kiosk.broker.record.writer.WRITE_SECONDS", 10)
            proxy.let_go()
            await record.add(Entry(Event.REFUSED, release_id="r", outcome="record_unavailable"))
    assert [row["event"] for row in rows(postgresql_database) if row["release_id"]] == ["release.done"]
