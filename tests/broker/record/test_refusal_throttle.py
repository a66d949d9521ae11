"""In a flood of bad tokens, the first of each minute get a row each, the rest are counted, and none is lost."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event

from kiosk.broker.record.refusal_throttle import AT_ONE_KIOSK, IN_ALL
from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.record.writer import Record
from tests.broker.conftest import Start
from tests.broker.record.test_record import rows
from tests.support.broker import RunningBroker, problem_code
from tests.support.clock import ManualClock
from tests.support.record import let_pass
from tests.support.sandbox import RunningSandbox

BAD = Entry(Event.TOKEN_REFUSED, outcome="token_signature", terminal="desk-1 tty1")


@contextlib.contextmanager
def running(url: str, clock: ManualClock) -> Iterator[Record]:
    record = Record(url, clock)
    with record.running():
        yield record


async def flood(record: Record, *entries: Entry) -> None:
    for entry in entries:
        await record.refuse(entry)


def refused(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in found if row["event"] == "token.refused"]


def counted(found: list[dict[str, Any]]) -> int:
    """Return how many refusals the rows account for."""
    sums = [re.fullmatch(r"([0-9]+) more, from \S+ to \S+", row["detail"]) for row in refused(found)]
    return sum(int(one[1]) if one else 1 for one in sums)


async def test_the_first_of_a_minute_one_by_one_the_rest_as_a_number(url: str) -> None:
    clock = ManualClock()
    with running(url, clock) as record:
        for number in range(50):
            await flood(record, Entry(Event.TOKEN_REFUSED, outcome="token_expired", reference=str(number), oid="ada"))
            clock.advance(1)
        # Refusals at another kiosk still get their own rows.
        await flood(record, BAD)
        let_pass(clock, 0)
        assert len(refused(rows(url))) == AT_ONE_KIOSK + 1
        let_pass(clock, 10)
        assert len(refused(rows(url))) == AT_ONE_KIOSK + 2
        last = refused(rows(url))[-1]
        assert last["detail"] == "40 more, from 2026-11-22T09:00:10.000000Z to 2026-11-22T09:00:49.000000Z"
        assert (last["outcome"], last["oid"], last["reference"]) == ("token_expired", "ada", "")
        # The next minute starts from zero.
        await flood(record, *[BAD] * 3)
        assert len(refused(rows(url))) == AT_ONE_KIOSK + 5


async def test_whatever_the_names_a_minute_has_few_rows(url: str) -> None:
    clock = ManualClock()
    with running(url, clock) as record:
        for number in range(500):
            bad = Entry(Event.TOKEN_REFUSED, outcome=f"token_{number % 3}", terminal=f"desk-{number} tty1")
            await flood(record, bad)
        assert len(refused(rows(url))) == IN_ALL
    found = rows(url)
    # Twenty sums with a name, and one more for each code.
    assert len(refused(found)) <= IN_ALL + 20 + 3
    assert counted(found) == 500
    assert {row["outcome"] for row in refused(found)} == {"token_0", "token_1", "token_2"}
    assert found[-1]["event"] == "broker.stopped"


async def test_a_flood_that_goes_on_is_written_minute_by_minute(url: str) -> None:
    clock = ManualClock()
    with running(url, clock) as record:
        for second in range(600):
            for _ in range(4):
                await flood(record, BAD)
                clock.advance(0.25)
            if second % 5 == 2:
                let_pass(clock, 0)
                assert counted(rows(url)) >= second // 60 * 60 * 4
    found = refused(rows(url))
    assert counted(found) == 600 * 4
    # Still no more than one sum for each minute.
    assert len(found) == 10 * (AT_ONE_KIOSK + 1)


@pytest.mark.parametrize("goes_on", [True, False])
async def test_what_cannot_be_written_now_is_written_as_soon_as_it_can_be(url: str, goes_on: bool) -> None:
    clock, fails = ManualClock(), [True]
    with running(url, clock) as record:

        def refuse(*_: object) -> None:
            if fails[0]:
                raise OSError("disk I/O error")

        await flood(record, *[BAD] * 15)
        event.listen(record.engine, "begin", refuse)
        let_pass(clock, 60)
        fails[0] = False
        assert counted(rows(url)) == AT_ONE_KIOSK
        if goes_on:
            # The next minute has begun, but the sums of the last one do not wait for its end.
            await flood(record, BAD)
        let_pass(clock, 5)
        assert counted(rows(url)) == 15 + goes_on


def test_through_http(start: Start, sandbox: RunningSandbox) -> None:
    clock, token, mac = ManualClock(wall=datetime.now(UTC)), sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id
    with start(clock) as broker:

        def knock(broker: RunningBroker, times: int) -> None:
            for _ in range(times):
                assert problem_code(broker.ask("GET", "/v1/session")) == "token_missing"

        knock(broker, 40)
        assert len(broker.rows("token.refused")) == AT_ONE_KIOSK
        # Other people still get their keys during the flood.
        assert broker.release(token, mac).code == ""
        let_pass(clock, 61)
        assert len(broker.rows("token.refused")) == AT_ONE_KIOSK + 1
        knock(broker, 25)
    found = broker.rows()
    assert counted(found) == 65
    assert len(refused(found)) == 2 * AT_ONE_KIOSK + 2
    assert found[-1]["event"] == "broker.stopped"
