"""No record, no key: every way to lose the database while the broker runs. test_process.py has the full disk."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from kiosk.broker.record.schema import Event
from kiosk.broker.record.writer import Record
from kiosk.errors import RecordUnavailable
from tests.broker.conftest import Start
from tests.support.broker import RunningBroker, problem_code
from tests.support.record import signer
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


@contextlib.contextmanager
def put_back_a_copy(file: Path, record: Record) -> Iterator[None]:
    """Replace the broker's database by a complete copy. The write-ahead log of the original stays."""
    copy = file.with_name("copy.db")
    with contextlib.closing(sqlite3.connect(file)) as source, contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    content = copy.read_bytes()
    copy.replace(file)
    yield
    assert file.read_bytes() == content


@contextlib.contextmanager
def put_back_a_copy_alone(file: Path, record: Record) -> Iterator[None]:
    with put_back_a_copy(file, record):
        for path in file.parent.glob("record.db-*"):
            path.unlink()
        yield
        assert list(file.parent.glob("record.db*")) == [file]


@contextlib.contextmanager
def put_back_a_copy_later(file: Path, record: Record) -> Iterator[None]:
    """A request in between makes the broker close the vanished file, so that the copy can get the same inode."""
    content = b""
    with contextlib.closing(sqlite3.connect(file)) as source, contextlib.closing(sqlite3.connect(":memory:")) as target:
        source.backup(target)
        content = target.serialize()
    remove(file, record)
    for _ in range(2):
        with pytest.raises(RecordUnavailable):
            asyncio.run(record.check())
    file.write_bytes(content)
    yield
    assert file.read_bytes() == content


def drop_the_head(file: Path, _record: Record) -> contextlib.AbstractContextManager[object]:
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("delete from head")
    return contextlib.nullcontext()


def server(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def cut_off(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )


@contextlib.contextmanager
def pg_lock(url: str) -> Iterator[None]:
    with server(url) as connection, connection.transaction():
        connection.execute("select * from head for update")
        yield


@contextlib.contextmanager
def pg_read_only(url: str) -> Iterator[None]:
    with server(url) as connection:
        (name,) = connection.execute("select current_database()").fetchone() or ("",)
        connection.execute(f'alter database "{name}" set default_transaction_read_only = on')
        cut_off(connection)
        yield
        connection.execute("set default_transaction_read_only = off")
        connection.execute(f'alter database "{name}" reset default_transaction_read_only')
        cut_off(connection)


@contextlib.contextmanager
def pg_gone(url: str) -> Iterator[None]:
    """Refuse new connections and end the open ones."""
    with server(url) as connection:
        (name,) = connection.execute("select current_database()").fetchone() or ("",)
    with psycopg.connect(url.replace("+psycopg", "").replace(name, "postgres"), autocommit=True) as connection:
        connection.execute(f'alter database "{name}" allow_connections false')
        connection.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s", [name])
        yield
        connection.execute(f'alter database "{name}" allow_connections true')


@contextlib.contextmanager
def pg_full(url: str) -> Iterator[None]:
    """Fail every insert with the error of a full disk."""
    with server(url) as connection:
        connection.execute(
            "create function full_disk() returns trigger language plpgsql as"
            " $$begin raise exception 'could not extend file' using errcode = 'disk_full'; end$$"
        )
        for table in ("record", "head"):
            connection.execute(
                f"create trigger full_disk before insert or update on {table} execute function full_disk()"
            )
        yield
        for table in ("record", "head"):
            connection.execute(f"drop trigger full_disk on {table}")


@contextlib.contextmanager
def pg_without_head(url: str) -> Iterator[None]:
    with server(url) as connection:
        connection.execute("create table kept as select * from head")
        connection.execute("delete from head")
        yield
        connection.execute("insert into head select * from kept")


@contextlib.contextmanager
def pg_without_table(url: str) -> Iterator[None]:
    with server(url) as connection:
        connection.execute("alter table record rename to elsewhere")
        connection.execute("alter table head rename to nowhere")
        yield
        connection.execute("alter table elsewhere rename to record")
        connection.execute("alter table nowhere rename to head")


ON_SQLITE = [lock, make_read_only, remove, replace_with_empty, corrupt, drop_the_head]
ON_SQLITE += [put_back_a_copy, put_back_a_copy_alone, put_back_a_copy_later]
ON_SERVER = [pg_lock, pg_read_only, pg_gone, pg_full, pg_without_head, pg_without_table]


def nothing_is_given(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    mac, token = sandbox.device("NW-AKESSLER-14").id, sandbox.token("ada")
    answer = broker.release(token, mac)
    assert (answer.code, answer.response.status_code) == ("record_unavailable", 503)
    assert "sealed" not in answer.response.text
    assert problem_code(broker.ask("GET", "/v1/session", token)) == "record_unavailable"
    assert problem_code(broker.ask("GET", "/readyz")) == "record_unavailable"
    assert problem_code(broker.ask("GET", "/v1/session", sandbox.token("ada", aud="x"))) == "token_audience"
    # Graph got no request, not even for the device.
    assert not sandbox.requests("/beta/")


@pytest.mark.parametrize("fail", ON_SQLITE)
def test_no_record_no_key(
    start: Start, sandbox: RunningSandbox, place: Path, fail: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kiosk.broker.record.time_limits.BUSY_SECONDS", 0.2)
    mac, token = sandbox.device("NW-AKESSLER-14").id, sandbox.token("ada")
    with start() as broker:
        assert broker.release(token, mac).code == ""
        sandbox.clear_requests()
        assert broker.record is not None
        with fail(place / "record.db", broker.record):
            nothing_is_given(broker, sandbox)
        if fail is lock:
            assert broker.release(token, mac).code == ""


@pytest.mark.parametrize("fail", ON_SERVER)
def test_no_record_on_a_server_no_key(
    start: Start,
    sandbox: RunningSandbox,
    place: Path,
    postgresql_database: str,
    fail: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kiosk.broker.record.time_limits.BUSY_SECONDS", 0.2)
    mac, token = sandbox.device("NW-AKESSLER-14").id, sandbox.token("ada")
    signer(place)
    with start(record={"database": postgresql_database, "signing_key": place / "record.key"}) as broker:
        assert broker.release(token, mac).code == ""
        sandbox.clear_requests()
        with fail(postgresql_database):
            nothing_is_given(broker, sandbox)
        # Once the fault is over, the broker works again without a restart.
        assert broker.release(token, mac).code == ""


def fail_at(broker: RunningBroker, name: Event) -> None:
    """Fail every write to the database, from the first entry of this kind on."""
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
