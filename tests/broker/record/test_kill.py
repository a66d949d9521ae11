"""The broker is killed repeatedly in the middle of releases. At any moment, the record is correct."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from kiosk.config.broker import BrokerConfig
from kiosk.secret import VisitKeys
from tests.support.broker import (
    ROOT,
    MovedClock,
    RunningBroker,
    broker_config,
    broker_process,
    running_broker,
    wait_for,
)
from tests.support.record import signer
from tests.support.sandbox import RunningSandbox

MACS = [("ada", "NW-AKESSLER-14"), ("ada", "NW-AKESSLER-MINI"), ("jonas", "NW-JBRANDT-AIR"), ("priya", "NW-PRAMAN-16")]
IN_FLIGHT = 8
LONGEST_LIFE = 0.4
LACKING = ["release.refused record_unavailable", "release.refused sink_unavailable"]
ENDS = [["release.done ok"], ["release.closed unknown"], *([one] for one in LACKING)]
ENDS += [["release.done ok", one] for one in LACKING]


def release(broker: RunningBroker, token: str, device_id: str) -> str:
    """Ask for a release, and return its id if the key arrived; empty otherwise."""
    try:
        answer = broker.release(token, device_id, keys=VisitKeys())
    except httpx.HTTPError:
        return ""
    return "" if answer.code else str(answer.response.json()["release_id"])


def live_and_die(broker: RunningBroker, sandbox: RunningSandbox, luck: random.Random) -> set[str]:
    """Begin several releases, kill the broker soon after, and return the releases whose keys arrived."""
    order = [luck.choice(MACS) for _ in range(IN_FLIGHT)]
    tokens = [sandbox.token(person) for person, _ in order]
    after_the_first, moment = luck.random() < 0.5, luck.uniform(0, LONGEST_LIFE)
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        asked: list[Future[str]] = [
            pool.submit(release, broker, token, sandbox.device(name).id)
            for token, (_, name) in zip(tokens, order, strict=True)
        ]
        if after_the_first:
            # Some answers must arrive first, however slow the machine is.
            wait(asked, timeout=30, return_when=FIRST_COMPLETED)
            moment /= 8
        time.sleep(moment)
        os.kill(broker.pid, signal.SIGKILL)
    return {future.result() for future in asked} - {""}


def die_while_a_key_is_fetched(config: BrokerConfig, place: Path, sandbox: RunningSandbox) -> None:
    """Kill the broker at a known moment: the intention is written and Graph has been asked, nothing more."""
    sandbox.fault("*/getFileVaultKey", "delay", seconds=3)
    with broker_process(config, place) as broker, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(release, broker, sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id)
        wait_for(lambda: sandbox.requests("getFileVaultKey"))
        os.kill(broker.pid, signal.SIGKILL)
        assert asked.result() == ""
    assert [row["event"] for row in broker.rows("release")] == ["release.intended"]
    sandbox.clear_faults()
    sandbox.clear_requests()


def handed_out(sandbox: RunningSandbox) -> Counter[str]:
    """Return how many keys the sandbox was asked for, by device."""
    return Counter(request["path"].split("/")[-2].lower() for request in sandbox.requests("getFileVaultKey"))


def intended(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(row["device_id"] for row in rows if row["event"] == "release.intended")


def delivered(file: Path) -> list[dict[str, Any]]:
    """Return the rows that a sink received, without duplicates."""
    rows = {}
    for line in file.read_bytes().split(b"\n"):
        # A line that was torn by a kill was sent again.
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            rows[row.get("n")] = row
    return [row for number, row in sorted(rows.items(), key=lambda item: item[0] or 0) if number]


@pytest.mark.timeout(3600)
def test_killed_at_any_moment(sandbox: RunningSandbox, place: Path, url: str, pytestconfig: pytest.Config) -> None:
    signer(place)
    kills, luck = int(pytestconfig.getoption("--kills")), random.Random(4711)
    config = broker_config(
        sandbox.directory,
        place,
        sinks=[{"kind": "file", "url": f"file:{place / 'sink'}", "mode": "required"}],
        graph={"read_seconds": 30},
        record={"database": url, "signing_key": place / "record.key"},
        rules={"per_person": (), "per_device": ()},
    )
    die_while_a_key_is_fetched(config, place, sandbox)
    sandbox.fault("*/getFileVaultKey", "delay", seconds=0.05)
    arrived: set[str] = set()
    asked: Counter[str] = Counter()
    for _ in range(kills - 1):
        with broker_process(config, place) as broker:
            arrived |= live_and_die(broker, sandbox, luck)
        # No key without an intention, after every kill and not only at the end.
        asked += handed_out(sandbox)
        sandbox.clear_requests()
        assert asked <= intended(broker.rows())
        assert asked <= intended(delivered(place / "sink"))
    # On a database that brokers share, what a crash left open is closed when none of them can be at work on it.
    clock = MovedClock()
    clock.ahead = timedelta(minutes=11)
    with running_broker(config, clock) as broker:
        pass
    rows = broker.rows()
    assert [row["n"] for row in rows] == list(range(1, len(rows) + 1))
    assert len([row for row in rows if row["event"] == "broker.started"]) == kills + 1
    begun = {row["release_id"] for row in rows if row["event"] == "release.intended"}
    done = {row["release_id"] for row in rows if row["event"] == "release.done"}
    unknown = [row["release_id"] for row in rows if row["event"] == "release.closed"]
    outcomes: dict[str, list[str]] = {}
    for row in rows:
        if row["event"] in {"release.done", "release.refused", "release.closed"}:
            outcomes.setdefault(row["release_id"], []).append(f"{row['event']} {row['outcome']}")
    # A request that was refused before its release began was refused because record or sink failed.
    assert [
        said for one, said in outcomes.items() if one not in begun and said not in [[code] for code in LACKING]
    ] == []
    # Every one that was begun has one outcome, and only one; but for a sealed key that was thrown away in the end, as
    # the sink did not confirm in time.
    assert [said for one, said in outcomes.items() if one in begun and said not in ENDS] == []
    assert begun <= set(outcomes)
    # What arrived is among those that are done, and was not taken back.
    assert all(outcomes[one] == ["release.done ok"] for one in arrived)
    # Otherwise the moments of the kills prove nothing.
    assert arrived
    assert unknown
    # The required sink has every row, and rows that it received twice after a kill are equal.
    assert delivered(place / "sink")[: len(rows)] == rows
    lacking = Counter(one for said in outcomes.values() for one in said if one in LACKING)
    print(
        f"{kills} kills: {len(begun)} intended, {len(done)} done, {len(arrived)} arrived, {len(unknown)} unknown",
        lacking,
    )
    public_key = str(place / "record.pub")
    command = ["audit", "verify", "--config", str(place / "broker.toml"), "--public-key", public_key]
    verified = subprocess.run(
        [sys.executable, "-m", "kiosk", *command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
