"""A record from an earlier version is carried over, verified and continued, and is as fast as a new one."""

from __future__ import annotations

import contextlib
import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from kiosk.broker.record.checkpoints import Signing
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.limits import Limit, Limits
from kiosk.broker.record.schema import RECORD, Entry, Event
from kiosk.broker.record.writer import Record
from kiosk.cli.main import cli
from kiosk.errors import KioskLimit
from tests.support.broker import wait_for
from tests.support.clock import ManualClock
from tests.support.record import broker_toml, signer

SUPPORT = Path(__file__).parents[2] / "support"
INDEXES = {index.name for index in RECORD.indexes}
ADA = Entry(Event.INTENDED, tid="t", oid="ada", device_id="d", release_id="r", terminal="desk-1 pts/9")


@pytest.fixture
def released(url: str) -> str:
    """Return the address of a database as the first released version left it."""
    engine = open_engine(url)
    with engine.begin() as connection:
        plain = connection.connection.driver_connection
        assert plain is not None
        script = (SUPPORT / "released.sql").read_text()
        # psycopg's execute() runs within our transaction; SQLite's executescript() commits it first.
        plain.executescript(script) if engine.dialect.name == "sqlite" else plain.execute(script)
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
    engine.dispose()
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
    assert kiosk(*migrate, "--public-key", str(SUPPORT / "released.pub")) == (0, "migrated: 7 rows\n")
    assert "expected a record of version 2, not 3" in kiosk(*migrate)[1]
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
    keys.write_text((SUPPORT / "released.pub").read_text() + (tmp_path / "record.pub").read_text())
    verdict = json.loads(audit("verify", "--database", released, "--public-key", str(keys), "--json"))
    assert (verdict["holds"], verdict["certain"]) == (True, verdict["rows"])
    assert "Zoë Ångström" in audit("show", "--database", released, "--person", "zoë å", "--event", "release.done")


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
