"""Play the failures of a fleet on one machine while people visit, and print what became of them.

    python -m tests.fleet.rehearsal [FAULT ...]

Without names, all faults are played, in about fifteen minutes. The exit code is 1 if a promise was broken.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fleet.databases import PROGRAMS, Machine
from tests.fleet.fleet import BROKERS, Broker, Fleet, fleet
from tests.fleet.programs import missing
from tests.fleet.verdict import Books, broken, unexported
from tests.fleet.visits import DEVICES, Crowd
from tests.support.postgresql import find_binaries

_PACKAGES = "etcd-server haproxy patroni postgresql python3-idna util-linux"
_VISITS_PER_SECOND = 1.5
_BEFORE_SECONDS = 2.0
_AFTER_SECONDS = 3.0
_BACK_SECONDS = 90.0
_ROW = "| {:<49} | {:>6} | {:>4} | {:>5} | {:<40} | {:>7} | {:>6} | {:>5} | {:<6} |"
_HEADS = ("fault", "visits", "keys", "limit", "refused otherwise", "longest", "back", "rows", "verify")
_KEYS = "*/getFileVaultKey"
# Some of the people come again and again.
_LIMITED = "limit_person"

Play = Callable[[Fleet], Awaitable[None]]
FAULTS: dict[str, tuple[str, Play]] = {}


def _fault(words: str) -> Callable[[Play], Play]:
    """Add a function that plays a fault, and heals it, to those that are rehearsed."""

    def add(play: Play) -> Play:
        FAULTS[play.__name__.strip("_").replace("_", "-")] = (words, play)
        return play

    return add


@_fault("nothing")
async def _nothing(_fleet: Fleet) -> None:
    await asyncio.sleep(10)


@_fault("a broker killed, three times")
async def _broker_killed(fleet: Fleet) -> None:
    for broker in fleet.brokers:
        broker.program.send(signal.SIGKILL)
        await asyncio.sleep(6)


@_fault("a broker frozen for 4 s, three times")
async def _broker_frozen_shortly(fleet: Fleet) -> None:
    for broker in fleet.brokers:
        broker.program.send(signal.SIGSTOP)
        await asyncio.sleep(4)
        broker.program.send(signal.SIGCONT)
        await asyncio.sleep(4)


@_fault("a broker frozen for 30 s")
async def _broker_frozen(fleet: Fleet) -> None:
    program = fleet.brokers[1].program
    program.send(signal.SIGSTOP)
    await asyncio.sleep(30)
    program.send(signal.SIGCONT)


@_fault("a broker cut off from the databases for 20 s")
async def _broker_cut_off(fleet: Fleet) -> None:
    wires = fleet.brokers[2].wires
    for wire in wires:
        wire.cut()
    await asyncio.sleep(20)
    for wire in wires:
        wire.mend()


@_fault("rolling restart of the brokers")
async def _rolling_restart(fleet: Fleet) -> None:
    for broker in fleet.brokers:
        await _restart(broker)
        await _until(lambda: fleet.serving("ready") == len(fleet.brokers))


async def _restart(broker: Broker) -> None:
    ends = len(broker.program.ends)
    broker.program.send(signal.SIGTERM)
    await _until(lambda: len(broker.program.ends) > ends)
    await _until(broker.ready)


@_fault("the balancer reloaded")
async def _balancer_reloaded(fleet: Fleet) -> None:
    for _ in range(2):
        fleet.balancer.send(signal.SIGUSR2)
        await asyncio.sleep(4)


@_fault("the balancer restarted")
async def _balancer_restarted(fleet: Fleet) -> None:
    await asyncio.to_thread(fleet.balancer.stop)
    fleet.balancer.start()


@_fault("PostgreSQL restarted on the primary")
async def _database_restarted(fleet: Fleet) -> None:
    await asyncio.to_thread(fleet.databases.restart, fleet.databases.primary())


@_fault("PostgreSQL killed on the primary")
async def _database_killed(fleet: Fleet) -> None:
    (server,) = fleet.databases.primary().server()
    server.kill()
    await asyncio.sleep(5)


@_fault("switchover to the synchronous standby")
async def _switchover(fleet: Fleet) -> None:
    await asyncio.to_thread(fleet.databases.switch_over)


@_fault("the primary loses power, and returns after 40 s")
async def _primary_lost(fleet: Fleet) -> None:
    await _gone(fleet, fleet.databases.primary())


@_fault("the primary's machine frozen for 40 s")
async def _primary_frozen(fleet: Fleet) -> None:
    await _frozen([fleet.databases.primary()], 40)


@_fault("the synchronous standby frozen for 25 s")
async def _standby_frozen(fleet: Fleet) -> None:
    await _frozen(fleet.databases.with_role("sync_standby"), 25)


@_fault("the other standby frozen for 25 s")
async def _spare_frozen(fleet: Fleet) -> None:
    await _frozen(fleet.databases.with_role("replica"), 25)


@_fault("all databases frozen for 15 s, a broker killed then")
async def _databases_frozen(fleet: Fleet) -> None:
    for machine in fleet.databases.machines:
        machine.freeze()
    await asyncio.sleep(3)
    fleet.brokers[0].program.send(signal.SIGKILL)
    await asyncio.sleep(12)
    for machine in fleet.databases.machines:
        machine.thaw()


@_fault("all databases lose power, a broker killed then")
async def _databases_lost(fleet: Fleet) -> None:
    for machine in fleet.databases.machines:
        await asyncio.to_thread(machine.lose_power)
    fleet.brokers[0].program.send(signal.SIGKILL)
    await asyncio.sleep(12)
    for machine in fleet.databases.machines:
        machine.start()


@_fault("etcd away on two of three machines for 30 s")
async def _etcd_lost(fleet: Fleet) -> None:
    machines = fleet.databases.machines[:2]
    for machine in machines:
        await asyncio.to_thread(machine.etcd.stop, signal.SIGKILL)
    await asyncio.sleep(30)
    for machine in machines:
        machine.etcd.start()


@_fault("Graph answers 429 to every key for 15 s")
async def _graph_throttles(fleet: Fleet) -> None:
    await _served(fleet, 15, _KEYS, "status", status=429, retry_after=60)


@_fault("Graph does not answer for a key for 15 s")
async def _graph_hangs(fleet: Fleet) -> None:
    await _served(fleet, 15, _KEYS, "hang")


@_fault("Entra ID answers 503 for tokens for 15 s")
async def _entra_refuses(fleet: Fleet) -> None:
    await _served(fleet, 15, "*/oauth2/v2.0/token", "status", status=503)


async def _gone(fleet: Fleet, machine: Machine) -> None:
    await asyncio.to_thread(machine.lose_power)
    await asyncio.sleep(40)
    machine.start()
    await _until(fleet.databases.complete)


async def _frozen(machines: list[Machine], seconds: float) -> None:
    for machine in machines:
        machine.freeze()
    await asyncio.sleep(seconds)
    for machine in machines:
        machine.thaw()


async def _served(fleet: Fleet, seconds: float, path: str, kind: str, **more: object) -> None:
    await asyncio.to_thread(fleet.sandbox.fault, path, kind, **more)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(fleet.sandbox.clear_faults)


async def _until(what: Callable[[], object]) -> bool:
    """Wait until it is so, for a minute and a half at most; returns whether it is."""
    until = time.monotonic() + _BACK_SECONDS
    while not await asyncio.to_thread(what):
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.2)
    return True


@dataclass
class Result:
    """The row of one fault, and the promises that were broken."""

    row: str
    broken: list[str]


async def rehearse(fleet: Fleet, crowd: Crowd, books: Books, words: str, play: Play) -> Result:
    """Play one fault while people visit. Returns once the fleet is whole again."""
    tally = crowd.new_tally()
    arrivals = asyncio.create_task(crowd.arrive(_VISITS_PER_SECOND))
    await asyncio.sleep(_BEFORE_SECONDS)
    await play(fleet)
    healed = time.monotonic()
    came_back = await _until(lambda: crowd.last_key > healed)
    back = crowd.last_key - healed
    problems = [] if came_back else ["no key was released any more"]
    problems += [f"{broker.name} stays away" for broker in fleet.brokers if not await _until(broker.ready)]
    if not await _until(fleet.databases.complete):
        problems.append(f"the databases are not complete: {fleet.databases.members()}")
    await asyncio.sleep(_AFTER_SECONDS)
    arrivals.cancel()
    await crowd.leave()
    said = await asyncio.to_thread(fleet.verify)
    problems += await asyncio.to_thread(broken, fleet, crowd, books, tally, said)
    rows = re.search(r"(\d+) rows", said)
    limited = tally.refused.pop(_LIMITED, 0)
    refused = ", ".join(f"{code} {count}" for code, count in tally.refused.most_common()) or "-"
    waits = (f"{tally.longest:.1f} s", f"{back:.1f} s")
    verdict = (rows[1] if rows else "?", said.partition(":")[0])
    row = _ROW.format(words, tally.visits, tally.keys, limited, refused, *waits, *verdict)
    for broker in fleet.brokers:
        # One that ended with a wrong configuration stays down; the next fault needs three.
        if not broker.program.runs():
            broker.program.start()
    return Result(row, [f"{words}: {problem}" for problem in problems])


async def _rehearse_all(place: Path, names: list[str]) -> int:
    """Start a fleet and play the faults; returns the exit code."""
    with contextlib.ExitStack() as stack:
        started = await asyncio.to_thread(stack.enter_context, fleet(place, tenant={"devices": DEVICES}))
        crowd, books = Crowd(started.kiosk, started.sandbox), Books(started)
        print(_ROW.format(*_HEADS))
        print(re.sub(r"[^|]", "-", _ROW.format(*[""] * len(_HEADS))), flush=True)
        results = [Result("", [f"no program exports {name}, which an alert watches" for name in unexported(started)])]
        for name in names:
            results.append(await rehearse(started, crowd, books, *FAULTS[name]))
            print(results[-1].row, flush=True)
        await asyncio.to_thread(stack.close)
    problems = [problem for result in results for problem in result.broken]
    print("\n".join(problems) or "no promise was broken")
    return int(bool(problems))


def main(names: list[str]) -> int:
    if unknown := [name for name in names if name not in FAULTS]:
        print(f"no such fault: {', '.join(unknown)}. There are: {', '.join(FAULTS)}")
        return 2
    if absent := missing(*PROGRAMS, "haproxy") or ("" if find_binaries() else "needs PostgreSQL"):
        print(f"{absent}. On Debian: apt-get install {_PACKAGES}")
        return 2
    print(f"{len(BROKERS)} brokers, {_VISITS_PER_SECOND} visits a second")
    with tempfile.TemporaryDirectory(prefix="kf") as name:
        return asyncio.run(_rehearse_all(Path(name), names or list(FAULTS)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
