"""Each kind of sink against a real receiver: every row arrives in order, whatever is down in between."""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kiosk.broker.record.chain import Row
from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.sinks.syslog import DatagramSyslog, severity
from kiosk.clock import Deadline, SystemClock
from kiosk.errors import SinkUnavailable
from kiosk.models import CheckOutcome, Ending
from tests.broker.conftest import Start
from tests.support.broker import problem_code, wait_for
from tests.support.clock import ManualClock
from tests.support.collectors import Collector, silent, streams, webhooks
from tests.support.record import signer
from tests.support.sandbox import RunningSandbox
from tests.support.sinks import FileCollector, receiver, recording, say

KINDS = ["unix", "udp", "tcp", "tls", "journald", "file", "webhook"]
CONFIRMED = ["tcp", "tls", "webhook"]


@pytest.mark.parametrize("mode", ["required", "best-effort"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_row_arrives_once_and_in_order(
    kind: str, mode: str, sandbox: RunningSandbox, place: Path, url: str
) -> None:
    there = receiver(kind, sandbox, place)
    with there.listen():
        for _ in range(2):
            with recording(url, there.settings | {"mode": mode}) as record:
                say(record, 5)
                if mode == "required" and kind in {*CONFIRMED, "file"}:
                    # A required sink has every row before the answer is sent.
                    assert there.collector.numbers()[-1] >= 6
        wait_for(lambda: there.collector.numbers()[-1:] == [14])
    assert there.collector.numbers() == list(range(1, 15))
    if kind == "webhook":
        assert {one["authorization"] for one in there.collector.headers} == {"Bearer s3cret-token"}
    if kind == "journald":
        assert there.collector.headers[1]["MESSAGE"].startswith("n=2 event=session.opened outcome=ok hash=")
        assert len({one["MESSAGE_ID"] for one in there.collector.headers}) == 1
    if kind != "file":
        assert there.collector.rows[1]["name"] == '"0"]\\ \n<é>'


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {"udp", "file"}])
def test_what_is_best_effort_is_sent_later(kind: str, sandbox: RunningSandbox, place: Path, url: str) -> None:
    there = receiver(kind, sandbox, place)
    sink = there.settings | {"mode": "best-effort"}
    clock = ManualClock()
    with recording(url, sink) as record:
        say(record, 3)
    assert there.collector.numbers() == []
    with recording(url, sink, clock=clock) as record:
        say(record, 2)
        wait_for(lambda: clock.waiting() == 1)
        with there.listen():
            # The sink retries by itself, without a new row.
            clock.advance(30)
            wait_for(lambda: there.collector.numbers()[-1:] == [8])
    assert there.collector.numbers()[:8] == list(range(1, 9))
    with there.listen(), recording(url, sink):
        wait_for(lambda: there.collector.numbers()[-1:] == [10])
    assert sorted(set(there.collector.numbers())) == list(range(1, 12))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {"udp", "file"}])
def test_without_a_required_sink_nobody_is_answered(kind: str, sandbox: RunningSandbox, place: Path, url: str) -> None:
    there = receiver(kind, sandbox, place)
    with recording(url, there.settings | {"mode": "required"}) as record:
        for _ in range(2):
            with pytest.raises(SinkUnavailable) as refused:
                say(record)
            assert "s3cret" not in str(refused.value)
        with there.listen():
            say(record)
            wait_for(lambda: there.collector.numbers() == [1, 2, 3, 4])
        if kind in CONFIRMED:
            with pytest.raises(SinkUnavailable):
                say(record)


def test_a_connection_that_breaks_off_is_no_delivery(place: Path) -> None:
    collector = Collector()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)
    url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    with recording(place, {"kind": "syslog", "url": url, "mode": "best-effort"}) as record:
        connection, _ = listener.accept()
        # This close sends a reset, so the sender learns that its data was discarded.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.recv(10)
        connection.close()
        with streams(listener, collector.syslog):
            say(record)
            wait_for(lambda: collector.numbers()[:2] == [1, 2])


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_a_collector_that_hangs_has_taken_nothing(
    kind: str, sandbox: RunningSandbox, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kiosk.broker.sinks.delivery.ATTEMPT_SECONDS", 1.0)
    there = receiver(kind, sandbox, place)
    port = urlsplit(there.settings["url"]).port
    certificate, key = sandbox.directory / "server.pem", sandbox.directory / "server-key.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with (
        silent(port or 0, context if kind == "tls" else None) as taken,
        recording(place, there.settings | {"mode": "required"}) as record,
    ):
        with pytest.raises(SinkUnavailable, match="TimeoutError"):
            say(record)
        assert taken
    with there.listen(), recording(place, there.settings | {"mode": "required"}):
        wait_for(lambda: there.collector.numbers()[:3] == [1, 2, 3])


@pytest.mark.parametrize("status", [302, 401, 500])
def test_a_webhook_that_says_no_has_not_taken_it(sandbox: RunningSandbox, place: Path, status: int) -> None:
    collector, answers = Collector(), [status]
    certificate, key = sandbox.directory / "server.pem", sandbox.directory / "server-key.pem"
    with webhooks(0, certificate, key, collector, answers) as port:
        sink = {"kind": "webhook", "url": f"https://localhost:{port}/", "mode": "required", "ca_bundle": sandbox.ca}
        with recording(place, sink) as record:
            with pytest.raises(SinkUnavailable, match=f"status {status}"):
                say(record)
            answers[0] = 200
            say(record)
            assert collector.numbers() == [1, 2, 3]


@pytest.mark.parametrize("kind", ["tls", "webhook"])
def test_a_stranger_behind_the_address_gets_nothing(kind: str, sandbox: RunningSandbox, place: Path) -> None:
    there = receiver(kind, sandbox, place)
    sink = there.settings | {"mode": "required", "ca_bundle": None}
    with there.listen(), recording(place, sink) as record, pytest.raises(SinkUnavailable, match="CERTIFICATE"):
        say(record)
    assert there.collector.rows == []


def test_a_datagram_that_is_too_long_does_not_hold_up_the_others(place: Path) -> None:
    path = str(place / "sink")
    long = Row.follow(1, "2026-11-22T09:00:00.000000Z", Entry(Event.CONFIGURED, detail="x" * 300_000), "")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        DatagramSyslog(path).send([long], Deadline.after(SystemClock(), 5))
        _, _, row = sock.recv(1 << 20).partition(b"\xef\xbb\xbf")
    assert row.startswith(b'{"n":1,')


def test_a_torn_line_stays_one_line(place: Path) -> None:
    file = place / "a"
    sink = {"kind": "file", "url": f"file:{file}", "mode": "required"}
    file.write_bytes(b'{"n":1,"vers')
    with recording(place, sink) as record:
        say(record)
    lines = file.read_bytes().splitlines()
    assert lines[0] == b'{"n":1,"vers'
    assert len(lines) == 4
    file.rename(place / "rotated")
    with recording(place, sink) as record:
        say(record)
    assert FileCollector(file).numbers() == [4, 5, 6]
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("full", [True, False])
def test_a_file_that_cannot_be_written(place: Path, full: bool) -> None:
    if full:
        (place / "a").symlink_to("/dev/full")
    else:
        (place / "a").mkdir()
    sink = {"kind": "file", "url": f"file:{place / 'a'}", "mode": "required"}
    with recording(place, sink) as record, pytest.raises(SinkUnavailable):
        say(record)


def stored(url: str, place: Path) -> dict[str, Any]:
    signer(place)
    return {"database": url, "signing_key": place / "record.key"}


def test_no_delivery_no_key(start: Start, sandbox: RunningSandbox, place: Path, url: str) -> None:
    there = receiver("tls", sandbox, place)
    mac, token = sandbox.device("NW-AKESSLER-14").id, sandbox.token("ada")
    with start(
        record=stored(url, place), sinks=[there.settings | {"mode": "required"}], rules={"per_person": ("1/day",)}
    ) as broker:
        for refused in (broker.release(token, mac).response, broker.ask("GET", "/v1/session", token)):
            assert (refused.status_code, problem_code(refused)) == (503, "sink_unavailable")
        assert not sandbox.requests("getFileVaultKey")
        outcomes = [(row["event"], row["outcome"]) for row in broker.rows("release")]
        assert outcomes == [("release.intended", "ok"), ("release.refused", "sink_unavailable")]
        with there.listen():
            # The failed release did not count, and missed rows are delivered first.
            answer = broker.release(token, mac)
            assert answer.code == ""
            assert there.collector.numbers() == list(range(1, len(there.collector.numbers()) + 1))
            done = [row for row in there.collector.rows if row.get("event") == "release.done"]
            assert [row["release_id"] for row in done] == [answer.response.json()["release_id"]]
            key, received = sandbox.device("NW-AKESSLER-14").key, b"".join(there.collector.raw)
            assert key
            assert key.encode() not in received
            assert token.encode() not in received


def test_a_sink_that_fails_after_the_key_was_fetched(
    start: Start, sandbox: RunningSandbox, place: Path, url: str
) -> None:
    there = receiver("tcp", sandbox, place)
    mac, token = sandbox.device("NW-AKESSLER-14").id, sandbox.token("ada")
    sandbox.fault("*/getFileVaultKey", "delay", seconds=0.5, times=1)
    with (
        start(record=stored(url, place), sinks=[there.settings | {"mode": "required"}]) as broker,
        ThreadPoolExecutor(1) as pool,
    ):
        with there.listen():
            answer = pool.submit(broker.release, token, mac)
            wait_for(lambda: sandbox.requests("getFileVaultKey"))
        assert answer.result().code == "sink_unavailable"
        assert "sealed" not in answer.result().response.text
        events = [row["event"] for row in broker.rows("release")]
        # It has one outcome: the key was there, and nobody got it.
        assert events == ["release.intended", "release.done"]


@pytest.mark.parametrize(
    ("event", "outcome", "expected"),
    [
        (Event.SESSION_OPENED, "ok", 5),
        (Event.SESSION_OPENED, "person_blocked", 4),
        (Event.TOKEN_REFUSED, "token_stale", 4),
        (Event.REFUSED, "limit_person", 4),
        *((Event.CLOSED, how, 4 if how == "crashed" else 5) for how in Ending),
        (Event.CLOSED, "unknown", 4),
        *((Event.CHECKED, how, 5) for how in CheckOutcome),
    ],
)
def test_only_what_was_refused_or_is_in_doubt_is_a_warning(event: Event, outcome: str, expected: int) -> None:
    assert severity(Row.follow(1, "", Entry(event, outcome), "")) == expected
