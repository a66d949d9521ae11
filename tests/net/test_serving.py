"""The server under peers that say half of something, or nothing that is HTTP, and at its end."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any

import pytest

from kiosk.net.connections import ConnectionLimits, Phase
from kiosk.net.server_tls import Tls
from kiosk.net.serving import Draining
from tests.support.served import GET, LARGE, LIMITS, POST, WAIT, Peer, running, until


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
