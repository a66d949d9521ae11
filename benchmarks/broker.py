"""Compare releases through the broker with bare durable commits to the same disk.

    python -m benchmarks.broker [RELEASES]

A release is two rows of the record, each committed before the next step. It is compared with a pair of bare commits.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from kiosk.models import ReleaseRequest
from kiosk.net.http import UNIX_PREFIX
from kiosk.secret import VisitKeys
from tests.support.broker import FromVisit, broker_config, broker_process
from tests.support.sandbox import RunningSandbox, running_sandbox

CLIENTS = (1, 8, 64)
_RELEASES = 320
_ROWS_PER_RELEASE = 2


@dataclass(frozen=True)
class Level:
    """The results with this many clients at once."""

    clients: int
    per_second: float
    p50: float
    p99: float


async def _visit(client: httpx.AsyncClient, token: str, device: str, count: int) -> list[float]:
    """Read the same key repeatedly in one visit, and return the seconds of each release."""
    keys = VisitKeys()
    headers, visit = {"Content-Type": "application/json"}, FromVisit(token, keys)
    body = msgspec.json.encode(ReleaseRequest(public_key=keys.public_key))
    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        response = await client.post(f"/v1/devices/{device}/release", content=body, headers=headers, auth=visit)
        response.raise_for_status()
        taken.append(time.perf_counter() - begun)
    return taken


async def _level(socket: str, sandbox: RunningSandbox, clients: int, releases: int) -> Level:
    device = sandbox.device("NW-AKESSLER-14").id
    tokens = [sandbox.token("ada") for _ in range(clients)]
    transport = httpx.AsyncHTTPTransport(uds=socket, limits=httpx.Limits(max_connections=clients))
    async with httpx.AsyncClient(transport=transport, base_url="http://broker", timeout=60) as client:
        begun = time.perf_counter()
        visits = [_visit(client, token, device, max(1, releases // clients)) for token in tokens]
        taken = sorted(second for visit in await asyncio.gather(*visits) for second in visit)
        elapsed = time.perf_counter() - begun
    return Level(clients, len(taken) / elapsed, statistics.median(taken), taken[int(0.99 * (len(taken) - 1))])


def _bare_commits(folder: Path, releases: int) -> float:
    """Return pairs of bare durable commits per second: one connection, one row per commit."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE row (n INTEGER PRIMARY KEY, words TEXT)")
    begun = time.perf_counter()
    for _ in range(releases * _ROWS_PER_RELEASE):
        connection.execute("INSERT INTO row (words) VALUES (?)", ("x" * 400,))
    elapsed = time.perf_counter() - begun
    connection.close()
    return releases / elapsed


def main(releases: int = _RELEASES) -> None:
    with tempfile.TemporaryDirectory(prefix="kb") as name, running_sandbox(Path(name)) as sandbox:
        place = Path(name)
        unlimited = {"per_person": (), "per_device": ()}
        with broker_process(broker_config(sandbox.directory, place, rules=unlimited), place) as broker:
            socket = broker.config.listen.url.removeprefix(UNIX_PREFIX)
            asyncio.run(_level(socket, sandbox, 1, 8))
            heads = f"{'clients':>8} {'releases/s':>11} {'p50 ms':>8} {'p99 ms':>8}"
            print(f"{heads} {'bare pairs/s':>13} {'bare/broker':>12}")
            for clients in CLIENTS:
                level = asyncio.run(_level(socket, sandbox, clients, releases))
                bare = _bare_commits(Path(tempfile.mkdtemp(dir=place)), releases)
                print(
                    f"{clients:>8} {level.per_second:>11.1f} {level.p50 * 1000:>8.1f} {level.p99 * 1000:>8.1f}"
                    f" {bare:>13.0f} {bare / level.per_second:>12.1f}"
                )


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:2]))
