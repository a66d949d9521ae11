"""Delivery to several sinks and by several brokers: offsets and leases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from kiosk.broker.record.chain import Row
from kiosk.broker.record.writer import Record
from kiosk.broker.sinks import open_sinks
from kiosk.broker.sinks.address import sink_name
from kiosk.broker.sinks.delivery import Delivery, Worker
from kiosk.broker.sinks.json_lines import JsonLines
from kiosk.broker.sinks.offsets import Offsets
from kiosk.clock import SystemClock
from kiosk.config.broker import SinkSettings
from tests.support.clock import ManualClock
from tests.support.record import let_pass
from tests.support.sandbox import RunningSandbox
from tests.support.sinks import FileCollector, recording, say


def name_of(place: Path) -> str:
    return sink_name(SinkSettings(kind="file", url=f"file:{place}/a", mode="required"))


def test_a_sink_that_another_broker_serves_is_left_alone(url: str, place: Path) -> None:
    clock, tries = ManualClock(), []
    with Record(url, clock).running():
        pass

    def count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE sink SET holder"):
            tries.append(statement)

    other = Offsets(url, name_of(place), clock)
    assert other.take() is not None
    sinks = open_sinks([SinkSettings(kind="file", url=f"file:{place}/a", mode="required")], url, clock)
    event.listen(Engine, "before_cursor_execute", count)
    try:
        with sinks.running():
            sinks.appended(())
            for _ in range(79):
                let_pass(clock, 0.125)
            # Each attempt is a write that blocks the other brokers.
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
    other = Offsets(url, name_of(place), clock)
    assert other.take() is not None
    worker = Worker("file", JsonLines(place / "a"), Offsets(url, name_of(place), clock), clock, required=True)
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


def test_several_sinks_keep_out_of_each_others_way(sandbox: RunningSandbox, place: Path) -> None:
    gone = {"kind": "syslog", "url": "tcp://127.0.0.1:1", "mode": "best-effort"}
    kept = {"kind": "file", "url": f"file:{place / 'a'}", "mode": "required"}
    with recording(place, gone, kept) as record:
        say(record, 3)
        assert FileCollector(place / "a").numbers() == [1, 2, 3, 4]


def test_brokers_on_one_database_share_the_work(place: Path, url: str) -> None:
    sink = {"kind": "file", "url": f"file:{place / 'a'}", "mode": "required"}
    with recording(url, sink) as one, recording(url, sink) as other:
        for _ in range(5):
            say(one)
            say(other)
        assert FileCollector(place / "a").numbers() == list(range(1, 13))


def test_a_first_commit_that_fails_is_tried_again(place: Path, url: str) -> None:
    with recording(url):
        pass
    offsets = Offsets(url, "file a", SystemClock())

    def full(_connection: Connection) -> None:
        raise OperationalError("COMMIT", None, OSError("no space left"))

    event.listen(Engine, "commit", full)
    try:
        with pytest.raises(OperationalError):
            offsets.take(by_force=True)
    finally:
        event.remove(Engine, "commit", full)
    batch = offsets.take(by_force=True)
    offsets.close()
    assert batch
    assert [item.n for item in batch.items if isinstance(item, Row)] == [1, 2]


@pytest.mark.parametrize(
    ("named", "second"), [({}, [1, 2, 3, 4, 5, 6]), ({"name": "shared"}, [4, 5, 6])], ids=["local", "named"]
)
def test_a_file_on_each_machine_gets_every_row(
    url: str, place: Path, named: dict[str, str], second: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, got = place / "a", []
    for machine in ("north", "south"):
        monkeypatch.setattr("kiosk.broker.sinks.address.socket.gethostname", lambda machine=machine: machine)
        with recording(url, {"kind": "file", "url": f"file:{file}", "mode": "required"} | named) as record:
            say(record)
        got.append(FileCollector(file).numbers())
        file.unlink()
    assert got == [[1, 2, 3], second]
