"""PostgreSQL for real: several broker processes on one database, and a server that goes away in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from click.testing import CliRunner

from kiosk.broker.audit import source as source_of
from kiosk.broker.record import database
from kiosk.broker.record.checkpoints import Signing
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.record.writer import Limit, Limits, Record
from kiosk.cli.main import cli
from kiosk.errors import PersonLimit, RecordUnavailable
from kiosk.secret import VisitKeys
from tests.broker.conftest import Start
from tests.broker.record.test_record import rows
from tests.support.broker import brokers, problem_code
from tests.support.clock import ManualClock
from tests.support.record import fill, signer
from tests.support.sandbox import RunningSandbox

BROKERS = 3
AT_ONCE = 18
MOST = 4


def verdict(url: str, place: Path) -> dict[str, Any]:
    said = CliRunner().invoke(
        cli, ["audit", "verify", "--database", url, "--public-key", str(place / "record.pub"), "--json"]
    )
    found: dict[str, Any] = json.loads(said.output)
    return found


def test_several_brokers_release_exactly_what_a_limit_allows(
    sandbox: RunningSandbox, place: Path, postgresql_database: str
) -> None:
    url = postgresql_database
    mac, token, keys = sandbox.device("NW-AKESSLER-14").id, sandbox.token("ada"), VisitKeys()
    rules = {"per_person": (f"{MOST}/day",), "per_device": ()}
    with brokers(sandbox.directory, place, url, BROKERS, rules=rules) as running, ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(
            pool.map(lambda number: running[number % BROKERS].release(token, mac, keys=keys).code, range(AT_ONCE))
        )
        assert sorted(answers) == [""] * MOST + ["limit_person"] * (AT_ONCE - MOST)
        assert len(sandbox.requests("getFileVaultKey")) == MOST
        # While they run, their rows form one chain.
        assert verdict(url, place)["holds"]
    rows = running[0].rows()
    found = verdict(url, place)
    assert (found["holds"], found["rows"], found["certain"]) == (True, len(rows), len(rows))
    assert found["checkpoints"] >= len(rows) // 7
    events = [row["event"] for row in rows]
    assert [events.count(f"release.{name}") for name in ("intended", "done", "refused")] == [MOST, MOST, AT_ONCE - MOST]
    assert events.count("broker.started") == events.count("broker.stopped") == BROKERS
    assert events.count("configuration.changed") == 1


def test_commits_are_durable_whatever_the_server_has_been_told(postgresql_database: str) -> None:
    with psycopg.connect(postgresql_database.replace("+psycopg", ""), autocommit=True) as connection:
        (name,) = connection.execute("select current_database()").fetchone() or ("",)
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
        connection.execute(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'serializable'")
    engine = open_engine(postgresql_database)
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "read committed"
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "2s"
    engine.dispose()


def test_a_slow_reader_of_the_record_is_not_cut_off(
    postgresql_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(postgresql_database)
    fill(engine, signer(tmp_path), 2000)
    engine.dispose()
    monkeypatch.setattr(database, "_IDLE_SECONDS", 0.1)
    with (
        psycopg.connect(postgresql_database.replace("+psycopg", "")) as other,
        source_of.database(postgresql_database) as source,
    ):
        rows = source.rows()
        assert next(rows)["n"] == 1
        other.execute("select pg_sleep(0.5)")
        assert [row["n"] for row in rows][-1] == 2000


def _record(url: str, place: Path) -> dict[str, Any]:
    signer(place)
    return {"database": url, "signing_key": place / "record.key"}


def test_a_head_that_somebody_holds_means_no_key(
    start: Start, sandbox: RunningSandbox, place: Path, postgresql_database: str
) -> None:
    mac, token = sandbox.device("NW-AKESSLER-14").id, sandbox.token("ada")
    with start(record=_record(postgresql_database, place)) as broker:
        with psycopg.connect(postgresql_database.replace("+psycopg", "")) as connection:
            connection.execute("select * from head for update")
            assert broker.release(token, mac).code == "record_unavailable"
            assert sandbox.requests("getFileVaultKey") == []
            connection.rollback()
        assert broker.release(token, mac).code == ""


# Letters that become two in lower case, and ones that become three in composed form.
@pytest.mark.parametrize("letters", ["İ" * 40, "\ufb2c" * 40, "\x00" * 40, "x" * 99], ids=ascii)
def test_an_invalid_id_is_refused_and_recorded(
    start: Start, sandbox: RunningSandbox, place: Path, postgresql_database: str, letters: str
) -> None:
    with start(record=_record(postgresql_database, place)) as broker:
        assert broker.release(sandbox.token("ada"), quote(letters)).code == "device_not_found"
        (row,) = broker.rows("release.refused")
        assert 0 < len(row["device_id"]) <= 36


def test_claims_that_grow_are_refused_and_recorded(
    start: Start, sandbox: RunningSandbox, place: Path, postgresql_database: str
) -> None:
    odd: dict[str, Any] = dict.fromkeys(("tid", "oid", "name", "preferred_username"), "İ" * 99)
    token = sandbox.token("ada", **odd, uti=None, iat=1e300, roles=["İ" * 99] * 4)
    with start(record=_record(postgresql_database, place)) as broker:
        assert problem_code(broker.ask("GET", "/v1/session", token)) == "token_tenant"
        (row,) = broker.rows("token.refused")
        assert row["outcome"] == "token_tenant"
        assert row["uti"].startswith("iat:1000")


async def test_one_entry_that_does_not_fit_takes_no_other_with_it(postgresql_database: str) -> None:
    limits = Limits((Limit.parse("1/hour"),), ())
    release = Entry(Event.INTENDED, oid="o", device_id="d", release_id="r")
    record = Record(postgresql_database, ManualClock())
    with record.running():
        free = threading.Event()
        record._writer.submit(free.wait, 30)
        others = [record.add(Entry(Event.SESSION_OPENED, oid=str(number))) for number in range(5)]
        unfit = record.intend(replace(release, device_id="d" * 37), limits)
        asked = [*others[:3], unfit, record.intend(release, limits), *others[3:], record.intend(release, limits)]
        waiting = asyncio.gather(*asked, return_exceptions=True)
        await asyncio.sleep(0)
        free.set()
        came = await asyncio.wait_for(waiting, 20)
        await record.check()
    kinds = [type(one) for one in came]
    assert kinds == [*[type(None)] * 3, RecordUnavailable, *[type(None)] * 3, PersonLimit]
    written = rows(postgresql_database)
    assert [row["n"] for row in written] == list(range(1, len(written) + 1))
    assert [row["oid"] for row in written] == ["", "0", "1", "2", "o", "3", "4", ""]


def test_connections_that_are_cut_are_made_again(
    start: Start, sandbox: RunningSandbox, place: Path, postgresql_database: str
) -> None:
    mac, token = sandbox.device("NW-AKESSLER-14").id, sandbox.token("ada")
    with start(record=_record(postgresql_database, place)) as broker:
        assert broker.release(token, mac).code == ""
        with psycopg.connect(postgresql_database.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        assert broker.release(token, mac).code == ""
    assert verdict(postgresql_database, place)["holds"]


def test_an_account_that_can_only_add(postgresql_database: str, tmp_path: Path) -> None:
    key = signer(tmp_path)

    def run(url: str) -> None:
        with Record(url, ManualClock(), signing=Signing(key)).running():
            pass

    run(postgresql_database)
    with psycopg.connect(postgresql_database.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("drop role if exists adder")
        connection.execute("create role adder login")
        connection.execute("grant select, insert on record, checkpoint to adder")
        connection.execute("grant select, update on head to adder")
        run(postgresql_database.replace("broker@", "adder@"))
        assert verdict(postgresql_database, tmp_path)["rows"] == 4
        assert verdict(postgresql_database.replace("broker@", "adder@"), tmp_path)["holds"]
        connection.execute("drop owned by adder")
        connection.execute("drop role adder")


def test_an_account_that_can_only_add_serves_a_sink(start: Start, place: Path, postgresql_database: str) -> None:
    sink = {"kind": "file", "url": f"file:{place / 'a'}", "mode": "required"}
    with start(record=_record(postgresql_database, place)):
        pass
    with (
        psycopg.connect(postgresql_database.replace("+psycopg", ""), autocommit=True) as connection,
        contextlib.ExitStack() as stack,
    ):
        connection.execute("drop role if exists sender")
        connection.execute("create role sender login")
        stack.callback(connection.execute, "drop role sender")
        stack.callback(connection.execute, "drop owned by sender")
        connection.execute("grant select, insert on record, checkpoint to sender")
        connection.execute("grant select, update on head to sender")
        connection.execute("grant select, insert, update on sink to sender")
        with start(record=_record(postgresql_database.replace("broker@", "sender@"), place), sinks=[sink]) as broker:
            rows = [row["n"] for row in broker.rows()]
    sent = [json.loads(line).get("n") for line in (place / "a").read_bytes().splitlines()]
    assert [n for n in sent if n] == [*rows, rows[-1] + 1]
