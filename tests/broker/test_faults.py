"""Faults of networks and services: each has its code and a row in the record, and none releases a key."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from kiosk.broker.tokens.signing_keys import PAUSE_SECONDS
from kiosk.clock import Clock
from tests.broker.conftest import Start
from tests.support.broker import MovedClock, RunningBroker, problem_code
from tests.support.sandbox import RunningSandbox, running_sandbox

KEY = "*/getFileVaultKey"
DEVICE = "/beta/deviceManagement/managedDevices/????????-????-????-????-????????????"
USERS = "*/users"
LIST = "/beta/deviceManagement/managedDevices"
TOKEN = "*/oauth2/v2.0/token"


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[RunningSandbox]:
    """Start a sandbox with two devices per page, so that there are several pages."""
    with tempfile.TemporaryDirectory() as name, running_sandbox(Path(name), graph={"page_size": 2}) as sandbox:
        yield sandbox


def in_the_future(seconds: float) -> int:
    return int(datetime.now(UTC).timestamp() + seconds)


FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("delay", {"seconds": 0.2}, ""),
    ("hang", {}, "graph_unavailable"),
    ("reset", {}, "graph_unavailable"),
    ("cut", {}, "graph_unavailable"),
    ("reset", {"times": 2}, ""),
    ("status", {"status": 400}, "graph_failed"),
    ("status", {"status": 401}, "graph_no_role"),
    ("status", {"status": 403}, "graph_no_permission"),
    ("status", {"status": 418}, "graph_failed"),
    ("status", {"status": 429, "retry_after": 0, "times": 2}, ""),
    ("status", {"status": 429}, "graph_throttled"),
    ("status", {"status": 429, "times": 3}, ""),
    ("status", {"status": 500}, "graph_unavailable"),
    ("status", {"status": 500, "times": 1}, ""),
    ("status", {"status": 503}, "graph_unavailable"),
    ("status", {"status": 503, "retry_after": 1, "times": 1}, ""),
    ("status", {"status": 504, "times": 2}, ""),
    ("html", {}, "graph_garbled"),
    ("truncated", {}, "graph_garbled"),
    ("wrong_type", {}, "graph_garbled"),
    ("huge", {}, "graph_garbled"),
]


@pytest.mark.parametrize(("kind", "more", "code"), FAULTS)
def test_faults_of_graph_at_the_key(
    broker: RunningBroker, sandbox: RunningSandbox, kind: str, more: dict[str, Any], code: str
) -> None:
    sandbox.fault(KEY, kind, **more)
    mac = sandbox.device("NW-AKESSLER-14")
    answer = broker.release(sandbox.token("ada"), mac.id)
    assert answer.code == code
    outcomes = [(row["event"], row["outcome"]) for row in broker.rows()]
    assert outcomes == [
        ("release.intended", "ok"),
        ("release.refused", code) if code else ("release.done", "ok"),
    ]
    row = broker.rows()[-1]
    asked = sandbox.requests("getFileVaultKey")
    assert row["client_request_id"] == asked[-1]["client_request_id"]
    assert len({request["client_request_id"] for request in asked}) == len(asked) <= 5
    if code:
        assert row["reference"] == answer.response.json()["reference"]
        assert "HJ4W" not in answer.response.text
    else:
        assert answer.key(sandbox.tenant, sandbox.person("ada").oid).decode() == mac.key


@pytest.mark.parametrize("path", [DEVICE, USERS])
@pytest.mark.parametrize(
    ("kind", "more", "code"),
    [
        ("reset", {}, "graph_unavailable"),
        ("status", {"status": 403}, "graph_no_permission"),
        ("status", {"status": 404}, "device_not_found"),
        ("status", {"status": 429}, "graph_throttled"),
        ("status", {"status": 503, "times": 1}, ""),
        ("html", {}, "graph_garbled"),
        ("truncated", {}, "graph_garbled"),
    ],
)
def test_faults_of_graph_before_the_decision(
    broker: RunningBroker, sandbox: RunningSandbox, path: str, kind: str, more: dict[str, Any], code: str
) -> None:
    sandbox.fault(path, kind, **more)
    assert broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id).code == code
    if code:
        assert [(row["event"], row["outcome"]) for row in broker.rows()] == [("release.refused", code)]
        assert not sandbox.requests("getFileVaultKey")


def told(code: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": "An internal server error has occurred"}}


NOTHING: dict[str, Any] = {"@odata.context": "https://graph.microsoft.com/beta/$metadata#Edm.String"}


@pytest.mark.parametrize("path", [KEY, DEVICE, USERS, LIST])
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"value": told("generalException")}, "graph_failed"),
        ({"value": told("generalException") | {"value": "HJ4W-HJ4W-HJ4W-HJ4W-HJ4W-HJ4W"}}, "graph_failed"),
        ({"value": told("Forbidden")}, "graph_no_permission"),
        ({"value": NOTHING}, "graph_garbled"),
        # With status 204, OData says that the result of a function is null.
        ({}, "graph_garbled"),
    ],
)
def test_an_answer_with_status_200_that_is_none(
    broker: RunningBroker, sandbox: RunningSandbox, path: str, answer: dict[str, Any], code: str
) -> None:
    """It says nothing about the Mac."""
    sandbox.fault(path, "json", **answer)
    if path == LIST:
        response = broker.ask("GET", "/v1/devices", sandbox.token("ada"))
    else:
        response = broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id).response
    assert problem_code(response) == ("key_not_escrowed" if path == KEY and not answer else code)


def test_a_device_that_is_removed_before_its_key_is_asked_for(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    sandbox.fault(KEY, "status", status=404)
    sandbox.fault(DEVICE, "status", status=404, skip=1)
    assert broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id).code == "device_not_found"
    assert broker.rows()[-1]["outcome"] == "device_not_found"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "json", "value": {"value": [None]}}, "graph_devices_unreadable"),
        ({"kind": "json", "value": {"value": [7, []]}}, "graph_devices_unreadable"),
        ({"kind": "set", "field": "value.*.id"}, "graph_devices_unreadable"),
        ({"kind": "set", "field": "value.*.id", "value": 7}, "graph_devices_unreadable"),
        ({"kind": "set", "field": "value.0.id", "value": 7}, ""),
    ],
)
def test_a_device_that_cannot_be_read_is_not_no_device(
    broker: RunningBroker, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture, fault: dict[str, Any], code: str
) -> None:
    sandbox.fault(LIST, **fault)
    response = broker.ask("GET", "/v1/devices", sandbox.token("ada"))
    assert (problem_code(response) if response.is_error else "") == code
    assert broker.rows()[-1]["outcome"] == (code or "ok")
    if not code:
        assert response.json()["devices"]
        assert "devices.unreadable" in caplog.text


@pytest.mark.parametrize("system", [{}, {"value": None}, {"value": "OS X"}])
def test_a_device_of_an_unknown_system_is_listed(
    broker: RunningBroker, sandbox: RunningSandbox, system: dict[str, Any]
) -> None:
    sandbox.fault(LIST, "set", field="value.*.operatingSystem", **system)
    sandbox.fault(DEVICE, "set", field="operatingSystem", **system)
    listed = broker.ask("GET", "/v1/devices", sandbox.token("ada")).json()["devices"]
    assert {device["refusal"] for device in listed} == {"device_system_unknown"}
    answer = broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id)
    assert answer.code == "device_system_unknown"


@pytest.mark.parametrize(
    ("date", "code"), [("0001-01-01T00:00:00Z", "key_never_reported"), ("not a date", "key_not_escrowed")]
)
def test_a_date_that_cannot_be_read_is_not_never(
    broker: RunningBroker, sandbox: RunningSandbox, date: str, code: str
) -> None:
    sandbox.fault(LIST, "set", field="value.*.lastSyncDateTime", value=date)
    sandbox.fault(DEVICE, "set", field="lastSyncDateTime", value=date)
    sandbox.fault(KEY, "status", status=404)
    listed = broker.ask("GET", "/v1/devices", sandbox.token("ada")).json()["devices"]
    assert {(one["last_seen"], one["never_seen"]) for one in listed} == {(None, code == "key_never_reported")}
    assert broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id).code == code


def test_a_missing_key_is_no_fault(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    sandbox.fault(KEY, "status", status=404)
    assert broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id).code == "key_not_escrowed"
    assert len(sandbox.requests("getFileVaultKey")) == 1


def test_how_long_entra_id_wants_us_to_wait_is_passed_on(start: Start, sandbox: RunningSandbox) -> None:
    with start() as broker:
        sandbox.fault(TOKEN, "status", method="POST", status=429, retry_after=60)
        answer = broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id)
    assert (answer.code, answer.response.headers.get("retry-after")) == ("entra_busy", "60")


@pytest.mark.parametrize("path", [KEY, DEVICE, USERS])
def test_how_long_to_wait_is_passed_on_and_remembered(start: Start, sandbox: RunningSandbox, path: str) -> None:
    mac, clock = sandbox.device("NW-AKESSLER-14").id, MovedClock()
    with start(clock) as broker:
        sandbox.fault(path, "status", status=429, retry_after=60)
        answer = broker.release(sandbox.token("ada"), mac)
        assert (answer.code, answer.response.status_code) == ("graph_throttled", 503)
        assert answer.response.headers["retry-after"] == "60"
        assert answer.response.json()["retry_after"] == 60
        # A wait this long is left to the person, so the broker has not retried.
        assert sandbox.faults()[0]["hits"] == 1
        sandbox.clear_faults()
        sandbox.clear_requests()
        # Nor does it ask for anybody else before that time is over.
        clock.ahead += timedelta(seconds=20)
        listed = broker.ask("GET", "/v1/devices", sandbox.token("jonas"))
        assert problem_code(listed) == "graph_throttled"
        assert 30 < listed.json()["retry_after"] <= 40
        assert broker.release(sandbox.token("ada"), mac).code == "graph_throttled"
        assert not sandbox.requests("/beta/")
        clock.ahead += timedelta(seconds=41)
        assert broker.release(sandbox.token("ada"), mac).code == ""


def test_a_short_wait_is_waited_for(start: Start, sandbox: RunningSandbox) -> None:
    with start() as broker:
        sandbox.fault(DEVICE, "status", status=429, retry_after=1, times=1)
        assert broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id).code == ""


def test_graph_is_asked_again_after_some_minutes_whatever_it_said(start: Start, sandbox: RunningSandbox) -> None:
    mac, clock = sandbox.device("NW-AKESSLER-14").id, MovedClock()
    with start(clock) as broker:
        sandbox.fault(DEVICE, "status", status=429, retry_after=86_400, times=1)
        assert broker.release(sandbox.token("ada"), mac).code == "graph_throttled"
        clock.ahead += timedelta(seconds=301)
        assert broker.release(sandbox.token("ada"), mac).code == ""


@contextlib.contextmanager
def with_its_own_sandbox(
    start: Start, clock: Clock | None = None, **settings: Any
) -> Iterator[tuple[RunningBroker, RunningSandbox]]:
    with tempfile.TemporaryDirectory() as name, running_sandbox(Path(name), **settings) as sandbox:
        about = {"authority": sandbox.authority, "ca_bundle": sandbox.ca}
        graph = about | {"url": f"{sandbox.url}/beta", "certificate": sandbox.directory / "broker.pem"}
        with start(clock, tokens=about, graph=graph) as broker:
            yield broker, sandbox


def test_a_token_that_graph_no_longer_takes_is_renewed(start: Start) -> None:
    clock = MovedClock()
    with with_its_own_sandbox(start, clock) as (broker, sandbox):
        mac = sandbox.device("NW-AKESSLER-14").id
        assert broker.release(sandbox.token("ada"), mac).code == ""
        sandbox.rotate_keys(keep_old=False)
        clock.ahead = timedelta(seconds=PAUSE_SECONDS)
        sandbox.clear_requests()
        assert broker.release(sandbox.token("ada"), mac).code == ""
        assert [asked["status"] for asked in sandbox.requests("/beta/")] == [401, 200, 200, 200]
        assert len(sandbox.requests("/oauth2/v2.0/token")) == 1


def test_a_token_is_renewed_only_once(start: Start, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiosk.broker.graph.credential.Credential._acquire", lambda self: "nonsense")
    with start() as broker:
        assert broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id).code == "graph_refused"
        assert [asked["status"] for asked in sandbox.requests("/beta/")] == [401, 401]


def test_a_missing_right_that_is_called_401_is_not_asked_again(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    """Intune answers 401 and wraps "Forbidden" in strings."""
    sandbox.fault(KEY, "status", status=401)
    assert broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id).code == "graph_no_role"
    assert len(sandbox.requests("getFileVaultKey")) == 1
    assert not sandbox.requests("/oauth2/v2.0/token")


def test_a_certificate_that_entra_does_not_know(start: Start, sandbox: RunningSandbox, tmp_path: Path) -> None:
    """Once the right certificate is on disk, the next request uses it."""
    right = (sandbox.directory / "broker.pem").read_bytes()
    certificate = tmp_path / "certificate.pem"
    stranger = trustme.CA().issue_cert("somebody.example", key_type=trustme.KeyType.RSA)
    certificate.write_bytes(stranger.private_key_and_cert_chain_pem.bytes())
    with start(graph={"certificate": certificate}) as broker:
        assert broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id).code == "graph_certificate"
        certificate.write_bytes(b"half a file")
        assert broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id).code == "graph_certificate"
        certificate.write_bytes(right)
        assert broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id).code == ""


def test_the_right_to_read_keys_is_missing(start: Start) -> None:
    permissions = ["DeviceManagementManagedDevices.Read.All"]
    with with_its_own_sandbox(start, tenant={"permissions": permissions}) as (broker, sandbox):
        assert broker.ask("GET", "/v1/devices", sandbox.token("ada")).status_code == 200
        answer = broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id)
        assert (answer.code, answer.response.status_code) == ("graph_no_permission", 502)


@pytest.mark.parametrize(
    ("kind", "more", "code"),
    [
        ("status", {"status": 503}, "entra_busy"),
        ("status", {"status": 502}, "entra_busy"),
        ("status", {"status": 429}, "entra_busy"),
        ("aadsts", {"aadsts": 90033}, "entra_busy"),
        ("reset", {}, "entra_unavailable"),
        ("hang", {}, "entra_unavailable"),
        ("html", {}, "entra_garbled"),
        ("truncated", {}, "entra_garbled"),
        ("huge", {}, "entra_garbled"),
        ("json", {"value": {}}, "entra_garbled"),
        ("json", {"value": {"access_token": "two words"}}, "entra_garbled"),
        ("aadsts", {"aadsts": 65001}, "entra_consent"),
        ("aadsts", {"aadsts": 7000229}, "entra_consent"),
        ("aadsts", {"aadsts": 700016}, "entra_client"),
        ("aadsts", {"aadsts": 90002}, "entra_tenant"),
        ("aadsts", {"aadsts": 700027}, "graph_certificate"),
        ("aadsts", {"aadsts": 7000222}, "graph_certificate"),
        ("aadsts", {"aadsts": 53003}, "entra_refused"),
        ("aadsts", {"aadsts": 99999999}, "entra_refused"),
    ],
)
def test_entra_gives_the_broker_no_token(
    start: Start, sandbox: RunningSandbox, kind: str, more: dict[str, Any], code: str
) -> None:
    with start() as broker:
        sandbox.fault(TOKEN, kind, method="POST", **more)
        answer = broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id)
        assert answer.code == code
        assert not sandbox.requests("/beta/")
        # A failure is not cached: the next request tries again.
        sandbox.clear_faults()
        assert broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id).code == ""


def test_a_tenant_that_entra_does_not_know(start: Start, sandbox: RunningSandbox) -> None:
    """Already the discovery document of the authority says so."""
    with start(graph={"authority": f"{sandbox.url}/99999999-2222-3333-4444-555555555555"}) as broker:
        assert broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id).code == "entra_tenant"


def test_an_authority_that_hangs_delays_nobody(start: Start, sandbox: RunningSandbox) -> None:
    clock = MovedClock()
    token = sandbox.token("ada")
    with start(clock) as broker:
        assert broker.ask("GET", "/v1/session", token).status_code == 200
        sandbox.fault("*/openid-configuration", "hang")
        clock.ahead = timedelta(hours=2)
        fresh = sandbox.token("ada", iat=in_the_future(7200), exp=in_the_future(9000), auth_time=in_the_future(7200))
        broker.http.timeout = httpx.Timeout(5)
        assert [broker.ask("GET", "/v1/session", fresh).status_code for _ in range(3)] == [200] * 3
        assert broker.ask("GET", "/readyz").status_code == 200


def test_pages_are_followed(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    everything = [device for device in sandbox.data.devices() if device.user == sandbox.person("wei").oid]
    listed = broker.ask("GET", "/v1/devices", sandbox.token("wei")).json()["devices"]
    assert [device["id"] for device in listed] == [
        device.id for device in sorted(everything, key=lambda device: device.seen, reverse=True) if device.os == "macOS"
    ]
    assert len(listed) > 4
    assert len([one for one in sandbox.requests() if one["path"] == LIST]) == (len(everything) + 1) // 2


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "status", "status": 503, "skip": 1}, "graph_unavailable"),
        ({"kind": "status", "status": 429, "skip": 2}, "graph_throttled"),
        ({"kind": "truncated", "skip": 1}, "graph_garbled"),
        ({"kind": "html", "skip": 1}, "graph_garbled"),
        ({"kind": "reset", "skip": 1, "times": 1}, ""),
        ({"kind": "status", "status": 503, "skip": 2, "times": 2}, ""),
    ],
)
def test_a_page_in_the_middle_fails(
    broker: RunningBroker, sandbox: RunningSandbox, fault: dict[str, Any], code: str
) -> None:
    sandbox.fault(LIST, **fault)
    response = broker.ask("GET", "/v1/devices", sandbox.token("wei"))
    assert (problem_code(response) if response.is_error else "") == code
    (row,) = broker.rows()
    assert (row["event"], row["outcome"]) == ("devices.listed", code or "ok")
    asked = {request["client_request_id"] for request in sandbox.requests(LIST)}
    assert row["client_request_id"] in asked
    if code:
        assert row["reference"] == response.json()["reference"]


def test_the_list_lives_without_the_primary_users(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    sandbox.fault(USERS, "status", status=403)
    listed = broker.ask("GET", "/v1/devices", sandbox.token("luc")).json()["devices"]
    refusals = {device["name"]: device["refusal"] for device in listed}
    assert refusals["NW-HANDOVER"] is None
    assert refusals["NW-WIPED-01"] == "device_wiping"


def test_all_time_together_is_bounded(start: Start, sandbox: RunningSandbox) -> None:
    sandbox.fault("/beta/*", "delay", seconds=0.7)
    with start(graph={"total_seconds": 1}) as broker:
        answer = broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id)
        assert answer.code == "graph_unavailable"
        assert answer.response.elapsed.total_seconds() < 2


def test_a_client_that_goes_away_leaves_an_outcome(start: Start, sandbox: RunningSandbox) -> None:
    sandbox.fault(KEY, "delay", seconds=0.5)
    with start() as broker:
        broker.http.timeout = httpx.Timeout(0.3)
        with pytest.raises(httpx.ReadTimeout):
            broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id)
    # The broker has shut down cleanly and waited for the release in progress.
    assert [row["event"] for row in broker.rows()] == [
        "broker.started",
        "configuration.changed",
        "release.intended",
        "release.done",
        "broker.stopped",
    ]
