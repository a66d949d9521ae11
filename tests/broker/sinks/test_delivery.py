"""How brokers that share a database share the delivery to a sink."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from kiosk.broker.record.writer import Record
from kiosk.broker.sinks import open_sinks
from kiosk.broker.sinks.delivery import Delivery, Worker
from kiosk.broker.sinks.json_lines import JsonLines
from kiosk.broker.sinks.offsets import Offsets
from kiosk.clock import ManualClock
from kiosk.config.broker import SinkSettings
from tests.support.record import let_pass


def test_a_sink_that_another_broker_serves_is_left_alone(url: str, place: Path) -> None:
    clock, tries = ManualClock(), []
    with Record(url, clock).running():
        pass

    def count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE sink SET holder"):
            tries.append(statement)

    other = Offsets(url, f"file file:{place}/a", clock)
    assert other.take() is not None
    sinks = open_sinks([SinkSettings(kind="file", url=f"file:{place}/a", mode="required")], url, clock)
    event.listen(Engine, "before_cursor_execute", count)
    try:
        with sinks.running():
            sinks.appended(())
            for _ in range(79):
                let_pass(clock, 0.125)
            # Each try is a write, which the others on the database have to wait for.
            assert len(tries) == 2
            assert not (place / "a").exists()
            other.leave()
            let_pass(clock, 0.125)
            assert (place / "a").exists()
    finally:
        event.remove(Engine, "before_cursor_execute", count)
        other.close()


def test_who_waits_for_a_sink_does_not_wait_long_for_its_holder(url: str, place: Path) -> None:
    clock = ManualClock()
    with Record(url, clock).running():
        pass
    other = Offsets(url, f"file file:{place}/a", clock)
    assert other.take() is not None
    worker = Worker("file", JsonLines(place / "a"), Offsets(url, f"file file:{place}/a", clock), clock, required=True)
    with Delivery([worker], clock).running():
        confirmed = worker.reached(2)
        worker.wake()
        for _ in range(15):
            let_pass(clock, 1 / 32)
        assert not confirmed.done()
        let_pass(clock, 1 / 32)
        confirmed.result(0)
        assert len((place / "a").read_bytes().splitlines()) == 2
    other.close()
