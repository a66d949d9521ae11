"""The server under crowds: connections that hold places, come all at once, or leave no descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kiosk.net.connections import Closed, ConnectionLimits, address_of
from kiosk.net.server_tls import Tls
from kiosk.net.serving import Server
from tests.support.clock import ManualClock
from tests.support.served import LIMITS, TRUSTED, WAIT, App, Peer, running, until


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
