"""Requests that prove nothing: they cost no lock, no write of their own, few lines, and one connection each."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import event, text

from kiosk.broker.problems import _LINES
from kiosk.broker.record.lookup import READS_PER_SECOND
from kiosk.broker.record.refusal_throttle import AT_ONE_KIOSK
from tests.broker.conftest import Start
from tests.support.broker import RunningBroker, broker_config, broker_process, problem_code, wait_for
from tests.support.clock import ManualClock
from tests.support.sandbox import RunningSandbox
from tests.support.sockets import free_port


@contextlib.contextmanager
def hanging(broker: RunningBroker) -> Iterator[list[str]]:
    """Let every write hang, as a database does that is away; yields a list of those that began."""
    assert broker.record
    begun: list[str] = []
    free = threading.Event()

    def hang(*_: object) -> None:
        begun.append("write")
        free.wait(30)

    event.listen(broker.record.engine, "begin", hang)
    try:
        yield begun
    finally:
        event.remove(broker.record.engine, "begin", hang)
        free.set()


def readiness(broker: RunningBroker) -> str:
    """Return the code of the refusal; empty if the broker is ready."""
    response = broker.ask("GET", "/readyz")
    return "" if response.status_code == 200 else problem_code(response)


def test_a_record_that_hangs_is_reported_in_two_seconds_and_tried_once(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    with start(clock) as broker, ThreadPoolExecutor(8) as pool:
        with hanging(broker) as begun:
            asked = [pool.submit(readiness, broker) for _ in range(8)]
            wait_for(lambda: begun)
            clock.advance(2)
            assert {one.result() for one in asked} == {"record_unavailable"}
            assert 'cause="no answer after 2 s"' in caplog.text
            # Those who ask soon after share the answer, and wait for nothing.
            assert readiness(broker) == "record_unavailable"
            clock.advance(1.5)
            assert readiness(broker) == "record_unavailable"
            assert begun == ["write"]

        def is_ready_again() -> bool:
            clock.advance(0.5)
            return readiness(broker) == ""

        wait_for(is_ready_again)


def test_an_answer_is_given_at_once_while_the_next_look_is_under_way(start: Start) -> None:
    clock = ManualClock()
    with start(clock) as broker:
        assert readiness(broker) == ""
        clock.advance(1.5)
        with hanging(broker) as begun:
            assert readiness(broker) == ""
            wait_for(lambda: begun)
            assert readiness(broker) == ""


def test_not_ready_if_no_row_can_be_added(start: Start) -> None:
    """The head can still be changed in place then."""
    clock = ManualClock()
    with start(clock) as broker:
        assert readiness(broker) == ""
        before = len(broker.rows())
        assert broker.record
        with broker.record.engine.begin() as connection:
            full = "CREATE TRIGGER full BEFORE INSERT ON record BEGIN SELECT RAISE(ABORT, 'full'); END"
            connection.execute(text(full))
        clock.advance(5)
        assert readiness(broker) == "record_unavailable"
        with broker.record.engine.begin() as connection:
            connection.execute(text("DROP TRIGGER full"))
        clock.advance(5)
        assert readiness(broker) == ""
        assert len(broker.rows()) == before


def tell_lost(broker: RunningBroker, release_id: str) -> int:
    return broker.ask("POST", f"/v1/releases/{release_id}/lost", json={"how": "crashed"}).status_code


def test_invented_releases_are_looked_up_so_often_and_real_ones_always(
    start: Start, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with start() as broker:
        answer = broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id)
        assert broker.record
        reads: list[object] = []
        event.listen(broker.record.lookup.engine, "begin", reads.append)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: tell_lost(broker, str(uuid4())), range(60)))
        assert set(found) == {404, 503}
        assert len(reads) <= 2 * READS_PER_SECOND
        read = len(reads)
        assert tell_lost(broker, answer.response.json()["release_id"]) == 204
        assert tell_lost(broker, answer.response.json()["release_id"]) == 204
        assert len(reads) == read
        assert caplog.text.count("event=release.closed") == 1
        assert broker.rows("release.closed")[0]["outcome"] == "crashed"


def test_refused_tokens_have_few_lines_and_a_count(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    with start() as broker:
        for number in range(AT_ONE_KIOSK + 20):
            token = f"e30.e30.{number}"
            assert broker.ask("GET", "/v1/session", token).status_code == 401
        lines = [record.getMessage() for record in caplog.records if "token_" in record.getMessage()]
        assert len(lines) == AT_ONE_KIOSK
    (counted,) = (record for record in caplog.records if "event=refused.counted" in record.getMessage())
    assert counted.levelno == logging.WARNING
    assert 'cause="20 more, from ' in counted.getMessage()


def test_other_refusals_without_a_token_have_few_lines_and_a_count(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    with start() as broker:
        for number in range(_LINES + 5):
            assert broker.ask("GET", f"/{number}").status_code == 404
        assert sum("code=route_unknown" in record.getMessage() for record in caplog.records) == _LINES
    assert any('code=route_unknown cause="5 more without a token"' in one.getMessage() for one in caplog.records)


def test_what_proves_nothing_gets_one_answer_for_a_connection(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    for method, path in (("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/v1/session"), ("GET", "/x"), ("PUT", "/")):
        assert broker.ask(method, path).headers["connection"] == "close"
    assert "connection" not in broker.ask("GET", "/v1/session", sandbox.token("ada")).headers


def https(sandbox: RunningSandbox, **listen: int) -> dict[str, object]:
    """Return where to listen on https, on a free port."""
    files = {"certificate": sandbox.directory / "server.pem", "key": sandbox.directory / "server-key.pem"}
    return {"url": f"https://localhost:{free_port()}", **files, **listen}


def test_a_crowd_that_is_silent_stops_nobody(sandbox: RunningSandbox, place: Path) -> None:
    """Then the broker is told to stop: it says so to balancers, and serves until it does."""
    listen = https(sandbox, connections=16, connections_per_address=8, drain_seconds=3)
    config = broker_config(sandbox.directory, place, listen=listen)
    port = int(config.listen.url.rpartition(":")[2])
    with contextlib.ExitStack() as crowd, broker_process(config, place, sandbox.ca) as broker:
        for number in range(60):
            silent = crowd.enter_context(socket.socket())
            silent.bind((f"127.0.1.{number % 30 + 1}", 0))
            silent.connect(("127.0.0.1", port))
        token, mac = sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id
        assert broker.release(token, mac).code == ""
        assert broker.ask("GET", "/healthz").json()["healthy"] is True
        os.kill(broker.pid, signal.SIGTERM)
        wait_for(lambda: "event=draining" in broker.log())
        response = broker.ask("GET", "/healthz")
        assert (response.status_code, response.json()["healthy"]) == (503, False)
        assert broker.release(token, mac).response.headers["connection"] == "close"
        wait_for(lambda: broker.rows("broker.stopped"))
