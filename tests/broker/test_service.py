"""The HTTP interface over a real unix socket, with the sandbox as Entra ID and Graph: a visit's requests in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import event, select

from kiosk import __version__
from kiosk.broker.graph.client import Graph
from kiosk.broker.record.schema import HEAD
from kiosk.errors import BY_CODE, KeyNotEscrowed
from kiosk.models import Devices, Session
from kiosk.secret import VisitKeys
from tests.broker.conftest import Start
from tests.support.broker import MovedClock, RunningBroker, problem_code, wait_for
from tests.support.clock import ManualClock
from tests.support.sandbox import RunningSandbox

JSON = {"content-type": "application/json"}


def test_a_visit(start: Start, sandbox: RunningSandbox) -> None:
    with start() as broker:
        visit(broker, sandbox)


def visit(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    ada, token = sandbox.person("ada"), sandbox.token("ada")
    session = msgspec.json.decode(broker.ask("GET", "/v1/session", token).content, type=Session)
    assert (session.person.tid, session.person.oid) == (sandbox.tenant, ada.oid)
    assert (session.person.name, session.person.address) == (ada.name, ada.address)
    assert (session.reason, session.version) == ("off", __version__)

    mac = sandbox.device("NW-AKESSLER-14")
    answer = broker.release(token, mac.id)
    assert answer.response.status_code == 200
    assert answer.response.headers["cache-control"] == "no-store"
    assert answer.key(sandbox.tenant, ada.oid).decode() == mac.key
    released = answer.response.json()
    assert released["device_id"] == mac.id
    deadline = datetime.fromisoformat(released["deadline"])
    assert timedelta(minutes=59) < deadline - datetime.now(UTC) <= timedelta(hours=1)

    closed = {"how": "countdown", "shown_seconds": 300.0}
    path = f"/v1/releases/{released['release_id']}/closed"
    assert broker.ask("POST", path, token, json=closed).status_code == 204

    events = [row["event"] for row in broker.rows()]
    assert events[:2] == ["broker.started", "configuration.changed"]
    assert events[2:] == ["session.opened", "release.intended", "release.done", "release.closed"]
    assert [row["n"] for row in broker.rows()] == [1, 2, 3, 4, 5, 6]
    opened, intended, done, end = broker.rows()[2:]
    for row in (intended, done, end):
        assert (row["tid"], row["oid"], row["name"]) == (sandbox.tenant, ada.oid, ada.name)
        assert (row["device_id"], row["serial"], row["owner_type"]) == (mac.id, mac.serial, "company")
        assert row["release_id"] == released["release_id"]
        assert row["uti"] == opened["uti"] != ""
    assert (done["outcome"], done["terminal"], end["outcome"], end["shown_seconds"]) == (
        "ok", "tty1", "countdown", 300.0,
    )  # fmt: skip
    # The record has the request id that Graph got.
    (asked,) = sandbox.requests("getFileVaultKey")
    assert asked["client_request_id"] == done["client_request_id"]
    assert done["request_id"]


def test_every_question_to_graph_has_an_id_of_its_own(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    broker.ask("GET", "/v1/devices", sandbox.token("ada"))
    broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id)
    ids = [asked["client_request_id"] for asked in sandbox.requests("/beta/")]
    assert len(ids) == len(set(ids)) == 6
    assert all(len(one) == 36 for one in ids)


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        ("ada", [("NW-AKESSLER-14", None), ("NW-AKESSLER-MINI", None)]),
        (
            "priya",
            [
                ("NW-PRAMAN-16", None),
                ("NW-PRAMAN-LOAN", None),
                ("NW-PRAMAN-NEW", None),
                ("NW-PRAMAN-OLD", "device_wiping"),
            ],
        ),
        (
            "emil",
            [
                ("NW-ENOVAK-JAMF", "device_jamf"),
                ("Emil's MacBook", "device_personal"),
                ("NW-ENOVAK-CM", "device_configuration_manager"),
                ("NW-ENOVAK-AD", "device_owner_unknown"),
            ],
        ),
        (
            "luc",
            [
                ("NW-LFONTAINE-14", None),
                ("NW-HANDOVER", "device_not_yours"),
                ("NW-POOL-07", "device_shared"),
                ("NW-WIPED-01", "device_wiping"),
                ("NW-RETIRED-01", "device_retiring"),
                ("NW-RETIRED-02", "device_retiring"),
                ("NW-DELETED-01", "device_deleting"),
            ],
        ),
        ("grace", [("NW-GOWUSU-15", None)]),
    ],
)
def test_macs_are_listed_with_what_is_in_the_way(
    broker: RunningBroker, sandbox: RunningSandbox, person: str, expected: list[tuple[str, str | None]]
) -> None:
    response = broker.ask("GET", "/v1/devices", sandbox.token(person))
    listed = msgspec.json.decode(response.content, type=Devices)
    assert [(device.name, device.refusal) for device in listed.devices] == expected
    assert listed.next is None
    (row,) = broker.rows("devices.listed")
    assert (row["outcome"], row["oid"]) == ("ok", sandbox.person(person).oid)
    assert not sandbox.requests("getFileVaultKey")


def test_what_the_list_says_is_what_a_release_does(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    for person in ("priya", "emil", "luc"):
        token = sandbox.token(person)
        for device in broker.ask("GET", "/v1/devices", token).json()["devices"]:
            code = broker.release(token, device["id"]).code
            # Only a request for the key shows whether one is stored.
            no_key = issubclass(BY_CODE[code], KeyNotEscrowed) if code else False
            assert code == (device["refusal"] or "") or (no_key and not device["refusal"])


def test_hostile_names_are_cleaned(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    response = broker.ask("GET", "/v1/devices", sandbox.token("robin.hostile@nordwind.example"))
    names = [device["name"] for device in response.json()["devices"]]
    assert len(names) == 7
    assert not any(character in name for name in names for character in "\x1b\x07\r\n\t\u202e\u200b")
    assert all(len(name) <= 64 for name in names)


def test_a_reveal_ends_once_and_only_for_its_visit(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    token, keys = sandbox.token("ada"), VisitKeys()
    release_id = broker.release(token, sandbox.device("NW-AKESSLER-14").id, keys=keys).response.json()["release_id"]
    path = f"/v1/releases/{release_id}/closed"
    assert problem_code(broker.ask("POST", path, sandbox.token("jonas"), json={"how": "hidden"})) == "release_unknown"
    stale = sandbox.token("ada", auth_time=int(datetime.now(UTC).timestamp()) - 2000)
    assert broker.ask("POST", path, stale, keys=keys, json={"how": "hidden", "shown_seconds": 12.5}).status_code == 204
    assert broker.ask("POST", path, token, keys=keys, json={"how": "locked"}).status_code == 204
    (row,) = broker.rows("release.closed")
    assert (row["outcome"], row["shown_seconds"]) == ("hidden", 12.5)
    for unknown in (str(uuid4()), "nonsense", "'; drop table record; --"):
        path = f"/v1/releases/{unknown}/closed"
        assert problem_code(broker.ask("POST", path, token, keys=keys, json={"how": "hidden"})) == "release_unknown"


def test_a_check_is_noted_once_and_only_for_its_visit(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    token, keys = sandbox.token("ada"), VisitKeys()
    mac = sandbox.device("NW-AKESSLER-14")
    release_id = broker.release(token, mac.id, keys=keys).response.json()["release_id"]
    path = f"/v1/releases/{release_id}/checked"
    right = {"how": "right", "groups_right": 6}
    assert problem_code(broker.ask("POST", path, sandbox.token("jonas"), json=right)) == "release_unknown"
    closed = {"how": "countdown", "shown_seconds": 300.0}
    assert broker.ask("POST", f"/v1/releases/{release_id}/closed", token, keys=keys, json=closed).status_code == 204
    stale = sandbox.token("ada", auth_time=int(datetime.now(UTC).timestamp()) - 2000)
    some = {"how": "out_of_tries", "groups_right": 5}
    assert broker.ask("POST", path, stale, keys=keys, json=some).status_code == 204
    assert broker.ask("POST", path, token, keys=keys, json=right).status_code == 204
    (row,) = broker.rows("release.checked")
    assert (row["outcome"], row["detail"]) == ("out_of_tries", "5 of 6 groups right")
    assert (row["release_id"], row["device_id"], row["oid"]) == (release_id, mac.id, sandbox.person("ada").oid)
    unknown = f"/v1/releases/{uuid4()}/checked"
    assert problem_code(broker.ask("POST", unknown, token, keys=keys, json=right)) == "release_unknown"


def test_a_broken_off_release_was_never_open(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    token = sandbox.token("priya")
    assert broker.release(token, sandbox.device("NW-PRAMAN-LOAN").id).code == "key_encryption_deferred"
    release_id = broker.rows("release.refused")[0]["release_id"]
    path = f"/v1/releases/{release_id}/closed"
    assert problem_code(broker.ask("POST", path, token, json={"how": "hidden"})) == "release_unknown"


def test_health(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    for path in ("/healthz", "/readyz"):
        assert broker.ask("GET", path).json() == {"healthy": True, "version": __version__}
    assert not sandbox.requests("/beta/")


def test_not_ready_without_signing_keys(sandbox: RunningSandbox, start: Start) -> None:
    sandbox.fault("*/openid-configuration", "status", status=503)
    with start() as broker:
        response = broker.ask("GET", "/readyz")
        assert (response.status_code, problem_code(response)) == (503, "tokens_unavailable")
        assert int(response.headers["retry-after"]) == 10
        refused = broker.ask("GET", "/v1/session", sandbox.token("ada"))
        assert (refused.status_code, problem_code(refused)) == (503, "tokens_unavailable")
        assert broker.ask("GET", "/healthz").status_code == 200


def trials(broker: RunningBroker) -> int:
    """Return the number of trial writes so far."""
    assert broker.record
    with broker.record.engine.connect() as connection:
        return connection.scalar(select(HEAD.c.trials)) or 0


def test_anybody_may_ask_whether_it_is_ready(start: Start) -> None:
    """Many requests share one trial write, which locks the record; another follows a second later at the earliest."""
    clock = ManualClock()
    with start(clock) as broker, ThreadPoolExecutor(8) as pool:

        def ask(count: int) -> set[int]:
            return set(pool.map(lambda _: broker.ask("GET", "/readyz").status_code, range(count)))

        before = trials(broker)
        assert ask(40) == {200}
        assert trials(broker) == before + 1
        clock.advance(0.9)
        assert ask(1) == {200}
        assert trials(broker) == before + 1
        clock.advance(0.2)
        assert ask(40) == {200}
        wait_for(lambda: trials(broker) == before + 2)


def test_the_reason_why_it_is_not_ready_is_shared_as_well(start: Start, sandbox: RunningSandbox) -> None:
    sandbox.fault("*/openid-configuration", "status", status=503)
    clock = MovedClock()
    with start(clock) as broker:
        found = {broker.ask("GET", "/readyz").json()["reference"] for _ in range(3)}
        assert len(found) == 1
        sandbox.clear_faults()
        clock.ahead += timedelta(seconds=11)
        assert broker.ask("GET", "/readyz").status_code == 200


@contextlib.contextmanager
def locked(broker: RunningBroker) -> Iterator[list[str]]:
    """Hold the record's write lock as another program would; yields the errors that the writer gets."""
    assert broker.record
    met: list[str] = []
    event.listen(broker.record.engine, "handle_error", lambda context: met.append(str(context.original_exception)))
    file = broker.config.record.database.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield met


def test_a_list_waits_only_once_for_a_record_that_cannot_be_written(start: Start, sandbox: RunningSandbox) -> None:
    with start() as broker, locked(broker) as met:
        answer = broker.ask("GET", "/v1/devices", sandbox.token("ada"))
        assert (answer.status_code, problem_code(answer)) == (503, "record_unavailable")
    assert met == ["database is locked"]
    assert not sandbox.requests("/beta/")


GOOD_BODY = json.dumps({"public_key": "YWJj"})
WRONG: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/", {}, 404, "route_unknown"),
    ("GET", "/v1", {}, 404, "route_unknown"),
    ("GET", "/v2/session", {}, 404, "route_unknown"),
    ("GET", "/schema", {}, 404, "route_unknown"),
    ("GET", "/schema/openapi.json", {}, 404, "route_unknown"),
    ("GET", "/v1/devices/../session/x", {}, 404, "route_unknown"),
    ("DELETE", "/v1/devices", {}, 405, "request_invalid"),
    ("GET", "/v1/devices/x/release", {}, 405, "request_invalid"),
    ("POST", "/v1/devices/x/release", {"content": GOOD_BODY}, 415, "request_invalid"),
    ("POST", "/v1/devices/x/release", {"data": {"public_key": "x"}}, 415, "request_invalid"),
    ("POST", "/v1/devices/x/release", {"headers": JSON, "content": ""}, 400, "request_invalid"),
    ("POST", "/v1/devices/x/release", {"headers": JSON, "content": "{"}, 400, "request_invalid"),
    ("POST", "/v1/devices/x/release", {"headers": JSON, "content": "[]"}, 400, "request_invalid"),
    ("POST", "/v1/devices/x/release", {"headers": JSON, "content": "null"}, 400, "request_invalid"),
    ("POST", "/v1/devices/x/release", {"headers": JSON, "content": b"\xff\xfe"}, 400, "request_invalid"),
    ("POST", "/v1/devices/x/release", {"headers": JSON, "content": b'{"public_key":"\xff"}'}, 400, "request_invalid"),
    ("POST", "/v1/devices/x/release", {"headers": JSON, "content": '{"reason":"x"}'}, 400, "request_invalid"),
    ("POST", "/v1/devices/x/release", {"json": {"public_key": 7}}, 400, "request_invalid"),
    ("POST", "/v1/devices/x/release", {"json": {"public_key": "not base64"}}, 400, "request_invalid"),
    ("POST", "/v1/devices/x/release", {"json": {"public_key": "YWJj"}}, 400, "request_invalid"),
    ("POST", "/v1/devices/x/release", {"json": {"public_key": "A" * 70_000}}, 413, "request_invalid"),
    ("POST", "/v1/devices/x/release", {"headers": JSON, "content": iter([b"A" * 70_000])}, 413, "request_invalid"),
    ("POST", "/v1/releases/x/closed", {"json": {"how": "eaten"}}, 400, "request_invalid"),
    ("POST", "/v1/releases/x/closed", {"json": {"how": "hidden", "shown_seconds": "x"}}, 400, "request_invalid"),
    ("POST", "/v1/releases/x/closed", {"json": {"how": "hidden", "shown_seconds": "3"}}, 400, "request_invalid"),
    ("POST", "/v1/releases/x/checked", {"json": {"how": "right", "groups_right": 7}}, 400, "request_invalid"),
    ("POST", "/v1/releases/x/checked", {"json": {"how": "HJ4W", "groups_right": 6}}, 400, "request_invalid"),
]


@pytest.mark.parametrize(("method", "path", "options", "status", "code"), WRONG)
def test_what_cannot_be_understood_is_a_problem_document(
    broker: RunningBroker,
    sandbox: RunningSandbox,
    method: str,
    path: str,
    options: dict[str, Any],
    status: int,
    code: str,
) -> None:
    response = broker.ask(method, path, sandbox.token("ada"), **options)
    assert (response.status_code, problem_code(response)) == (status, code)
    assert response.headers["cache-control"] == "no-store"
    assert not sandbox.requests("/beta/")
    # Without a token, the first thing to learn is that one is missing.
    if status not in {404, 405}:
        options.pop("content", None)
        assert broker.ask(method, path, **options).status_code == 401


def test_a_request_that_breaks_off_is_no_fault_of_the_broker(
    broker: RunningBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """Anybody can send one without a token, so it must not trigger the alert on errors."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(broker.config.listen.url.removeprefix("unix:"))
        connection.sendall(
            b"POST /v1/releases/x/lost HTTP/1.1\r\nhost: b\r\ncontent-type: application/json\r\n"
            b"content-length: 100\r\n\r\n{"
        )
    wait_for(lambda: any("/lost" in record.getMessage() for record in caplog.records))
    (refused,) = (record for record in caplog.records if "/lost" in record.getMessage())
    assert refused.levelno == logging.WARNING
    assert "code=request_invalid" in refused.getMessage()


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("HEAD", "/healthz", 405, {"GET", "OPTIONS"}),
        ("POST", "/v1/session", 405, {"GET", "DELETE", "OPTIONS"}),
        ("GET", "/v1/releases/x/lost", 405, {"POST", "OPTIONS"}),
        ("OPTIONS", "/v1/releases/x/lost", 204, {"POST", "OPTIONS"}),
        ("OPTIONS", "/healthz", 204, {"GET", "OPTIONS"}),
        ("HEAD", "/v1/devices/x", 404, set()),
        ("OPTIONS", "/v1/devices/x", 404, set()),
        ("GET", "/healthz/", 200, set()),
        ("GET", "//healthz", 200, set()),
        ("GET", "/Healthz", 404, set()),
    ],
)
def test_methods_and_addresses(broker: RunningBroker, method: str, path: str, status: int, allow: set[str]) -> None:
    response = broker.ask(method, f"http://broker{path}")
    assert response.status_code == status
    assert set(filter(None, response.headers.get("allow", "").split(", "))) == allow
    assert response.headers["cache-control"] == "no-store"
    assert bool(response.content) == (status != 204 and method != "HEAD")


def test_an_unexpected_error_is_a_problem_document(
    broker: RunningBroker, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("these words may quote a secret")

    monkeypatch.setattr("kiosk.broker.releases.seal", broken)
    answer = broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id)
    assert (answer.response.status_code, answer.code) == (500, "internal")
    (row,) = broker.rows("release.refused")
    assert (row["outcome"], row["reference"]) == ("internal", answer.response.json()["reference"])
    assert "secret" not in answer.response.text + caplog.text
    assert "RuntimeError at test_service.py" in caplog.text
    assert row["reference"] in caplog.text


def test_a_lost_reveal_is_believed_from_anybody_who_knows_its_id(
    broker: RunningBroker, sandbox: RunningSandbox
) -> None:
    """Any other report is ignored: another ending, an unknown release, a second report."""
    answer = broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id)
    release_id = answer.response.json()["release_id"]

    def tell(known: str, how: str) -> int:
        return broker.ask("POST", f"/v1/releases/{known}/lost", json={"how": how}).status_code

    assert tell(release_id, "countdown") == 404
    assert tell("00000000-0000-4000-8000-000000000000", "crashed") == 404
    assert tell("x", "crashed") == 404
    assert not broker.rows("release.closed")
    assert tell(release_id, "crashed") == 204
    assert tell(release_id, "terminal_lost") == 204
    (closed,) = broker.rows("release.closed")
    assert (closed["outcome"], closed["oid"]) == ("crashed", sandbox.person("ada").oid)


def test_a_list_that_nobody_thought_of_is_on_the_record(
    broker: RunningBroker, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise LookupError("what no real answer is known to cause")

    monkeypatch.setattr(Graph, "devices_of", broken)
    response = broker.ask("GET", "/v1/devices", sandbox.token("ada"))
    assert (response.status_code, problem_code(response)) == (500, "internal")
    (row,) = broker.rows("devices.listed")
    assert (row["outcome"], row["reference"]) == ("internal", response.json()["reference"])


def test_what_goes_wrong_with_one_mac_ends_the_questions_about_the_others(
    broker: RunningBroker, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    given_up: list[str] = []

    async def broken(_graph: Graph, _question: object, device_id: str) -> frozenset[str]:
        asked.append(device_id)
        if len(asked) == 4:
            raise LookupError("what no real answer is known to cause")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            given_up.append(device_id)
            raise
        return frozenset()

    monkeypatch.setattr(Graph, "primary_users", broken)
    response = broker.ask("GET", "/v1/devices", sandbox.token("priya"))
    assert (response.status_code, problem_code(response)) == (500, "internal")
    assert set(given_up) == set(asked[:3])
