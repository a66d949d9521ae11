"""Compare limits with a model that keeps a plain list: both give the same answers for any sequence of events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from kiosk.broker.record.database import open_engine
from kiosk.broker.record.limits import Limits
from kiosk.broker.record.schema import METADATA, Entry, Event
from kiosk.broker.record.writer import Record
from kiosk.config.broker import Rules
from kiosk.errors import LimitReached
from tests.support.clock import ManualClock
from tests.support.examples import few

SECONDS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
KINDS = {
    "per_person": "limit_person",
    "per_device": "limit_device",
    "per_kiosk": "limit_kiosk",
    "overall": "limit_overall",
}
AFTER = ("done", "refused", "crashed")


@dataclass(frozen=True)
class Try:
    """A request after a pause in seconds. ``after`` is the outcome of the release if it may begin."""

    pause: int
    per_person: str
    per_device: str
    per_kiosk: str
    after: str
    overall: str = ""


@dataclass
class Model:
    """Keeps every release that counts in a list."""

    limits: dict[str, list[str]]
    given: list[tuple[int, Try]] = field(default_factory=list)

    def answer(self, now: int, asked: Try) -> tuple[str, int]:
        waits = []
        for kind, code in KINDS.items():
            times = [time for time, one in self.given if getattr(one, kind) == getattr(asked, kind)]
            for limit in self.limits[kind]:
                most, _, period = limit.partition("/")
                within = [time for time in times if time > now - SECONDS[period]]
                if len(within) >= int(most):
                    waits.append((code, within[-int(most)] + SECONDS[period] - now))
        return (waits[0][0], max(wait for _, wait in waits)) if waits else ("", 0)


some_limits = st.lists(st.builds("{}/{}".format, st.integers(1, 4), st.sampled_from(list(SECONDS))), max_size=2)
pauses = st.one_of(st.integers(0, 90), st.sampled_from([59, 60, 61, 3599, 3600, 3601, 43_200, 86_399, 86_400, 604_800]))
tries = st.builds(
    Try, pauses, st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from(["", "k"]), st.sampled_from(AFTER)
)


# One database serves all examples; each begins with empty tables.
@settings(
    max_examples=few(12),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.fixed_dictionaries(dict.fromkeys(KINDS, some_limits)), st.lists(tries, max_size=20))
def test_the_record_counts_as_the_model_does(url: str, limits: dict[str, list[str]], asked: list[Try]) -> None:
    empty(url)
    asyncio.run(compare(url, limits, asked))


def empty(url: str) -> None:
    engine = open_engine(url)
    METADATA.create_all(engine)
    with engine.begin() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(delete(table))
    engine.dispose()


async def compare(url: str, limits: dict[str, list[str]], asked: list[Try]) -> None:
    clock, model = ManualClock(), Model(limits)
    windows: dict[str, Any] = {kind: tuple(each) for kind, each in limits.items()}
    record = Record(url, clock)
    with record.running():
        for number, one in enumerate(asked):
            clock.advance(one.pause)
            now = int(clock.time)
            entry = Entry(
                Event.INTENDED,
                tid="t",
                oid=one.per_person,
                device_id=one.per_device,
                terminal=one.per_kiosk and f"{one.per_kiosk} pts/{number} from 192.0.2.{number}, under tmux",
                release_id=str(number),
            )
            assert await answer(record, entry, Limits.of(Rules(**windows))) == model.answer(now, one)
            if model.answer(now, one)[0]:
                continue
            if one.after != "crashed":
                event = Event.DONE if one.after == "done" else Event.REFUSED
                await record.add(replace(entry, event=event))
            if one.after != "refused":
                model.given.append((now, one))


async def answer(record: Record, entry: Entry, limits: Limits) -> tuple[str, int]:
    try:
        await record.intend(entry, limits)
    except LimitReached as reached:
        return reached.code, int(reached.retry_after or -1)
    return "", 0
