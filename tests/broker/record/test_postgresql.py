"""PostgreSQL for real: several broker processes on one database, and a server that goes away in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import trustme
from click.testing import CliRunner
from sqlalchemy import event

from kiosk.broker.audit import source as source_of
from kiosk.broker.record import time_limits
from kiosk.broker.record.checkpoints import Signing
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.record.writer import Limit, Limits, Record
from kiosk.checks.database import database as check_database
from kiosk.checks.result import Level
from kiosk.cli.main import cli
from kiosk.errors import ConfigError, PersonLimit, RecordUnavailable
from kiosk.secret import VisitKeys
from tests.broker.conftest import Start
from tests.broker.record.test_record import rows
from tests.support.broker import brokers, problem_code, wait_for
from tests.support.clock import ManualClock
from tests.support.postgresql import MISSING, TLS_ADDRESS, cluster, find_binaries, pgbouncer
from tests.support.record import fill, signer
from tests.support.sandbox import RunningSandbox

BROKERS = 3
AT_ONCE = 18
MOST = 4
RELEASE = Entry(Event.INTENDED, tid="t", oid="o", device_id="d", release_id="r")


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


@pytest.mark.parametrize(("told", "found"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")])
def test_a_transaction_brings_its_own_settings(postgresql_database: str, told: str, found: str) -> None:
    with psycopg.connect(postgresql_database.replace("+psycopg", ""), autocommit=True) as connection:
        (name,) = connection.execute("select current_database()").fetchone() or ("",)
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = {told}')
        connection.execute(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'serializable'")
    engine = open_engine(postgresql_database)
    with engine.begin() as connection:
        names = ["synchronous_commit", "transaction_isolation", "lock_timeout", "statement_timeout"]
        names.append("idle_in_transaction_session_timeout")
        shown = [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]
    assert shown == [found, "read committed", "2s", "5s", "1s"]
    engine.dispose()


def test_a_slow_reader_of_the_record_is_not_cut_off(
    postgresql_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(postgresql_database)
    fill(engine, signer(tmp_path), 2000)
    engine.dispose()
    monkeypatch.setattr(time_limits, "IDLE_SECONDS", 0.1)
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
    release = RELEASE
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


def plan(url: str, limits: Limits) -> list[dict[str, Any]]:
    """Return every node of the plan for the limits of one release, as the server makes it now."""
    engine = open_engine(url)
    asked: list[tuple[str, Any]] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _cursor, sql, values, *_: asked.append((sql, values)))
    with engine.connect() as connection:
        limits.check(connection, replace(RELEASE, oid="nobody"), ManualClock().utc(), 1_000_000)
        (found,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {asked[-1][0]}", asked[-1][1]).scalar()  # type: ignore[misc]
    engine.dispose()
    nodes = [found["Plan"]]
    for node in nodes:
        nodes += node.get("Plans", [])
    return nodes


@pytest.mark.parametrize("analysed", ["before", "after"])
def test_refusals_do_not_change_how_limits_are_counted(postgresql_database: str, analysed: str, tmp_path: Path) -> None:
    engine = open_engine(postgresql_database, limited=False)
    fill(engine, signer(tmp_path), 1000)
    engine.dispose()
    with psycopg.connect(postgresql_database.replace("+psycopg", ""), autocommit=True) as connection:
        # Statistics that know of no refusal, as after a quiet year; or of many.
        if analysed == "before":
            connection.execute("analyze record")
        connection.execute(
            "insert into record select (jsonb_populate_record(record, jsonb_build_object('n', n + 100000, 'event',"
            " 'release.refused', 'release_id', 'x' || n))).* from record where n <= 500"
        )
        if analysed == "after":
            connection.execute("analyze record")
        connection.execute("alter table record set (autovacuum_enabled = off)")
    limits = Limits(
        (Limit.parse("3/hour"), Limit.parse("10/day")), (Limit.parse("5/day"),), (), (Limit.parse("9000/day"),)
    )
    nodes = plan(postgresql_database, limits)
    assert not any("Join Type" in node for node in nodes)
    counted = [below for node in nodes if node["Node Type"] == "Aggregate" for below in node["Plans"]]
    assert [below.get("Index Name") for below in counted] == ["record_by_release"] * 4


@pytest.mark.skipif(not shutil.which("pgbouncer", path="/usr/sbin:/usr/bin"), reason="no PgBouncer here")
@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_pgbouncer_may_give_each_transaction_another_connection(postgresql_database: str, mode: str) -> None:
    with pgbouncer(postgresql_database, mode) as url, contextlib.ExitStack() as stack:
        # In a session pool, a connection stays with its client.
        records = [Record(url, ManualClock()) for _ in range(3 if mode == "transaction" else 1)]
        for one in records:
            stack.enter_context(one.running())
            wait_for(one._clock.waiting)  # type: ignore[attr-defined]
        limits = Limits((Limit.parse("5/hour"),))
        for turn in range(6):
            releases = [replace(RELEASE, release_id=f"{turn} {number}") for number in range(len(records))]
            asked = [one.intend(release, limits) for one, release in zip(records, releases, strict=True)]
            await asyncio.gather(*asked, *(one.check() for one in records), return_exceptions=True)
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            # What a transaction brought along has gone with it.
            assert connection.execute("show lock_timeout").fetchone() == ("0",)
    written = rows(postgresql_database)
    assert [row["n"] for row in written] == list(range(1, len(written) + 1))
    assert [row["event"] for row in written].count("release.intended") == 5
    assert [row["event"] for row in written].count("broker.stopped") == len(records)


def test_an_index_is_made_while_a_broker_writes(postgresql_database: str) -> None:
    with Record(postgresql_database, ManualClock()).running():
        pass
    plain = postgresql_database.replace("+psycopg", "")

    def start() -> None:
        clock = ManualClock()
        with Record(postgresql_database, clock).running():
            wait_for(clock.waiting)

    with (
        psycopg.connect(plain) as writer,
        psycopg.connect(plain, autocommit=True) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        other.execute("drop index record_by_time")
        # A broker in the middle of a transaction: it has the head, and will add a row.
        writer.execute("select * from head for update")
        started = pool.submit(start)
        waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        wait_for(lambda: (other.execute(waits).fetchone() or (0,))[0])
        writer.execute(
            "insert into record select (jsonb_populate_record(r, '{\"n\": 99}')).* from record r where n = 1"
        )
        writer.rollback()
        started.result(30)
        found = other.execute(
            "select indisvalid from pg_index where indexrelid = 'record_by_time'::regclass"
        ).fetchone()
        assert found == (True,)


def test_an_index_that_is_being_made_does_not_delay_the_stop(postgresql_database: str) -> None:
    with Record(postgresql_database, ManualClock()).running():
        pass
    plain = postgresql_database.replace("+psycopg", "")
    building = "select count(*) from pg_stat_progress_create_index where datname = current_database()"
    valid = "select count(*) from pg_index where indexrelid = to_regclass('record_by_time') and indisvalid"
    with psycopg.connect(plain) as reader, psycopg.connect(plain, autocommit=True) as other:
        other.execute("drop index record_by_time")
        # The server waits for the end of this one before it finishes the index.
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("select count(*) from record")
        with Record(postgresql_database, ManualClock()).running():
            wait_for(lambda: other.execute(building).fetchone() == (1,))
        assert other.execute(valid).fetchone() == (0,)
        reader.rollback()
        wait_for(lambda: other.execute(valid).fetchone() == (1,))


def test_an_index_that_was_left_half_made_is_made(postgresql_database: str) -> None:
    with Record(postgresql_database, ManualClock()).running():
        pass
    with psycopg.connect(postgresql_database.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("update pg_index set indisvalid = false where indexrelid = 'record_by_time'::regclass")
        clock = ManualClock()
        with Record(postgresql_database, clock).running():
            wait_for(clock.waiting)
        found = connection.execute("select indisvalid from pg_index where indexrelid = 'record_by_time'::regclass")
        assert found.fetchone() == (True,)


def test_what_was_left_open_is_looked_for_before_the_head_is_locked(postgresql_database: str) -> None:
    asked: list[str] = []
    record = Record(postgresql_database, ManualClock())
    with record.running():
        event.listen(record.engine, "before_cursor_execute", lambda _c, _cursor, sql, *_: asked.append(sql))
        record._writer.submit(record._transaction, record._ledger.keep_house).result(30)
    scan = next(number for number, sql in enumerate(asked) if "NOT (EXISTS" in sql)
    assert scan < next(number for number, sql in enumerate(asked) if "FOR UPDATE" in sql)


def test_a_password_file_and_a_verified_certificate(tmp_path: Path) -> None:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip(MISSING)
    authority, passwords = trustme.CA(), tmp_path / "passwords"
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    passwords.write_text(f"{TLS_ADDRESS}:5432:postgres:broker:hunter2\n")
    passwords.chmod(0o600)
    with cluster(binaries, tls=authority) as server:
        with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("alter role broker password 'hunter2'")
        start = f"postgresql+psycopg://broker@{TLS_ADDRESS}/postgres?sslmode=verify-full&sslrootcert={tmp_path}"
        url = f"{start}/ca.pem&passfile={passwords}"
        with Record(url, ManualClock()).running():
            pass
        assert check_database(url).level is Level.PASS
        for wrong in (f"{start}/other.pem&passfile={passwords}", f"{start}/ca.pem&passfile=/nowhere"):
            finding = check_database(wrong)
            assert finding.level is Level.FAIL, finding
            assert "hunter2" not in finding.found


@pytest.mark.parametrize("bad", ["no_such_option=1", "host=a,b&port=1,2,3"])
def test_an_address_with_options_that_do_not_exist_is_refused(bad: str) -> None:
    with pytest.raises(ConfigError, match=r"record\.database: expected"):
        open_engine(f"postgresql+psycopg://broker@h/record?{bad}")


@pytest.mark.parametrize("spelled", ["host=a:5441,b:5442", "host=a:5441&host=b:5442"])
def test_an_address_may_name_several_hosts(spelled: str) -> None:
    engine = open_engine(f"postgresql+psycopg://broker@/record?{spelled}")
    _, options = engine.dialect.create_connect_args(engine.url)
    found = [options[name] for name in ("host", "port", "target_session_attrs")]
    assert found == ["a,b", "5441,5442", "read-write"]
