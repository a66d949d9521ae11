"""A server in the broker's place: a broker of another version, a proxy, or one that damages its answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeAlias

import msgspec

from kiosk.clock import SystemClock
from kiosk.errors import PROBLEM_TYPE, new_reference
from kiosk.models import Device, Devices, Person, Problem, ReasonRule, Release, Session
from kiosk.net.http import UNIX_PREFIX

MAC = Device(
    id="00000000-0000-0000-0000-000000000001",
    name="NW-OTHER",
    model="MacBook Air",
    serial="C02XK1ABJG5H",
    os="macOS",
    os_version="26.1",
    last_seen=None,
)
_PERSON = Person(tid="t", oid="o", name="Ada Kessler", address="ada.kessler@nordwind.example")

Answer: TypeAlias = Callable[[], tuple[int, bytes]]


class OtherBroker:
    """Answers every token with the same person and Mac. ``release`` is the answer to a release request."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.release: Answer = self.foreign

    def foreign(self) -> tuple[int, bytes]:
        """Return a proxy's page."""
        return 200, b"<html>Please sign in to the network</html>"

    def damaged(self) -> tuple[int, bytes]:
        """Return a release that cannot be opened."""
        release = Release(release_id="r", device_id=MAC.id, sealed=bytes(1200), deadline=SystemClock().utc())
        return 200, msgspec.json.encode(release)

    def newer(self) -> tuple[int, bytes]:
        """Return a refusal with a code that this version does not know."""
        code = f"{PROBLEM_TYPE}of_a_newer_broker"
        return 503, msgspec.json.encode(Problem(type=code, title="New", status=503, reference=new_reference()))

    def _answer(self, path: str) -> tuple[int, bytes]:
        if path.endswith("/session"):
            return 200, msgspec.json.encode(Session(person=_PERSON, reason=ReasonRule.OFF, version="9"))
        return self.release() if path.endswith("/release") else (200, msgspec.json.encode(Devices(devices=(MAC,))))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, then close the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
        lengths = [line.partition(":")[2] for line in head.splitlines() if line.lower().startswith("content-length:")]
        await reader.readexactly(int(lengths[0]) if lengths else 0)
        status, body = self._answer(head.split()[1])
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (status, len(body)) + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def other_broker(socket: Path) -> AsyncIterator[OtherBroker]:
    """Serve an OtherBroker on a unix socket."""
    other = OtherBroker(f"{UNIX_PREFIX}{socket}")
    async with await asyncio.start_unix_server(other.serve, socket):
        yield other
