"""A database that is away when a broker starts is waited for: the broker listens, and says that it is not ready."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import psycopg
import pytest

from kiosk.broker.record import ledger
from kiosk.broker.record.checkpoints import Signing
from kiosk.broker.record.writer import Record
from kiosk.clock import SystemClock
from kiosk.errors import RecordUnavailable
from tests.broker.conftest import Start
from tests.broker.record.test_record import rows
from tests.support.broker import ROOT, broker_command, broker_config, problem_code, to_toml, wait_for
from tests.support.clock import ManualClock
from tests.support.database_proxy import database_proxy
from tests.support.record import signer
from tests.support.sandbox import RunningSandbox

Away: TypeAlias = tuple[str, Callable[[], object]]
"""The address of a database that cannot be used, and what makes it usable."""

WAITS = "the broker waits for its database"


def plain(url: str) -> str:
    return url.replace("+psycopg", "")


def made(url: str, folder: Path | None = None) -> None:
    """Make the record, signed with the key in this folder."""
    signing = Signing(signer(folder)) if folder else None
    with Record(url, ManualClock(), signing=signing).running():
        pass


@contextlib.contextmanager
def refused(url: str) -> Iterator[Away]:
    """Refuse new connections, as a server does that starts, stops, or has no connection left."""
    name = psycopg.conninfo.conninfo_to_dict(plain(url))["dbname"]
    with psycopg.connect(plain(url).replace(f"/{name}", "/postgres"), autocommit=True) as connection:
        connection.execute(f'alter database "{name}" allow_connections false')
        yield url, lambda: connection.execute(f'alter database "{name}" allow_connections true')


@contextlib.contextmanager
def silent(url: str) -> Iterator[Away]:
    """Accept connections and answer nothing."""
    with database_proxy(url) as (address, proxy):
        proxy.hold()
        yield address, proxy.let_go


@contextlib.contextmanager
def locked(url: str) -> Iterator[Away]:
    with psycopg.connect(plain(url)) as connection:
        connection.execute("select * from head for update")
        yield url, connection.rollback


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("ANSWER", 0.5), ("BUSY", 0.2), ("CONNECT", 2)):
        monkeypatch.setattr(f"kiosk.broker.record.time_limits.{name}_SECONDS", seconds)
    monkeypatch.setattr("kiosk.broker.record.writer._FIRST_SECONDS", 0.3)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in caplog.messages if message.startswith(WAITS)]


@pytest.mark.parametrize("away", [refused, silent, locked])
def test_a_database_that_is_away_at_the_start_is_waited_for(
    start: Start,
    sandbox: RunningSandbox,
    place: Path,
    postgresql_database: str,
    away: Callable[[str], contextlib.AbstractContextManager[Away]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    made(postgresql_database, place)
    mac, token = sandbox.device("NW-AKESSLER-14").id, sandbox.token("ada")
    record = {"signing_key": place / "record.key"}
    with (
        away(postgresql_database) as (url, heal),
        start(record=record | {"database": url}) as broker,
    ):
        assert broker.ask("GET", "/healthz").status_code == 200
        assert problem_code(broker.ask("GET", "/readyz")) == "record_unavailable"
        assert broker.release(token, mac).code == "record_unavailable"
        wait_for(lambda: told(caplog))
        heal()
        wait_for(lambda: broker.ask("GET", "/readyz").status_code == 200)
        assert broker.release(token, mac).code == ""
    # One cause is told once, however often the start was tried.
    assert len(told(caplog)) == len(set(told(caplog)))
    assert "the broker has started" in caplog.text


def test_a_broker_that_waits_is_stopped_in_order(sandbox: RunningSandbox, place: Path) -> None:
    signer(place)
    gone = "postgresql+psycopg://broker@127.0.0.1:1/record"
    with waiting_broker(sandbox, place, gone) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert not (place / "broker.sock").exists()


def test_a_record_of_another_version_ends_the_waiting(
    sandbox: RunningSandbox, place: Path, postgresql_database: str
) -> None:
    made(postgresql_database, place)
    with psycopg.connect(plain(postgresql_database), autocommit=True) as connection:
        connection.execute("update head set version = version + 1")
    with refused(postgresql_database) as (url, heal), waiting_broker(sandbox, place, url) as process:
        heal()
        assert process.wait(20) == 2
    assert "expected a record of version" in (place / "broker.log").read_text()


@contextlib.contextmanager
def waiting_broker(sandbox: RunningSandbox, place: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a broker in a process, and yield it once its log says that it waits for its database."""
    config = broker_config(sandbox.directory, place, record={"database": url, "signing_key": place / "record.key"})
    file, log_file = place / "broker.toml", place / "broker.log"
    file.write_text(to_toml(config))
    with (
        log_file.open("wb") as log,
        subprocess.Popen(broker_command(file), stdin=subprocess.PIPE, stderr=log, cwd=ROOT) as process,
    ):
        try:
            wait_for(lambda: WAITS in log_file.read_text() and "event=listening" in log_file.read_text(), 30)
            yield process
        finally:
            process.kill()


def test_a_start_on_a_record_waits_for_no_other_start(postgresql_database: str) -> None:
    made(postgresql_database)
    with psycopg.connect(plain(postgresql_database)) as connection:
        # As one that makes tables, or finds out something about a large record.
        connection.execute("select pg_advisory_lock(%s)", [ledger._STARTING])
        made(postgresql_database)
    assert [row["event"] for row in rows(postgresql_database)] == ["broker.started", "broker.stopped"] * 2


async def test_one_that_makes_the_tables_is_waited_for(postgresql_database: str) -> None:
    record = Record(postgresql_database, SystemClock())
    with psycopg.connect(plain(postgresql_database)) as connection:
        connection.execute("select pg_advisory_lock(%s)", [ledger._STARTING])
        with record.running():
            with pytest.raises(RecordUnavailable):
                await record.check()
            connection.rollback()
            connection.execute("select pg_advisory_unlock_all()")
            connection.commit()
            wait_for(lambda: record._started)
            await record.check()
