"""Measure the releases of others while a crowd does its worst to the broker's https listener.

    python -m benchmarks.crowd [RELEASES]

Each line is a crowd of 300 connections without a token, or of 20 with one good token, beside the quiet of the same run.
Whenever the broker closes a connection, its place in the crowd connects again.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec

from benchmarks.figures import Figure, Topic
from kiosk.clock import SystemClock
from kiosk.models import ReleaseRequest
from kiosk.net.tls import tls_context
from kiosk.proof import Prover
from kiosk.secret import VisitKeys
from tests.support.broker import FromVisit, broker_config, broker_process
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.sockets import free_port

RELEASES = 20
ANONYMOUS, SIGNED_IN = 300, 20
_OTHERS = "127.0.0.9"
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
    "one good token": b"GET /v1/devices HTTP/1.1\r\nhost: b\r\nauthorization: Bearer %s\r\ndpop: %proof\r\n\r\n",
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
    count = SIGNED_IN if name == "one good token" else ANONYMOUS
    prover = Prover(VisitKeys(), SystemClock())

    def proof() -> str:
        return prover.proof("GET", "/v1/devices", token, b"")

    await asyncio.gather(*(_member(number, port, says, addresses, proof) for number in range(count)))


@contextlib.contextmanager
def _attacked(port: int, name: str, addresses: int, token: str) -> Iterator[None]:
    """Let a crowd loose, from a process of its own, until the block ends."""
    command = [sys.executable, "-m", "benchmarks.crowd", "crowd", str(port), name, str(addresses)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(token.encode() + b"\n")
        process.stdin.close()
        try:
            time.sleep(_SETTLE_SECONDS)
            yield
        finally:
            process.kill()


class Others:
    """A person at another address, who asks for a key in one visit after another."""

    def __init__(self, sandbox: RunningSandbox, url: str) -> None:
        self._sandbox = sandbox
        self._url = url
        self._device = sandbox.device("NW-AKESSLER-14").id
        self.failed = 0

    def release(self) -> float:
        """Return the milliseconds of one release, on a connection of its own."""
        token, keys = self._sandbox.token("ada"), VisitKeys()
        headers, visit = {"Content-Type": "application/json"}, FromVisit(token, keys)
        body = msgspec.json.encode(ReleaseRequest(public_key=keys.public_key))
        transport = httpx.HTTPTransport(verify=tls_context(self._sandbox.ca), local_address=_OTHERS)
        with httpx.Client(transport=transport, base_url=self._url, timeout=60, trust_env=False) as client:
            begun = time.perf_counter()
            try:
                client.post(
                    f"/v1/devices/{self._device}/release", content=body, headers=headers, auth=visit
                ).raise_for_status()
            except httpx.HTTPError:
                self.failed += 1
            return (time.perf_counter() - begun) * 1000


def measure(releases: int = RELEASES) -> Iterator[tuple[Topic, int]]:
    """Yield a table for a crowd at one address and one for a crowd at twenty, with the releases that failed."""
    with tempfile.TemporaryDirectory(prefix="kb") as folder, running_sandbox(Path(folder)) as sandbox:
        place, port = Path(folder), free_port()
        listen = {
            "url": f"https://localhost:{port}",
            "certificate": sandbox.directory / "server.pem",
            "key": sandbox.directory / "server-key.pem",
        }
        unlimited = {"per_person": (), "per_device": ()}
        config = broker_config(sandbox.directory, place, listen=listen, rules=unlimited)
        with broker_process(config, place, sandbox.ca):
            others = Others(sandbox, config.listen.url)
            others.release()
            for addresses in (1, 20):
                quiet = Figure("quiet", "ms")
                figures = [Figure(name, "ms") for name in CROWDS]
                for figure in figures:
                    quiet.values += [others.release() for _ in range(releases // 4)]
                    token = sandbox.token("priya") if figure.name == "one good token" else "e30.e30.e30"
                    with _attacked(port, figure.name, addresses, token):
                        figure.values += [others.release() for _ in range(releases)]
                where = "one address" if addresses == 1 else f"{addresses} addresses"
                yield Topic(f"A release, crowd at {where}", (quiet, *figures)), others.failed


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["crowd"]:
        port, name, addresses = arguments[1:]
        asyncio.run(_crowd(int(port), name, int(addresses), sys.stdin.readline().strip()))
        return
    for topic, failed in measure(*(int(word) for word in arguments[:1])):
        print("\n".join(topic.lines()))
        print(f"releases that failed so far: {failed}")


if __name__ == "__main__":
    main(sys.argv[1:])
