"""Why a key is missing or may not work, from Graph's data. The diagnosis never fails a request by itself."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kiosk.broker.graph.encryption import EncryptionState, key_warning, read_encryption, why_no_key
from kiosk.broker.graph.managed_device import ManagedDevice, read_device
from kiosk.models import Devices, Problem, Release
from tests.broker.conftest import Start
from tests.support.broker import RunningBroker
from tests.support.sandbox import RunningSandbox, running_sandbox

STATES = "/beta/deviceManagement/managedDeviceEncryptionStates/*"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ID = "00000000-0000-0000-0000-000000000001"
NEVER: dict[str, Any] = {"last_seen": None, "never_seen": True}
MAC = ManagedDevice(
    id=ID,
    name="Mac",
    model="",
    serial="",
    os="macOS",
    os_version="",
    last_seen=NOW - timedelta(hours=1),
    user_id="",
    owner="company",
    state="managed",
    agent="mdm",
    enrolled=NOW - timedelta(days=90),
)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("priya NW-PRAMAN-LOAN", "key_encryption_deferred"),
        ("priya NW-PRAMAN-NEW", "key_never_reported"),
        ("sofia NW-SMARINO-NULL", "key_with_person"),
        ("sofia NW-SMARINO-EMPTY", "key_escrow_off"),
        ("sofia NW-SMARINO-PLAIN", "key_not_encrypted"),
        ("sofia NW-SMARINO-NOBODY", "key_no_policy"),
        ("sofia NW-SMARINO-SILENT", "key_not_reported"),
        ("sofia NW-SMARINO-GONE", "key_not_escrowed"),
    ],
)
def test_every_cause_in_the_simulated_tenant(
    broker: RunningBroker, sandbox: RunningSandbox, name: str, code: str
) -> None:
    person, name = name.split()
    answer = broker.release(sandbox.token(person), sandbox.device(name).id)
    assert (answer.code, answer.response.status_code) == (code, 404)
    assert [(row["event"], row["outcome"]) for row in broker.rows()] == [
        ("release.intended", "ok"),
        ("release.refused", code),
    ]
    problem = msgspec.json.decode(answer.response.content, type=Problem)
    (asked,) = sandbox.requests("getFileVaultKey")
    refused = broker.rows()[-1]
    assert problem.client_request_id == refused["client_request_id"] == asked["client_request_id"]
    assert problem.request_id == refused["request_id"] != ""
    assert problem.reference == refused["reference"]


def test_only_the_device_that_somebody_asks_for_is_looked_into(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    token = sandbox.token("sofia")
    broker.ask("GET", "/v1/devices", token)
    assert not sandbox.requests("EncryptionStates")
    broker.release(token, sandbox.device("NW-SMARINO-ODD").id)
    assert not sandbox.requests("EncryptionStates")
    broker.release(token, sandbox.device("NW-SMARINO-NULL").id)
    assert len(sandbox.requests("EncryptionStates")) == 1


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("status", {"status": 403}),
        ("status", {"status": 404}),
        ("status", {"status": 429}),
        ("status", {"status": 500}),
        ("hang", {}),
        ("reset", {}),
        ("html", {}),
        ("truncated", {}),
        ("huge", {}),
        ("wrong_type", {}),
    ],
)
def test_without_a_diagnosis_the_cause_is_the_general_one(
    broker: RunningBroker, sandbox: RunningSandbox, kind: str, more: dict[str, Any]
) -> None:
    sandbox.fault(STATES, kind, **more)
    answer = broker.release(sandbox.token("sofia"), sandbox.device("NW-SMARINO-NULL").id)
    assert answer.code == "key_not_escrowed"
    assert broker.rows()[-1]["outcome"] == "key_not_escrowed"


def test_the_permission_for_it_is_not_needed(start: Start) -> None:
    permissions = ["DeviceManagementManagedDevices.Read.All", "DeviceManagementManagedDevices.PrivilegedOperations.All"]
    with tempfile.TemporaryDirectory() as name:
        tenant = {"permissions": permissions}
        with running_sandbox(Path(name), tenant=tenant) as sandbox:
            about = {"authority": sandbox.authority, "ca_bundle": sandbox.ca}
            graph = about | {"url": f"{sandbox.url}/beta", "certificate": sandbox.directory / "broker.pem"}
            with start(tokens=about, graph=graph) as broker:
                token = sandbox.token("sofia")
                assert broker.release(token, sandbox.device("NW-SMARINO-NULL").id).code == "key_not_escrowed"
                never = broker.release(sandbox.token("priya"), sandbox.device("NW-PRAMAN-NEW").id)
                assert never.code == "key_never_reported"
                assert [asked["status"] for asked in sandbox.requests("EncryptionStates")] == [403, 403]


def test_a_key_that_may_be_out_of_date_comes_with_a_warning(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    for person, name in (("marit", "NW-MSOLBERG-TURN"), ("sofia", "NW-SMARINO-TURNED")):
        token, mac = sandbox.token(person), sandbox.device(name)
        listed = msgspec.json.decode(broker.ask("GET", "/v1/devices", token).content, type=Devices).devices
        assert [device.name for device in listed if device.warning] == [name]
        assert [device.warning for device in listed if device.warning] == ["key_rotated"]
        answer = broker.release(token, mac.id)
        assert msgspec.json.decode(answer.response.content, type=Release).warning == "key_rotated"
        assert answer.key(sandbox.tenant, sandbox.person(person).oid).decode() == mac.key
    plain = broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id)
    assert msgspec.json.decode(plain.response.content, type=Release).warning is None


@pytest.mark.parametrize(
    ("state", "changes", "code"),
    [
        (("encrypted", "compliant", "success"), {}, "key_not_escrowed"),
        (("encrypted", "error", "escrowNotEnabled"), {}, "key_escrow_off"),
        (("encrypted", "error", "driveEncryptedByUser,escrowNotEnabled"), {}, "key_with_person"),
        (("encrypted", "error", "escrowNotEnabled, driveEncryptedByUser"), {}, "key_with_person"),
        (("encrypted", "notAssigned", "driveEncryptedByUser"), {}, "key_with_person"),
        (("encrypted", "notAssigned", ""), {}, "key_no_policy"),
        (("notEncrypted", "error", "userDeferredEncryption"), {}, "key_encryption_deferred"),
        (("notEncrypted", "nonCompliant", None), {}, "key_not_encrypted"),
        (("notEncrypted", "notApplicable", None), {}, "key_no_policy"),
        (("notEncrypted", "unknown", None), {}, "key_not_reported"),
        (("notEncrypted", None, None), {}, "key_not_reported"),
        # Graph's two views of one Mac contradict each other.
        (("notEncrypted", "error", "userDeferredEncryption"), {"encrypted": True}, "key_not_escrowed"),
        (("encrypted", "error", "driveEncryptedByUser"), {"encrypted": False}, "key_not_escrowed"),
        (("encrypted", "error", "escrowNotEnabled"), {"encrypted": True}, "key_escrow_off"),
        # Unknown values explain nothing.
        (("encrypted", "somethingNew", "somethingNew"), {}, "key_not_escrowed"),
        (("somethingNew", "notAssigned", "driveEncryptedByUser"), {}, "key_not_escrowed"),
        ((7, ["x"], {"success": 1}), {}, "key_not_escrowed"),
        # The Mac has never reported, or only at its enrolment.
        (("notEncrypted", "error", "userDeferredEncryption"), NEVER, "key_never_reported"),
        (None, NEVER, "key_never_reported"),
        # When it last reported is not known.
        (None, {"last_seen": None}, "key_not_escrowed"),
        (None, {"last_seen": None, "enrolled": NOW}, "key_not_escrowed"),
        (("encrypted", "error", "escrowNotEnabled"), {"last_seen": None}, "key_escrow_off"),
        (None, {"enrolled": NOW - timedelta(hours=1, minutes=10)}, "key_not_reported"),
        (None, {"enrolled": NOW}, "key_not_reported"),
        (None, {"enrolled": NOW - timedelta(hours=2)}, "key_not_escrowed"),
        (None, {"enrolled": None, "encrypted": True}, "key_not_escrowed"),
        (None, {"encrypted": False}, "key_not_escrowed"),
    ],
)
def test_what_the_words_of_graph_mean(state: tuple[object, ...] | None, changes: dict[str, Any], code: str) -> None:
    read: EncryptionState | None = None
    if state:
        names = ("encryptionState", "encryptionPolicySettingState", "fileVaultStates")
        read = read_encryption(dict(zip(names, state, strict=True)))
    assert why_no_key(replace(MAC, **changes), read).code == code


def result(state: object, hours: float, name: object = "rotateFileVaultKey") -> dict[str, object]:
    at = (NOW + timedelta(hours=hours)).isoformat()
    return {
        "actionName": name,
        "actionState": state,
        "startDateTime": at,
        "lastUpdatedDateTime": "0001-01-01T00:00:00Z",
    }


@pytest.mark.parametrize(
    ("results", "warned"),
    [
        ([], False),
        (None, False),
        ([result("pending", -1)], True),
        ([result("active", -1)], True),
        ([result("done", -1)], True),
        ([result("done", -1, "ROTATEFILEVAULTKEY")], True),
        ([result("done", -3)], False),
        ([result("pending", -3), result("pending", -1)], True),
        ([result("failed", -1)], False),
        ([result("canceled", -1)], False),
        ([result("notSupported", -1)], False),
        ([result("none", -1)], False),
        ([result("pending", -1, "syncDevice")], False),
        ([result("pending", 999_999)], False),
        (["x", 7, None, {}, {"actionName": 1}, result(None, -1)], False),
    ],
)
def test_a_rotation_after_the_last_report_is_a_warning(results: object, warned: bool) -> None:
    item = {"id": ID, "lastSyncDateTime": (NOW - timedelta(hours=2)).isoformat(), "deviceActionResults": results}
    device = read_device(item, NOW)
    assert device is not None
    assert (key_warning(device) == "key_rotated") == warned
