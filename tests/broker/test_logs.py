"""The log: its format on a terminal and for the journal, and that no release logs a secret at any level."""

from __future__ import annotations

import base64
import io
import logging
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from kiosk.broker import logs
from kiosk.errors import GraphThrottled
from kiosk.models import ReleaseRequest
from kiosk.process import events
from kiosk.secret import VisitKeys
from tests.support.broker import broker_config, broker_process, visit_of
from tests.support.sandbox import RunningSandbox

FAULTS = ("html", "truncated", "wrong_type", "reset", "cut", "huge")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers[:], logging.raiseExceptions = handlers, raising
    root.setLevel(level)


def one_line(level: int = logging.INFO) -> dict[str, str]:
    stream = io.StringIO()
    logs.to_stream(stream, level)
    error = GraphThrottled('Graph: status 429 "busy"\n<3>forged level=error', reference="1A2B3C4D")
    error.request_id = "r"
    logs.refusal("GET /v1/devices", error)
    (line,) = stream.getvalue().splitlines()
    return dict(pair.split("=", 1) for pair in shlex.split(line))


def test_a_line_is_made_of_pairs() -> None:
    pairs = one_line()
    assert pairs.pop("time").endswith("Z")
    assert pairs == {
        "level": "error",
        "event": "refused",
        "what": "GET /v1/devices",
        "code": "graph_throttled",
        "reference": "1A2B3C4D",
        "request_id": "r",
        "cause": 'Graph: status 429 "busy" <3>forged level=error',
    }


def test_below_the_level_nothing_is_written() -> None:
    stream = io.StringIO()
    logs.to_stream(stream, logging.WARNING)
    logs.event("listening")
    logging.getLogger("elsewhere").info("x")
    assert stream.getvalue() == ""


def test_of_an_exception_only_the_place_is_written() -> None:
    stream = io.StringIO()
    logs.to_stream(stream)
    try:
        raise ValueError("a secret")
    except ValueError:
        logging.getLogger("elsewhere").exception("it failed")
    assert "a secret" not in stream.getvalue()
    assert 'event=message text="it failed" error="ValueError at test_logs.py:' in stream.getvalue()


def test_the_journal_gets_its_priorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uses a socket in place of the journal's, connected to standard error as systemd does."""
    path = tmp_path / "stdout"
    monkeypatch.setattr(events, "_JOURNAL", str(path))
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as ours:
        listener.bind(str(path))
        listener.listen()
        ours.connect(str(path))
        journal, _ = listener.accept()
        with journal, ours.makefile("w", buffering=1) as stream:
            logs.to_stream(stream, logging.DEBUG)
            logs.event("listening", url="unix:/x")
            logs.event("graph.asked", logging.DEBUG, seconds=0.25)
            logs.refusal("GET /x", GraphThrottled("busy", reference="R"))
            stream.flush()
            received = journal.recv(4096).decode()
    assert received.splitlines() == [
        "<6>level=info event=listening url=unix:/x",
        "<7>level=debug event=graph.asked seconds=0.250",
        '<3>level=error event=refused what="GET /x" code=graph_throttled reference=R cause=busy',
    ]


def test_a_visit_can_be_followed(sandbox: RunningSandbox, place: Path) -> None:
    """All requests of a visit log the same fingerprint; the release logs the ids that the record has."""
    token, keys = sandbox.token("ada"), VisitKeys()
    visit = {"x-kiosk-terminal": "desk7 tty1"}
    with broker_process(broker_config(sandbox.directory, place), place) as broker:
        broker.ask("GET", "/v1/session", token, keys=keys, headers=visit)
        broker.ask("GET", "/v1/devices", token, keys=keys, headers=visit)
        mac = sandbox.device("NW-AKESSLER-14")
        body = msgspec.json.encode(ReleaseRequest(public_key=keys.public_key))
        headers = visit | {"content-type": "application/json"}
        path = f"/v1/devices/{mac.id}/release"
        released = broker.ask("POST", path, token, keys=keys, headers=headers, content=body).json()
        path = f"/v1/releases/{released['release_id']}/closed"
        broker.ask("POST", path, token, keys=keys, headers=visit, json={"how": "hidden"})
        lines = [dict(pair.split("=", 1) for pair in shlex.split(line)) for line in broker.log().splitlines()]
    found = [line for line in lines if line.get("visit")]
    assert [line["event"] for line in found] == ["session.opened", "devices.listed", "release.done", "release.closed"]
    assert {(line["visit"], line["terminal"]) for line in found} == {(visit_of(token, keys)[:16], "desk7 tty1")}
    assert found[2]["release"] == found[3]["release"] == released["release_id"]


def test_no_secret_even_at_the_lowest_level(sandbox: RunningSandbox, place: Path) -> None:
    """Releases that succeed and fail in every way, over TLS to Graph and Entra ID, with everything logged."""
    mac = sandbox.device("NW-AKESSLER-14")
    assert mac.key
    keys = VisitKeys()
    good, expired, unsigned = sandbox.token("ada"), sandbox.token("ada", exp=1), sandbox.token("ada", signed="none")
    config = broker_config(
        sandbox.directory,
        place,
        log={"level": "debug"},
        rules={"per_person": (), "per_device": (), "reason": "optional"},
    )
    with broker_process(config, place) as broker:
        for kind in ("truncated", "html", "cut"):
            # The broker has no token for Graph yet, and the answer with one arrives damaged.
            sandbox.fault("*/oauth2/v2.0/token", kind, method="POST")
            assert broker.release(good, mac.id, keys=keys).code.startswith("entra_")
            sandbox.clear_faults()
        sealed = broker.release(good, mac.id, "a private reason", keys=keys).response.json()["sealed"]
        for path in ("*/getFileVaultKey", "*/users"):
            for kind in FAULTS:
                sandbox.fault(path, kind, times=1)
                broker.release(good, mac.id, keys=keys)
        for status in (400, 401, 403, 404, 429, 503):
            sandbox.fault("*/getFileVaultKey", "status", status=status, times=1)
            broker.release(good, mac.id, keys=keys)
        for token in (expired, unsigned, good + "x", mac.key, sandbox.token(None)):
            assert broker.release(token, mac.id).code
        broker.ask("POST", "/v1/devices/x/release", good, json={"public_key": mac.key, "reason": 7})
        broker.ask("POST", f"/v1/devices/{mac.id}/release", good, content=mac.key)
    log = broker.log()
    assert "level=debug event=graph.asked" in log
    assert log.count("event=release.done") >= 1
    assert log.count("event=refused") >= 15
    groups = mac.key.split("-")
    secrets = [mac.key, "".join(groups), "-".join(groups[3:]), "a private reason", sealed[:60]]
    secrets += [part for token in (good, expired, unsigned) for part in token.split(".") if len(part) > 40]
    secrets += [sandbox.person("ada").name, sandbox.person("ada").address]
    for secret in secrets:
        assert secret not in log
        assert base64.b64encode(secret.encode())[:-4].decode() not in log
    assert "eyJ" not in log, "how every token begins"
    assert "BEGIN" not in log
    assert "client_assertion" not in log
