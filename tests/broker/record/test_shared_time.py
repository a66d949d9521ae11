"""Brokers with different clocks decide alike: by the time of their database. Who is off is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from kiosk.broker.record.limits import Limit, Limits
from kiosk.broker.record.schema import TIME_FORMAT, Entry, Event
from kiosk.broker.record.shared_time import SharedTime
from kiosk.broker.record.writer import Record
from kiosk.broker.sinks.offsets import Offsets
from kiosk.clock import SystemClock
from kiosk.errors import PersonLimit
from tests.broker.record.test_record import rows
from tests.support.broker import MovedClock
from tests.support.clock import ManualClock

RELEASE = Entry(Event.INTENDED, tid="t", oid="o", device_id="d", release_id="r")
LIMITS = Limits((Limit.parse("1/hour"),))


@pytest.fixture(autouse=True)
def time_of_the_test() -> None:
    """Leave the database its own time."""


def moved(minutes: float) -> MovedClock:
    clock = MovedClock()
    clock.ahead = timedelta(minutes=minutes)
    return clock


async def test_a_broker_whose_clock_is_ahead_decides_like_the_others(
    postgresql_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    right, wrong = Record(postgresql_database, SystemClock()), Record(postgresql_database, moved(70))
    with right.running(), wrong.running():
        await right.intend(RELEASE, LIMITS)
        # The hour is not over, and what the other has begun is not ten minutes old.
        with pytest.raises(PersonLimit):
            await wrong.intend(RELEASE, LIMITS)
        wrong._transaction(wrong._ledger.keep_house)
        await wrong.add(Entry(Event.SESSION_OPENED))
        await right.add(Entry(Event.DONE, release_id="r"))
    written = rows(postgresql_database)
    assert [row["event"] for row in written if row["release_id"]] == ["release.intended", "release.done"]
    assert [row["time"] for row in written] == sorted(row["time"] for row in written)
    told = [line for line in caplog.messages if "this machine's clock is" in line]
    assert len(told) == 1
    assert "4200 s ahead of the database's" in told[0]


def test_a_lease_is_not_longer_for_a_broker_whose_clock_is_ahead(postgresql_database: str) -> None:
    with Record(postgresql_database, SystemClock()).running():
        pass
    wrong = Offsets(postgresql_database, "s", moved(60))
    assert wrong.take() is not None
    with psycopg.connect(postgresql_database.replace("+psycopg", "")) as connection:
        (until,) = connection.execute("select until from sink").fetchone() or ("",)
        (now,) = connection.execute("select now()").fetchone() or ("",)
    assert datetime.strptime(until, TIME_FORMAT).replace(tzinfo=UTC) - now < timedelta(seconds=16)
    wrong.close()


def test_an_answer_that_comes_late_is_no_difference(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    shared = SharedTime(clock, warns=True)
    for seconds, took, times in ((-3.0, 1.5, 0), (-3.0, 0.5, 1), (-4.0, 0.0, 1), (0.0, 0.0, 1), (3.0, 9.0, 2)):
        shared.tell(clock.utc() + timedelta(seconds=seconds), took)
        assert caplog.text.count("this machine's clock is") == times
