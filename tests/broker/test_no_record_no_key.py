"""No record, no key: every way to lose the database while the broker runs."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from kiosk.broker.record import Record
from kiosk.broker.schema import Event
from tests.broker.conftest import Start
from tests.support.broker import RunningBroker, problem_code
from tests.support.sandbox import RunningSandbox


def lock(file: Path, _record: Record) -> contextlib.AbstractContextManager[object]:
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.execute("begin immediate")
    return contextlib.closing(connection)


def make_read_only(_file: Path, record: Record) -> contextlib.AbstractContextManager[object]:
    record.engine.dispose()
    event.listen(record.engine, "connect", lambda connection, _: connection.execute("pragma query_only=1"))
    return contextlib.nullcontext()


def remove(file: Path, _record: Record) -> contextlib.AbstractContextManager[object]:
    for path in file.parent.glob("record.db*"):
        path.unlink()
    return contextlib.nullcontext()


def replace_with_empty(file: Path, record: Record) -> contextlib.AbstractContextManager[object]:
    remove(file, record)
    file.touch()
    return contextlib.nullcontext()


def corrupt(file: Path, record: Record) -> contextlib.AbstractContextManager[object]:
    remove(file, record)
    file.write_bytes(os.urandom(8192))
    return contextlib.nullcontext()


def drop_the_head(file: Path, _record: Record) -> contextlib.AbstractContextManager[object]:
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("delete from head")
    return contextlib.nullcontext()


FAILURES = [lock, make_read_only, remove, replace_with_empty, corrupt, drop_the_head]


@pytest.mark.parametrize("fail", FAILURES)
def test_no_record_no_key(
    start: Start, sandbox: RunningSandbox, place: Path, fail: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kiosk.broker.database.BUSY_SECONDS", 0.2)
    mac, token = sandbox.device("NW-AKESSLER-14").id, sandbox.token("ada")
    with start() as broker:
        assert broker.release(token, mac).code == ""
        sandbox.clear_requests()
        assert broker.record is not None
        with fail(place / "record.db", broker.record):
            answer = broker.release(token, mac)
            assert (answer.code, answer.response.status_code) == ("record_unavailable", 503)
            assert "sealed" not in answer.response.text
            assert problem_code(broker.ask("GET", "/v1/session", token)) == "record_unavailable"
            assert problem_code(broker.ask("GET", "/readyz")) == "record_unavailable"
            assert problem_code(broker.ask("GET", "/v1/session", sandbox.token("ada", aud="x"))) == "token_audience"
            # Graph was asked nothing, not even about the device.
            assert not sandbox.requests("/beta/")
        if fail is lock:
            assert broker.release(token, mac).code == ""


def fail_at(broker: RunningBroker, name: Event) -> None:
    """From the entry of that kind on, the database takes nothing any more."""
    assert broker.record is not None

    def refuse(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("INSERT INTO record") and name in parameters:
            raise sqlite3.OperationalError("disk I/O error")

    event.listen(broker.record.engine, "before_cursor_execute", refuse)


@pytest.mark.parametrize(
    ("name", "asked", "left"),
    [
        (Event.INTENDED, 0, [("release.refused", "record_unavailable")]),
        (Event.DONE, 1, [("release.intended", "ok"), ("release.refused", "record_unavailable")]),
    ],
)
def test_a_write_that_fails_in_the_middle(
    start: Start, sandbox: RunningSandbox, name: Event, asked: int, left: list[tuple[str, str]]
) -> None:
    with start() as broker:
        fail_at(broker, name)
        answer = broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id)
        assert answer.code == "record_unavailable"
        assert "sealed" not in answer.response.text
        assert len(sandbox.requests("getFileVaultKey")) == asked
        assert [(row["event"], row["outcome"]) for row in broker.rows("release")] == left


def test_a_refusal_that_cannot_be_written(start: Start, sandbox: RunningSandbox) -> None:
    with start() as broker:
        fail_at(broker, Event.REFUSED)
        answer = broker.release(sandbox.token("ada"), sandbox.device("NW-JBRANDT-AIR").id)
        assert answer.code == "record_unavailable"
        assert broker.rows("release") == []
