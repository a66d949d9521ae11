"""Faults that take more than a file: PostgreSQL, a full disk, a large record, a service that never answers."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import subprocess
from datetime import timedelta
from pathlib import Path

import msgspec
import psycopg
import pytest

from kiosk.broker.record.writer import open_record
from kiosk.checks import record
from kiosk.checks.database import database as check_database
from kiosk.checks.report import Report
from kiosk.checks.result import Finding, Level
from kiosk.clock import SystemClock
from kiosk.config.broker import BrokerConfig, RecordSettings
from kiosk.config.loading import load
from kiosk.process.exit_codes import EXIT_FAILED
from tests.support.broker import ROOT, MovedClock
from tests.support.checks import Installation
from tests.support.postgresql import MISSING, cluster, database, find_binaries
from tests.support.record import signer
from tests.support.terminal import KIOSK


def test_postgresql(healthy: Installation) -> None:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip(MISSING)
    with cluster(binaries) as server, database(server, "record") as url:
        signer(healthy.place, "fleet")
        healthy.broker["record"] |= {"database": url, "signing_key": str(healthy.place / "fleet.key")}
        healthy.write()
        results = healthy.results("broker")
        assert (results["database"].level, results["record"].level) == (Level.WARN, Level.FAIL)
        assert "holds no record yet" in results["database"].found
        with open_record(load(healthy.broker_toml, BrokerConfig), SystemClock()).running():
            pass
        results = healthy.results("broker")
        # Of device codes, a check always warns.
        assert [name for name, one in results.items() if one.level is not Level.PASS] == ["sign-in"]
        clock = MovedClock()
        clock.ahead = timedelta(minutes=2)
        finding = check_database(url, clock=clock)
        assert (finding.level, "120 s" in finding.found) == (Level.WARN, True), finding
        with psycopg.connect(server.replace("+psycopg", "", 1), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        result = healthy.results("broker")["database"]
        assert (result.level, result.fix) == (Level.FAIL, "set fsync = on there")
        with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
            # The trial was taken back.
            assert connection.execute("SELECT trials FROM head").fetchone() == (0,)


def test_a_disk_that_is_full(healthy: Installation) -> None:
    small = healthy.place / "small"
    small.mkdir(0o700)
    mount: list[str | Path] = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", small]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        file = small / "record.db"
        file.write_bytes(healthy.database.read_bytes())
        finding = check_database(f"sqlite:///{file}")
        assert finding.level is Level.FAIL
        assert "of space left" in finding.found
        assert f"free up space on the file system of {small}" in finding.fix
        assert f"{small} is on tmpfs" in finding.found
        with contextlib.suppress(OSError), (small / "filler").open("ab", buffering=0) as filler:
            while filler.write(b"\0" * 4096):
                pass
        assert "cannot be written: No space left" in check_database(f"sqlite:///{file}").found
    finally:
        subprocess.run(["umount", small], check=True)


def test_of_a_large_record_the_newest_rows_are_read(healthy: Installation) -> None:
    config = load(healthy.broker_toml, BrokerConfig)
    for _ in range(6):
        with open_record(config, SystemClock()).running():
            pass
    assert newest(config.record).found.startswith("the newest 5 of 15 rows hold; signed checkpoints: 5")
    with contextlib.closing(sqlite3.connect(healthy.database, isolation_level=None)) as connection:
        connection.execute("UPDATE record SET terminal = 'x' WHERE n = 3")
        assert newest(config.record).level is Level.PASS
        connection.execute("UPDATE record SET terminal = 'x' WHERE n = 13")
        assert "row 13 does not hold" in newest(config.record).found
        connection.execute("UPDATE record SET terminal = '' WHERE n = 13")
        connection.execute("UPDATE checkpoint SET note = replace(note, '\n13\n', '\n12\n') WHERE size = 13")
        assert "the checkpoint of row 13 does not hold" in newest(config.record).found
        connection.execute("DELETE FROM record WHERE n = 15")
        assert "row 14 is the last" in newest(config.record).found


def newest(settings: RecordSettings) -> Finding:
    return record.record(settings, None, whole=5)


def test_a_service_that_never_answers_is_not_waited_for(healthy: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        healthy.kiosk["device_code"]["authority"] = (
            f"https://localhost:{silent.getsockname()[1]}/{healthy.sandbox.tenant}"
        )
        healthy.write()
        ended = subprocess.run(
            [*KIOSK, "check", "--config", healthy.kiosk_toml, "--json"],
            capture_output=True, check=False, timeout=30, cwd=ROOT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    results = {one.name: one for one in msgspec.json.decode(ended.stdout, type=Report).results}
    assert ended.returncode == EXIT_FAILED
    assert "does not answer in TLS" in results["authority"].found
    assert results["device-code"].found.startswith("not checked")
    assert results["broker"].level is Level.PASS
