"""DatabaseProxy to the database limits a fleet: an entry takes few round trips, and holds the head for one of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from kiosk.broker.record.limits import Limit, Limits
from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.record.writer import Record
from tests.support.broker import wait_for
from tests.support.clock import ManualClock
from tests.support.database_proxy import database_proxy

LIMITS = Limits((Limit.parse("3/hour"), Limit.parse("10/day")), (Limit.parse("5/day"),))
WHO = Entry(Event.SESSION_OPENED, tid="t", oid="o", uti="u", visit_key="v", device_id="d", release_id="r")


@pytest.mark.parametrize(
    ("kind", "most"),
    # The head; the token's visit and the limits, all in one; rows, head and commit.
    [("add", 2), ("append_session", 3), ("intend", 3), ("check", 3)],
)
async def test_an_entry_takes_few_round_trips(postgresql_database: str, kind: str, most: int) -> None:
    clock = ManualClock()
    with database_proxy(postgresql_database) as (url, proxy):
        record = Record(url, clock)
        asked: dict[str, Callable[[], Awaitable[None]]] = {
            "add": lambda: record.add(WHO),
            "append_session": lambda: record.append_session(WHO),
            "intend": lambda: record.intend(WHO, LIMITS),
            "check": lambda: record.check(WHO),
        }
        with record.running():
            # Nothing else asks the database any more.
            wait_for(clock.waiting)
            before = proxy.round_trips
            await asked[kind]()
            assert proxy.round_trips - before == most
