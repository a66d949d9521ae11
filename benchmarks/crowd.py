"""Measure the releases of others while a crowd does its worst to the broker's https listener.

    python -m benchmarks.crowd [RELEASES [CROWD ...]]

A crowd is 300 connections without a token, or 20 with one valid token; the line above it is measured in turns with it,
without the crowd. Whenever the broker closes a connection, its place in the crowd connects again. The broker has its
default limits. Crowd, broker, sandbox and people share the processors of this machine: the table says how much of a
core each used, and for how much of the time the broker waited for one. The last column leaves that out.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import ssl
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx
import msgspec

from kiosk.clock import SystemClock
from kiosk.config.broker import LimitSettings
from kiosk.models import ReleaseRequest
from kiosk.net.tls import tls_context
from kiosk.proof import Prover
from kiosk.sandbox.tenant.generate import grow
from kiosk.secret import VisitKeys
from tests.support.broker import FromVisit, broker_config, broker_process
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.sockets import free_port

RELEASES = 20
_TURNS = 2
ANONYMOUS, SIGNED_IN = 300, 20
_OTHERS = "127.0.0.9"
# Enough for people who ask for a key once in a while.
_DEVICES = 400
# Between the end of a connection and the next one in its place.
_PAUSE_SECONDS = 0.1
_SETTLE_SECONDS = 2.0

# What each connection says once TLS is up; None says nothing at all, not even a handshake.
CROWDS: dict[str, bytes | None] = {
    "silent": None,
    "silent after the handshake": b"",
    "half a head": b"GET /readyz HTTP/1.1\r\nhost: b\r\n",
    "half a body": b"POST /v1/releases/x/lost HTTP/1.1\r\nhost: b\r\ncontent-type: application/json\r\n"
    b"content-length: 99\r\n\r\n{",
    "readyz": b"GET /readyz HTTP/1.1\r\nhost: b\r\n\r\n",
    "lost": b"POST /v1/releases/%s/lost HTTP/1.1\r\nhost: b\r\ncontent-type: application/json\r\n"
    b'content-length: 17\r\n\r\n{"how":"crashed"}',
    "bad tokens": b"GET /v1/session HTTP/1.1\r\nhost: b\r\nauthorization: Bearer %s\r\n\r\n",
    "one valid token": b"GET /v1/devices HTTP/1.1\r\nhost: b\r\nauthorization: Bearer %s\r\ndpop: %proof\r\n\r\n",
}


async def _member(number: int, port: int, says: bytes | None, addresses: int, proof: Callable[[], str]) -> None:
    """Be one of the crowd: connect, say it again and again, and connect again."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    source = f"127.0.{1 + number % addresses}.1"
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            tls = None if says is None else context
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0), ssl=tls)
            try:
                while says:
                    said = says.replace(b"/%s/", b"/%s/" % str(uuid.uuid4()).encode())
                    writer.write(said.replace(b"%proof", proof().encode()) if b"%proof" in said else said)
                    await reader.readuntil(b"\r\n\r\n")
                await reader.read()
            finally:
                writer.transport.abort()
        await asyncio.sleep(_PAUSE_SECONDS)


async def _crowd(port: int, name: str, addresses: int, token: str) -> None:
    says = CROWDS[name]
    if says:
        says = says.replace(b"Bearer %s", b"Bearer %s" % token.encode())
    count = SIGNED_IN if name == "one valid token" else ANONYMOUS
    prover = Prover(VisitKeys(), SystemClock())

    def proof() -> str:
        return prover.proof("GET", "/v1/devices", token, b"")

    await asyncio.gather(*(_member(number, port, says, addresses, proof) for number in range(count)))


@contextlib.contextmanager
def _attacked(port: int, name: str, addresses: int, token: str) -> Iterator[int]:
    """Let a crowd loose, from a process of its own, until the block ends. Yields its process id."""
    command = [sys.executable, "-m", "benchmarks.crowd", "crowd", str(port), name, str(addresses)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(token.encode() + b"\n")
        process.stdin.close()
        try:
            time.sleep(_SETTLE_SECONDS)
            yield process.pid
        finally:
            process.kill()


class Others:
    """People at another address: one after the other signs in and asks for the key of their Mac."""

    def __init__(self, sandbox: RunningSandbox, url: str) -> None:
        self._sandbox = sandbox
        self._url = url
        grow(sandbox.data, _DEVICES, 1, SystemClock().utc())
        macs = [device for device in sandbox.data.devices() if device.key and device.user]
        people = {device.user: device for device in macs if _is_made_up(sandbox, device.user)}
        self._next = itertools.cycle(people.items())
        self.failed = 0

    def release(self) -> float:
        """Return the milliseconds of one release, on a connection of its own."""
        person, device = next(self._next)
        token, keys = self._sandbox.token(person), VisitKeys()
        headers, visit = {"Content-Type": "application/json"}, FromVisit(token, keys)
        body = msgspec.json.encode(ReleaseRequest(public_key=keys.public_key))
        transport = httpx.HTTPTransport(verify=tls_context(self._sandbox.ca), local_address=_OTHERS)
        with httpx.Client(transport=transport, base_url=self._url, timeout=60, trust_env=False) as client:
            begun = time.perf_counter()
            try:
                client.post(
                    f"/v1/devices/{device.id}/release", content=body, headers=headers, auth=visit
                ).raise_for_status()
            except httpx.HTTPError as error:
                print(f"failed: {error!r}", file=sys.stderr)
                self.failed += 1
            return (time.perf_counter() - begun) * 1000


def _is_made_up(sandbox: RunningSandbox, oid: str) -> bool:
    person = sandbox.data.person(oid)
    return person is not None and person.address.startswith("user")


@dataclass
class Programs:
    """The broker, the sandbox, the people (this process) and a crowd, and what they do to each other's processors."""

    broker: int
    sandbox: int

    @contextlib.contextmanager
    def measured(self, phase: Phase, crowd: int = 0) -> Iterator[None]:
        """Add to a phase what was used during the block."""
        pids = (self.broker, self.sandbox, os.getpid(), *([crowd] if crowd else []))
        begun, before = time.monotonic(), [_scheduled(pid) for pid in pids]
        yield
        phase.seconds += time.monotonic() - begun
        after = [_scheduled(pid) for pid in pids]
        for place, ((ran, waited), (ran_before, waited_before)) in enumerate(zip(after, before, strict=True)):
            phase.ran[place] += ran - ran_before
            phase.waited[place] += waited - waited_before


@dataclass
class Phase:
    """Releases while something else goes on: how long each took, and who had a processor meanwhile."""

    milliseconds: list[float] = field(default_factory=list)
    seconds: float = 0.0
    ran: list[float] = field(default_factory=lambda: [0.0] * 4)
    waited: list[float] = field(default_factory=lambda: [0.0] * 4)

    @property
    def median(self) -> float:
        return median(self.milliseconds)

    @property
    def without_waiting(self) -> float:
        """The median without the share of the time in which the broker waited for a processor."""
        return self.median * max(0.0, 1 - self.waited[0] / self.seconds)

    def cells(self) -> str:
        """Return median and maximum, the four shares of a core, and the share of the time that the broker waited."""
        shares = [100 * ran / self.seconds for ran in self.ran]
        waited = 100 * self.waited[0] / self.seconds
        times = f"{self.median:>8.0f}{max(self.milliseconds):>8.0f}"
        return times + "".join(f"{share:>9.0f}" for share in (*shares, waited))


_SHARES = ("broker", "sandbox", "people", "crowd", "waited")
_HEADING = (
    f"{'crowd':<28}{'n':>4}{'median':>8}{'max':>8}{''.join(f'{name:>9}' for name in _SHARES)}{'x':>8}{'x alone':>8}"
)


def _scheduled(pid: int) -> tuple[float, float]:
    """Return for how many seconds a process had a processor, and for how many its main thread waited for one."""
    ran = sum(_nanoseconds(thread)[0] for thread in Path(f"/proc/{pid}/task").iterdir())
    return ran / 1e9, _nanoseconds(Path(f"/proc/{pid}"))[1] / 1e9


def _nanoseconds(thread: Path) -> tuple[int, int]:
    ran, waited, _ = (int(field) for field in (thread / "schedstat").read_text().split())
    return ran, waited


def measure(releases: int = RELEASES, names: Sequence[str] = tuple(CROWDS)) -> Iterator[str]:
    """Yield the lines of a table for a crowd at one address, and of one for a crowd at twenty."""
    tenant = {"devices": _DEVICES}
    with tempfile.TemporaryDirectory(prefix="kb") as folder, running_sandbox(Path(folder), tenant=tenant) as sandbox:
        place, port = Path(folder), free_port()
        listen = {
            "url": f"https://localhost:{port}",
            "certificate": sandbox.directory / "server.pem",
            "key": sandbox.directory / "server-key.pem",
        }
        unlimited = {"per_person": (), "per_device": ()}
        default = msgspec.to_builtins(LimitSettings())
        config = broker_config(sandbox.directory, place, listen=listen, rules=unlimited, limits=default)
        with broker_process(config, place, sandbox.ca) as broker:
            others, programs = Others(sandbox, config.listen.url), Programs(broker.pid, sandbox.pid)
            others.release()
            for addresses in (1, 20):
                where = "one address" if addresses == 1 else f"{addresses} addresses"
                yield from ("", f"Milliseconds of a release and % of a core, crowd at {where}", _HEADING)
                for name in names:
                    token = sandbox.token("priya") if name == "one valid token" else "e30.e30.e30"
                    yield from _measured(others, programs, releases, (port, name, addresses, token))
                yield f"releases that failed so far: {others.failed}"


def _measured(others: Others, programs: Programs, releases: int, crowd: tuple[int, str, int, str]) -> Iterator[str]:
    """Measure in turns without and with the crowd, so that both have the same neighbours on the machine."""
    quiet, attacked = Phase(), Phase()
    for _ in range(_TURNS):
        with programs.measured(quiet):
            quiet.milliseconds += [others.release() for _ in range(releases // _TURNS)]
        with _attacked(*crowd) as pid, programs.measured(attacked, pid):
            attacked.milliseconds += [others.release() for _ in range(releases // _TURNS)]
    ratio = attacked.median / quiet.median
    alone = attacked.without_waiting / quiet.without_waiting
    yield f"{'  without it':<28}{len(quiet.milliseconds):>4}{quiet.cells()}"
    yield f"{crowd[1]:<28}{len(attacked.milliseconds):>4}{attacked.cells()}{ratio:>8.2f}{alone:>8.2f}"


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["crowd"]:
        port, name, addresses = arguments[1:]
        asyncio.run(_crowd(int(port), name, int(addresses), sys.stdin.readline().strip()))
        return
    for line in measure(int(arguments[0]) if arguments else RELEASES, arguments[1:] or tuple(CROWDS)):
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
