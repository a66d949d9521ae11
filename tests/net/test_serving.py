"""The server under peers that hold connections, say half of something, or come in crowds; over real sockets and TLS."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kiosk.net.connections import Acceptor, Closed, ConnectionLimits, Phase, address_of, trust
from kiosk.net.server_tls import Tls
from kiosk.net.serving import Draining, Server, limited_log
from kiosk.sandbox.certificates import make_certificates
from tests.support.clock import ManualClock
from tests.support.time_limit import TimeLimit

LIMITS = ConnectionLimits(connections=6, per_address=3)
GET = b"GET / HTTP/1.1\r\nhost: b\r\n\r\n"
TRUSTED = GET.replace(b"GET /", b"GET /trusted")
WAIT = GET.replace(b"GET /", b"GET /wait")
LARGE = GET.replace(b"GET /", b"GET /large")
POST = b"POST / HTTP/1.1\r\nhost: b\r\ncontent-length: 10\r\n\r\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """Return a certificate for localhost and its key."""
    place = tmp_path_factory.mktemp("tls")
    made = make_certificates(datetime.now(UTC))
    made.server.private_key_and_cert_chain_pem.write_to_path(place / "server.pem")
    return Tls(place / "server.pem", place / "server.pem")


@dataclass
class App:
    """Answers every request: at once, when told, or with more than a socket holds."""

    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    answered: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while scope["path"] != "/late-wait" and (await receive()).get("more_body"):
            pass
        if scope["path"] in {"/trusted", "/wait"}:
            trust(scope)
        if scope["path"].endswith("wait"):
            await self.go_on.wait()
        body = b"x" * (8_000_000 if scope["path"] == "/large" else 2)
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self.answered += 1


@dataclass
class Peer:
    """One connection of a client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def says(self, words: bytes) -> None:
        self.writer.write(words)
        await self.writer.drain()

    async def status(self) -> int:
        """Read one answer, and return its status."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await self.reader.readexactly(int(length.partition(b":")[2]))
        return int(head.split(b" ")[1])

    async def asks(self, words: bytes = GET) -> int:
        await self.says(words)
        return await self.status()

    async def is_closed(self) -> bool:
        """Wait for the end of the connection, whatever comes before it."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while await self.reader.read(1 << 20):
                pass
        return True

    async def hears(self) -> bytes:
        """Return everything up to the end of the connection."""
        with contextlib.suppress(ConnectionError):
            return await self.reader.read(-1)
        return b""


@dataclass
class Running:
    """A running server, its clock, and the peers that were opened."""

    server: Server
    clock: ManualClock
    port: int
    app: App
    tls: ssl.SSLContext | None
    peers: list[Peer] = field(default_factory=list)

    @property
    def acceptor(self) -> Acceptor:
        return self.server.acceptors[0]

    async def peer(self, address: str = "127.0.0.1", *, tls: bool = True) -> Peer:
        """Connect from this address of the loopback network."""
        context = self.tls if tls else None
        name = "localhost" if context else None
        opened = Peer(
            *await asyncio.open_connection(
                "127.0.0.1", self.port, ssl=context, server_hostname=name, local_addr=(address, 0)
            )
        )
        self.peers.append(opened)
        return opened

    async def holds(self, count: int) -> None:
        await until(lambda: len(self.acceptor.connections) == count)

    async def waits(self, count: int) -> None:
        await until(lambda: self.acceptor.waiting() == count)


async def until(what: Callable[[], object]) -> None:
    limit = TimeLimit(15)
    while not what():
        assert not limit.passed()
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def running(
    files: Tls | None, limits: ConnectionLimits = LIMITS, draining: Draining | None = None
) -> AsyncIterator[Running]:
    clock, app = ManualClock(), App()
    server = Server(app, limits=limits, clock=clock, tls=files, lifespan=False, draining=draining, grace_seconds=60)
    sock = socket.create_server(("127.0.0.1", 0))
    context = ssl.create_default_context(cafile=files.certificate) if files else None
    if context:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with limited_log(clock):
        task = asyncio.create_task(server.serve([sock]))
        await until(lambda: server.acceptors)
        found = Running(server, clock, sock.getsockname()[1], app, context)
        try:
            yield found
        finally:
            app.go_on.set()
            for peer in found.peers:
                peer.writer.transport.abort()
            server.stop(at_once=True)
            await task


async def nothing(_peer: Peer) -> None:
    pass


async def half_a_hello(peer: Peer) -> None:
    await peer.says(bytes.fromhex("16030100f0010000ec0303"))


async def half_a_head(peer: Peer) -> None:
    await peer.says(GET[:-3])


async def half_a_body(peer: Peer) -> None:
    await peer.says(POST + b"12345")


async def half_a_second_head(peer: Peer) -> None:
    assert await peer.asks() == 200
    await peer.says(GET[:-3])


async def half_a_second_body(peer: Peer) -> None:
    assert await peer.asks() == 200
    await peer.says(POST + b"12345")


@pytest.mark.parametrize(
    ("tls", "speaks", "says", "phase"),
    [
        (True, False, nothing, Phase.HANDSHAKE),
        (True, False, half_a_hello, Phase.HANDSHAKE),
        (True, True, nothing, Phase.HEAD),
        (True, True, half_a_head, Phase.HEAD),
        (True, True, half_a_body, Phase.BODY),
        (True, True, half_a_second_head, Phase.HEAD),
        (True, True, half_a_second_body, Phase.BODY),
        (False, False, nothing, Phase.HEAD),
        (False, False, half_a_head, Phase.HEAD),
        (False, False, half_a_body, Phase.BODY),
    ],
)
async def test_half_of_something_is_not_waited_for(
    files: Tls, tls: bool, speaks: bool, says: Any, phase: Phase
) -> None:
    """Ten seconds for each step, also where bytes go on coming."""
    async with running(files if tls else None) as found:
        peer = await found.peer(tls=speaks)
        await found.holds(1)
        await says(peer)
        (connection,) = found.acceptor.connections
        await until(lambda: connection.phase is phase)
        found.clock.advance(9)
        if says in {half_a_head, half_a_body}:
            await peer.says(b"6")
        await asyncio.sleep(0.01)
        assert (connection.phase, len(found.acceptor.connections)) == (phase, 1)
        found.clock.advance(1.5)
        assert await peer.is_closed()
        await found.holds(0)


async def test_half_of_something_does_not_put_off_the_end(files: Tls) -> None:
    async with running(files) as found:
        peer = await found.peer()
        await half_a_body(peer)
        (connection,) = found.acceptor.connections
        await until(lambda: connection.phase is Phase.BODY)
        found.server.stop(at_once=True)
        await until(lambda: found.acceptor.stopped)
        found.clock.advance(10.5)
        assert await peer.is_closed()


@pytest.mark.parametrize("words", [LARGE, LARGE * 9], ids=["one answer", "many answers"])
async def test_an_answer_that_nobody_reads_is_not_kept(files: Tls, words: bytes) -> None:
    async with running(files) as found:
        peer = await found.peer()
        await found.holds(1)
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        peer.writer.write(words)
        (connection,) = found.acceptor.connections
        await until(lambda: connection.phase is Phase.IDLE or connection.answer_deadline < math.inf)
        found.clock.advance(LIMITS.idle_seconds + LIMITS.answer_seconds + 0.5)
        await found.holds(0)


async def test_a_slow_application_is_waited_for(files: Tls) -> None:
    async with running(files) as found:
        peer = await found.peer()
        await peer.says(WAIT)
        await until(lambda: any(one.trusted for one in found.acceptor.connections))
        found.clock.advance(300)
        await asyncio.sleep(0.01)
        found.app.go_on.set()
        assert await peer.status() == 200


async def test_silent_connections_give_way_to_those_that_ask(files: Tls) -> None:
    """Many addresses fill all places, some before and some after the handshake."""
    async with running(files) as found:
        working = await found.peer("127.0.0.9")
        await working.says(WAIT)
        for number in range(40):
            await found.peer(f"127.0.0.{10 + number}", tls=bool(number % 2))
        assert len(found.acceptor.connections) == LIMITS.connections
        for number in range(5):
            other = await found.peer(f"127.0.0.{100 + number}")
            assert await other.asks(TRUSTED) == 200
            # It keeps its place, and its connection.
            assert await other.asks(TRUSTED) == 200
        # All places are taken by those who have proved who they are, and one of them is idle.
        assert await (await found.peer("127.0.0.200")).asks() == 200
        found.app.go_on.set()
        assert await working.status() == 200


async def test_the_address_that_has_most_gives_way_first(files: Tls) -> None:
    async with running(files) as found:
        modest = await found.peer("127.0.0.2", tls=False)
        await found.holds(1)
        for address in ("127.0.0.3", "127.0.0.4"):
            for _ in range(3):
                await found.peer(address, tls=False)
                await asyncio.sleep(0)
        await until(lambda: sum(one.address != "127.0.0.2" for one in found.acceptor.connections) == 5)
        for number in range(3):
            await found.peer(f"127.0.0.{10 + number}", tls=False)
        await until(lambda: {one.address for one in found.acceptor.connections} >= {"127.0.0.2", "127.0.0.12"})
        assert not modest.reader.at_eof()


@pytest.mark.parametrize("tls", [True, False])
async def test_connections_that_come_all_at_once(files: Tls, tls: bool) -> None:
    """Some give way before anything was done for them. They are closed nevertheless."""
    async with running(files if tls else None) as found:
        with contextlib.ExitStack() as stack:
            crowd = []
            for number in range(20):
                client = stack.enter_context(socket.socket())
                client.bind((f"127.0.0.{10 + number}", 0))
                client.connect(("127.0.0.1", found.port))
                client.setblocking(False)
                crowd.append(client)
            for client in crowd[: -LIMITS.connections]:
                with contextlib.suppress(ConnectionError):
                    assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
            await found.holds(LIMITS.connections)


async def test_one_address_has_so_many_connections(files: Tls) -> None:
    """A silent one gives way to the next from there. One at work does not, so the newest is closed."""
    async with running(files) as found:
        first = await found.peer()
        for _ in range(2):
            await found.peer()
        found.clock.advance(1)
        fourth = await found.peer()
        assert await first.is_closed()
        assert await fourth.asks(TRUSTED) == 200
        found.clock.advance(1)
        for _ in range(3):
            await (await found.peer()).says(WAIT)
        await until(lambda: sum(one.trusted and one.phase.name == "WORK" for one in found.acceptor.connections) == 3)
        found.clock.advance(1)
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await found.peer()
        assert await (await found.peer("127.0.0.2")).asks() == 200


async def test_one_address_opens_so_many_connections_a_second(files: Tls) -> None:
    async with running(files) as found:

        async def opened(times: int) -> int:
            served = 0
            for _ in range(times):
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    peer = await found.peer()
                    served += await peer.asks() == 200
                    peer.writer.transport.abort()
                    await found.holds(0)
            return served

        assert await opened(10) == 3
        other = await found.peer("127.0.0.2")
        assert await other.asks() == 200
        other.writer.transport.abort()
        await found.holds(0)
        found.clock.advance(1)
        assert await opened(10) == 3


async def test_handshakes_take_turns(files: Tls) -> None:
    """They cost processor time. Who has opened the fewest connections is next, not who came first."""
    limits = ConnectionLimits(connections=50, handshakes_per_second=2)
    async with running(files, limits) as found:
        crowd = [asyncio.create_task(found.peer("127.0.0.2")) for _ in range(10)]
        await found.holds(10)
        await until(lambda: sum(task.done() for task in crowd) == 2)
        modest = asyncio.create_task(found.peer("127.0.0.3"))
        await found.holds(11)
        await found.waits(9)
        found.clock.advance(0.5)
        assert await (await modest).asks() == 200
        assert sum(task.done() for task in crowd) == 2
        for left in range(7, -1, -1):
            found.clock.advance(0.5)
            await found.waits(left)
        await asyncio.gather(*crowd)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")
async def test_on_a_unix_socket_each_user_may_have_half_of_the_places() -> None:
    clock, app = ManualClock(), App()
    server = Server(app, limits=LIMITS, clock=clock, lifespan=False)
    half = LIMITS.connections // 2
    with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as sock:
        path = Path(name) / "s"
        sock.bind(str(path))
        for each in (path.parent, path):
            each.chmod(0o777)
        sock.listen()
        task = asyncio.create_task(server.serve([sock]))
        await until(lambda: server.acceptors)
        peers: dict[int, list[Peer]] = {}
        for user in (65_534, 65_533):
            os.seteuid(user)
            try:
                peers[user] = [Peer(*await asyncio.open_unix_connection(path)) for _ in range(half + 1)]
            finally:
                os.seteuid(0)
        for first, *others in peers.values():
            assert await first.is_closed()
            assert [await peer.asks() for peer in others] == [200] * half
        assert server.acceptors[0].closed == {Closed.EVICTED: 2}
        for peer in (one for each in peers.values() for one in each):
            peer.writer.transport.abort()
        server.stop(at_once=True)
        await task


@pytest.mark.parametrize(("host", "expected"), [("::1", "::/64"), ("127.0.0.1", "127.0.0.1")])
def test_what_counts_as_one_address(host: str, expected: str) -> None:
    """On a socket for both families, an IPv4 peer is itself, and an IPv6 peer its network."""
    with (
        socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener,
        socket.create_connection((host, listener.getsockname()[1])),
        listener.accept()[0] as accepted,
    ):
        assert address_of(accepted) == expected


@pytest.mark.parametrize(("hard", "expected"), [(300, "44 300"), (600, "256 512")])
def test_descriptors_are_kept_in_reserve(hard: int, expected: str) -> None:
    """As many as the process may have, at the cost of connections if need be."""
    program = (
        "import resource as r; from kiosk.net.connections import ConnectionLimits;"
        f"r.setrlimit(r.RLIMIT_NOFILE, (300, {hard}));"
        "print(ConnectionLimits().within_descriptors().connections, r.getrlimit(r.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
    assert ("only 44 connections at once" in done.stderr) == (hard == 300)


@contextlib.contextmanager
def no_more_descriptors() -> Iterator[Callable[[], None]]:
    """Let this process open nothing more, until the returned function is called."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    # Below the highest one in use there may be gaps.
    held = [os.dup(0)]
    while held[-1] < highest:
        held.append(os.dup(0))
    most = held[-1] + 1

    def restore() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        yield restore
    finally:
        restore()
        for descriptor in held:
            os.close(descriptor)


async def test_without_descriptors_the_log_stays_short(caplog: pytest.LogCaptureFixture) -> None:
    async with running(None) as found:
        client = socket.socket()
        client.setblocking(False)
        with no_more_descriptors() as restore:
            await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", found.port))
            await until(lambda: caplog.records)
            for _ in range(240):
                found.clock.advance(0.5)
                await asyncio.sleep(0.0005)
            restore()
            found.clock.advance(2)
        peer = Peer(*await asyncio.open_connection(sock=client))
        assert await peer.asks() == 200
        peer.writer.transport.abort()
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "a connection could not be accepted: Too many open files"
    assert "more times: EMFILE" in lines[1]
    assert 2 <= len(lines) <= 6


@pytest.mark.parametrize(
    "words",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: b\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\nhost: b\n\n",
        b"GET / HTTP/1.1\r\nhost: b\r\nx: 1\ncontent-length: 3\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nhost: b\r\nx: 1\r\n content-length: 3\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nhost: b\r\nx: 1\r\n\tfolded\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    ],
)
async def test_what_is_no_http_1_is_a_bad_request(words: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with running(None, ConnectionLimits()) as found:
        for _ in range(10):
            peer = await found.peer()
            await peer.says(words)
            answer = await peer.hears()
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert answer.count(b"HTTP/1.1") == 1
    assert found.app.answered == 0
    assert len(caplog.records) <= 2
    assert {record.levelno for record in caplog.records} <= {logging.WARNING}


async def test_a_body_that_is_no_http_ends_the_request(files: Tls, caplog: pytest.LogCaptureFixture) -> None:
    """What the application says after that goes nowhere, and is no error of the server."""
    async with running(files) as found:
        peer = await found.peer()
        await peer.says(b"POST /late-wait HTTP/1.1\r\nhost: b\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
        await until(lambda: found.server.server_state.tasks)
        # A peer that does not read keeps its connection for a while.
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await peer.says(b"zz\r\n")
        await until(lambda: all(one.transport.is_closing() for one in found.server.server_state.connections))
        found.app.go_on.set()
        await until(lambda: not found.server.server_state.tasks)
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert (await peer.hears()).count(b"HTTP/1.1 400 ") == 1
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


async def test_an_upgrade_is_ignored_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    async with running(None) as found:
        peer = await found.peer()
        assert await peer.asks(GET[:-2] + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n") == 200
    assert not caplog.records


async def test_a_signal_is_told_before_the_end(files: Tls) -> None:
    told: list[bool] = []
    async with running(files, draining=Draining(5, lambda: told.append(True))) as found:
        found.server.stop()
        await asyncio.sleep(0)
        assert await (await found.peer()).asks() == 200
        assert (told, found.server.should_exit) == ([True], False)
        found.clock.advance(5)
        await until(lambda: found.server.should_exit)


async def test_a_second_signal_ends_at_once(files: Tls) -> None:
    async with running(files, draining=Draining(5)) as found:
        found.server.stop()
        assert not found.server.should_exit
        found.server.stop()
        assert found.server.should_exit
