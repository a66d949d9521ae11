"""A small fleet from the files of deploy/fleet, and what these files promise to each other."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kiosk.broker.record.schema import METADATA, SIGN_IN, SIGN_IN_NAME, beside_the_record
from kiosk.config.broker import Rules
from kiosk.config.kiosk import BrokerAddress
from tests.fleet.fleet import Front, small_fleet
from tests.fleet.programs import DEPLOY, missing
from tests.fleet.verdict import LIMIT
from tests.fleet.visits import Crowd
from tests.support.broker import ROOT, wait_for
from tests.support.postgresql import MISSING, cluster, find_binaries

_DEVICES = 120


@pytest.fixture
def short_place() -> Iterator[Path]:
    """A folder with a short name: the path of a unix socket has a limit."""
    with tempfile.TemporaryDirectory(prefix="kf") as name:
        yield Path(name)


async def visits(crowd: Crowd, count: int) -> None:
    await asyncio.gather(*(crowd.visit() for _ in range(count)))


async def test_a_fleet_outlives_a_broker_and_says_why_it_cannot_serve(short_place: Path) -> None:
    if absent := missing("haproxy"):
        pytest.skip(absent)
    if not (binaries := find_binaries()):
        pytest.skip(MISSING)
    with contextlib.ExitStack() as server:
        database = server.enter_context(cluster(binaries))
        with small_fleet(short_place, database, tenant={"devices": _DEVICES}) as front:
            crowd = Crowd(front.kiosk, front.sandbox, _DEVICES)
            await visits(crowd, 4)
            assert all("event=session.opened" in broker.program.log() for broker in front.brokers)
            assert 'haproxy_backend_active_servers{proxy="ready"}' in "".join(front.metrics())
            front.brokers[0].program.stop(signal.SIGKILL)
            await visits(crowd, 2)
            assert crowd.tally.keys == crowd.tally.visits == 6, crowd.tally
            assert [one for one in crowd.opened if not one.right] == []
            assert front.verify().startswith("holds"), front.verify()
            speaks_only_tls(front)
            server.close()
            wait_for(lambda: front.serving("ready") == 0)
            assert front.serving("answering") == 1
            await visits(crowd, 1)
            assert crowd.tally.refused == {"record_unavailable": 1}
            assert crowd.tally.wordless == []


def speaks_only_tls(front: Front) -> None:
    """The balancer lets nothing through to a broker that is no TLS."""
    address = urlsplit(front.kiosk.broker.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as caller:
        caller.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert caller.recv(1) == b""


def test_brokers_get_every_credential_that_they_name() -> None:
    place = "/run/credentials/kiosk-broker.service/"
    named = set(re.findall(rf"{place}([\w-]+)", (DEPLOY / "broker.toml").read_text()))
    units = (DEPLOY / "kiosk-broker.service.conf").read_text()
    units += (ROOT / "deploy/broker/kiosk-broker.service").read_text()
    given = re.findall(r"^LoadCredentialEncrypted=([\w-]+):", units, re.MULTILINE)
    assert sorted(given) == sorted(named)


def test_the_balancer_outwaits_the_kiosk() -> None:
    text, _, metrics = (DEPLOY / "haproxy.cfg").read_text().partition("frontend metrics\n")
    waits = [int(seconds) for seconds in re.findall(r"^    timeout (?:client|server) (\d+)s$", text, re.MULTILINE)]
    assert len(waits) == 2
    assert min(waits) > BrokerAddress().total_seconds
    # Where requests pass as bytes, none can be repeated, and no page of the balancer can take the place of an answer.
    assert re.findall(r"^    mode (\w+)$", text, re.MULTILINE) == ["tcp"]
    assert "    mode http\n" in metrics


def test_the_rules_are_the_default_and_those_of_the_rehearsal() -> None:
    rules = tomllib.loads((DEPLOY / "broker.toml").read_text())["rules"]
    default = Rules()
    assert rules["per_person"] == [str(limit) for limit in default.per_person]
    assert rules["per_device"] == [str(limit) for limit in default.per_device]
    assert rules["per_person"][0] == f"{LIMIT}/hour"


def test_a_broker_may_use_every_table_and_change_none_of_the_rows() -> None:
    granted = re.findall(r"^GRANT (.+) ON (.+) TO kiosk_broker;$", (DEPLOY / "grants.sql").read_text(), re.MULTILINE)
    rights = {table: set(what.split(", ")) for what, tables in granted for table in tables.split(", ")}
    assert set(rights) == {*METADATA.tables, *(table.name for table in beside_the_record("postgresql"))}
    assert rights["record"] == rights["checkpoint"] == {"SELECT", "INSERT"}
    assert {table for table, what in rights.items() if "DELETE" in what} == {SIGN_IN.name, SIGN_IN_NAME.name}


def test_the_description_knows_every_file() -> None:
    words = (ROOT / "docs/fleet.md").read_text()
    for path in DEPLOY.iterdir():
        assert f"deploy/fleet/{path.name}" in words
        if path.suffix != ".sql":
            place = re.search(r"^# .*?(/etc/\S+)$", path.read_text().partition("\n")[0])
            assert place
            assert f"`{place[1]}`" in words
    assert set(re.findall(r"deploy/fleet/([\w.-]+\w)", words)) == {path.name for path in DEPLOY.iterdir()}
