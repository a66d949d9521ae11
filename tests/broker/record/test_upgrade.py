"""A record from the version before is migrated, verified and continued, and is as fast as a new one."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from kiosk.broker.record import time_limits
from kiosk.broker.record.checkpoints import Signing
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.limits import Limit, Limits
from kiosk.broker.record.schema import RECORD, VERSION, Entry, Event
from kiosk.broker.record.writer import Record
from kiosk.cli.main import cli
from kiosk.errors import KioskLimit
from tests.support.broker import brokers, problem_code, wait_for
from tests.support.clock import ManualClock
from tests.support.previous_version import PUBLIC_KEY, PreviousBroker, write_previous
from tests.support.record import broker_toml, signer
from tests.support.sandbox import RunningSandbox

MAC = "NW-AKESSLER-14"
OFF = {"per_person": (), "per_device": ()}
INDEXES = {index.name for index in RECORD.indexes}
ADA = Entry(Event.INTENDED, tid="t", oid="ada", device_id="d", release_id="r", terminal="desk-1 pts/9")


@pytest.fixture
def released(url: str) -> str:
    """Return the address of a database as the version before left it."""
    write_previous(url)
    return url


def indexes(url: str) -> set[str]:
    engine = open_engine(url)
    statement = {
        "sqlite": "select name from sqlite_master where type = 'index' and name like 'record%'",
        "postgresql": "select indexname from pg_indexes where tablename = 'record' and indexname like 'record_by%'",
    }
    with engine.connect() as connection:
        found = set(connection.scalars(text(statement[engine.dialect.name])))
    engine.dispose()
    return found


def kiosk(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, arguments)
    return result.exit_code, result.output


def audit(*arguments: str) -> str:
    code, said = kiosk("audit", *arguments)
    assert code == 0, said
    return said


async def test_a_record_as_it_was_released_goes_on(released: str, tmp_path: Path) -> None:
    assert "record_by_terminal" in indexes(released)
    # Nothing happens to it by itself.
    assert "see kiosk record migrate" in kiosk("audit", "show", "--database", released)[1]
    signer(tmp_path)
    migrate = ("record", "migrate", "--config", broker_toml(tmp_path, released))
    code, said = kiosk(*migrate)
    assert (code, "it is signed with another key" in said) == (2, True), said
    assert kiosk(*migrate, "--public-key", str(PUBLIC_KEY)) == (0, "migrated: 7 rows\n")
    assert "expected a record of version 2, not 3" in kiosk(*migrate)[1]
    # A broker of the version before that still runs is refused, and leaves the record as it is.
    assert "sealed" in PreviousBroker(released).serve(1)
    assert "H4XQ7LM2PN" in audit("show", "--database", released, "--device", "h4xq7lm2pn", "--seen")
    clock = ManualClock()
    clock.advance(60)
    record = Record(released, clock, signing=Signing(signer(tmp_path)))
    with record.running():
        wait_for(clock.waiting)
        # It already has two releases, at two terminals of this kiosk.
        with pytest.raises(KioskLimit):
            await record.intend(ADA, Limits(per_kiosk=(Limit.parse("2/hour"),)))
        await record.intend(replace(ADA, terminal="desk-2 pts/9"), Limits(per_kiosk=(Limit.parse("2/hour"),)))
    assert indexes(released) == INDEXES
    keys = tmp_path / "both.pub"
    keys.write_text(PUBLIC_KEY.read_text() + (tmp_path / "record.pub").read_text())
    verdict = json.loads(audit("verify", "--database", released, "--public-key", str(keys), "--json"))
    assert (verdict["holds"], verdict["certain"]) == (True, verdict["rows"])
    assert "Zoë Ångström" in audit("show", "--database", released, "--person", "zoë å", "--event", "release.done")


def test_brokers_take_over_from_those_of_the_version_before_while_people_visit(
    sandbox: RunningSandbox, place: Path, postgresql_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, mac, token = postgresql_database, sandbox.device(MAC).id, sandbox.token("ada")
    write_previous(url)
    before = PreviousBroker(url)
    with brokers(sandbox.directory, place, url, 2, rules=OFF) as fleet, ThreadPoolExecutor(1) as pool:
        # They listen, and say that they cannot serve yet; a balancer sends everybody to those of the version before.
        assert [broker.ask("GET", "/healthz").status_code for broker in fleet] == [200, 200]
        assert [problem_code(broker.ask("GET", "/readyz")) for broker in fleet] == ["record_unavailable"] * 2
        assert fleet[0].release(token, mac).code == "record_unavailable"
        serving = pool.submit(before.serve)
        wait_for(lambda: len(before.acknowledged) >= 20 or serving.done())
        migrate = ("record", "migrate", "--config", str(place / "0" / "broker.toml"), "--public-key", str(PUBLIC_KEY))
        # Somebody reads for long, as a backup does: nobody is made to wait for that.
        with read(url), monkeypatch.context() as hurried:
            hurried.setattr(time_limits, "BUSY_SECONDS", 0.1)
            code, said = kiosk(*migrate)
        assert (code, "lock timeout" in said) == (2, True), said
        assert not serving.done()
        code, said = kiosk(*migrate)
        assert code == 0, said
        assert "sealed" in serving.result(30)
        wait_for(lambda: all(broker.ask("GET", "/readyz").status_code == 200 for broker in fleet))
        assert [broker.release(token, mac).code for broker in fleet] == ["", ""]
        for broker in fleet:
            assert broker.log().count('text="the broker waits for its database: the record has version 2, not 3') == 1
            assert "the broker has started" in broker.log()
        # The same from the other side: the next version migrates the record, and these brokers must not write to it.
        with head_of_version(url, 4):
            assert [broker.release(token, mac).code for broker in fleet] == ["record_unavailable"] * 2
            assert [broker.ask("GET", "/healthz").status_code for broker in fleet] == [200, 200]
            assert "it is of version 4, not 3" in fleet[0].log()
        assert [broker.release(token, mac).code for broker in fleet] == ["", ""]
        rows = fleet[0].rows()
    written = [row["uti"] for row in rows if row["version"] == 2][7:]
    assert written == before.acknowledged
    assert len([row for row in rows if row["event"] == "release.done" and row["version"] == 3]) == 4
    keys = place / "both.pub"
    keys.write_text(PUBLIC_KEY.read_text() + (place / "record.pub").read_text())
    assert audit("verify", "--database", url, "--public-key", str(keys)).startswith("holds")


@contextlib.contextmanager
def read(url: str) -> Iterator[None]:
    engine = open_engine(url, limited=False)
    with engine.begin() as connection:
        connection.execute(text("select n from head"))
        yield
    engine.dispose()


@contextlib.contextmanager
def head_of_version(url: str, version: int) -> Iterator[None]:
    engine = open_engine(url)
    change = text("update head set version = :version")
    with engine.begin() as connection:
        connection.execute(change, {"version": version})
    yield
    with engine.begin() as connection:
        connection.execute(change, {"version": VERSION})
    engine.dispose()


def test_an_account_that_may_not_make_indexes_goes_on_without(
    postgresql_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    import psycopg

    with Record(postgresql_database, ManualClock()).running():
        pass
    plain = postgresql_database.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("drop index record_by_time")
        connection.execute("drop role if exists writer")
        connection.execute("create role writer login")
        connection.execute("grant select, insert on record, checkpoint to writer")
        connection.execute("grant select, update on head to writer")
        caplog.set_level(logging.INFO)
        with contextlib.ExitStack() as stack:
            stack.callback(connection.execute, "drop role writer")
            stack.callback(connection.execute, "drop owned by writer")
            clock = ManualClock()
            with Record(postgresql_database.replace("broker@", "writer@"), clock).running():
                wait_for(clock.waiting)
        assert "could not create record_by_time: must be owner" in caplog.text
        caplog.clear()
        clock = ManualClock()
        with Record(postgresql_database, clock).running():
            wait_for(clock.waiting)
        assert "could not" not in caplog.text
    assert indexes(postgresql_database) == INDEXES
