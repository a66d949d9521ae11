"""Graph: lists, filters, keys and errors on the wire."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx
import pytest

from tests.support.sandbox import RunningSandbox

DEVICES = "deviceManagement/managedDevices"


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return {"graph": {"page_size": 20}}


def names(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [device["deviceName"] for device in response.json()["value"]]


def nested(response: httpx.Response) -> str:
    """Return the ErrorCode of the JSON inside the message. Checks that the innermost string is JSON as well."""
    outer = json.loads(response.json()["error"]["message"])
    inner = json.loads(outer["Message"])
    assert inner["_version"] == 3
    assert "Activity ID: " in inner["Message"]
    return str(outer["ErrorCode"])


@pytest.mark.parametrize("version", ["v1.0", "beta"])
def test_pages(sandbox: RunningSandbox, graph: httpx.Client, version: str) -> None:
    found: list[str] = []
    url, pages = f"/{version}/{DEVICES}?$count=true", 0
    while url:
        body = graph.get(url).json()
        assert body["@odata.count"] == len(list(sandbox.data.devices()))
        assert len(body["value"]) <= 20
        found += [device["id"] for device in body["value"]]
        url, pages = body.get("@odata.nextLink", ""), pages + 1
        assert not url or url.startswith(f"{sandbox.url}/{version}/{DEVICES}?")
    assert found == [device.id for device in sandbox.data.devices()]
    assert pages == 4


def test_next_links_keep_the_question(graph: httpx.Client) -> None:
    first = graph.get(f"/beta/{DEVICES}", params={"$filter": "startswith(deviceName,'NW-LAB-')", "$top": "7"})
    rest = graph.get(first.json()["@odata.nextLink"])
    assert len(names(first)) == len(names(rest)) == 7
    assert set(names(first)).isdisjoint(names(rest))
    assert all(name.startswith("NW-LAB-") for name in names(first) + names(rest))


def test_a_device_as_v1_and_beta_have_it(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    device = sandbox.device("NW-AKESSLER-14")
    v1 = graph.get(f"/v1.0/{DEVICES}/{device.id}").json()
    beta = graph.get(f"/beta/{DEVICES}('{device.id.upper()}')").json()
    assert v1["@odata.context"].endswith("#deviceManagement/managedDevices/$entity")
    for name in ("ownerType", "deviceType", "joinType", "enrolledByUserPrincipalName", "bootstrapTokenEscrowed"):
        assert name in beta
        assert name not in v1
    assert (beta["operatingSystem"], beta["managedDeviceOwnerType"], beta["managementAgent"]) == (
        "macOS",
        "company",
        "mdm",
    )
    assert (beta["userId"], beta["userPrincipalName"]) == (device.user, "ada.kessler@nordwind.example")
    assert (beta["managementState"], beta["complianceState"], beta["deviceActionResults"]) == (
        "managed",
        "compliant",
        [],
    )
    assert beta["lastSyncDateTime"].endswith("Z")


def test_details_only_when_asked_for_by_name(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    device = sandbox.device("NW-AKESSLER-14")
    select = {"$select": "id,udid,hardwareInformation"}
    assert graph.get(f"/beta/{DEVICES}/{device.id}").json()["udid"] is None
    listed = graph.get(f"/beta/{DEVICES}", params=select).json()["value"][0]
    assert listed == {"id": listed["id"], "udid": None, "hardwareInformation": None}
    one = graph.get(f"/beta/{DEVICES}/{device.id}", params=select).json()
    assert one["udid"]
    assert one["hardwareInformation"]["serialNumber"] == device.serial
    assert set(one) == {"@odata.context", "id", "udid", "hardwareInformation"}


def test_never_seen(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    device = graph.get(f"/v1.0/{DEVICES}/{sandbox.device('NW-PRAMAN-NEW').id}").json()
    assert device["lastSyncDateTime"] == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("deviceName eq 'nw-akessler-14'", 1),
        ("contains(deviceName,'kessler')", 2),
        ("startswith(deviceName, 'NW-LAB-0')", 9),
        ("serialNumber eq 'H4XQ7LM2PN'", 1),
        ("operatingSystem eq 'Windows'", 3),
        ("userPrincipalName eq 'wei.zhang@nordwind.example'", 20),
        ("userPrincipalName eq 'wei.zhang@nordwind.example' and operatingSystem eq 'Windows'", 1),
        ("userPrincipalName eq 'nobody@nordwind.example'", 0),
        ("userId eq ''", 3),
        ("lastSyncDateTime lt 0001-01-02T00:00:00Z", 1),
        ("enrolledDateTime ge 2020-01-01 and enrolledDateTime le 2020-12-31T23:59:59Z", 2),
        ("deviceName eq 'Emil''s MacBook'", 1),
        ("jailBroken eq 'Unknown' and deviceName eq '佐藤のMacBook Pro'", 1),
        ("azureADDeviceId eq '00000000-0000-0000-0000-000000000000'", 0),
    ],
)
def test_filters(graph: httpx.Client, condition: str, expected: int) -> None:
    assert len(names(graph.get(f"/v1.0/{DEVICES}", params={"$filter": condition}))) == expected


@pytest.mark.parametrize(
    "query",
    [
        {"$filter": "deviceName eq 'a' or deviceName eq 'b'"},
        {"$filter": "model eq 'Mac mini'"},
        {"$filter": "deviceName ne 'a'"},
        {"$filter": "deviceName eq 'a"},
        {"$filter": "contains(serialNumber,'H')"},
        {"$filter": "endswith(deviceName,'a')"},
        {"$filter": "lastSyncDateTime lt 'yesterday'"},
        {"$filter": "lastSyncDateTime lt 2026-99-99"},
        {"$filter": "deviceName eq 'a' and"},
        {"$filter": "not deviceName eq 'a'"},
        {"$select": "id,recoveryKey"},
        {"$select": "ownerType"},
        {"$orderby": "model"},
        {"$orderby": "deviceName sideways"},
        {"$top": "many"},
        {"$skip": "-1"},
        {"$skiptoken": "made-up"},
        {"$expand": "users"},
        {"$search": "mac"},
    ],
)
def test_what_the_service_does_not_do(graph: httpx.Client, query: dict[str, str]) -> None:
    response = graph.get(f"/v1.0/{DEVICES}", params=query)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "BadRequest")


def test_order_skip_and_top(graph: httpx.Client) -> None:
    query = {"$filter": "startswith(deviceName,'NW-LAB-')", "$orderby": "deviceName desc", "$skip": "1", "$top": "3"}
    assert names(graph.get(f"/beta/{DEVICES}", params=query)) == ["NW-LAB-24", "NW-LAB-23", "NW-LAB-22"]
    query["$orderby"] = "lastSyncDateTime,deviceName"
    assert len(names(graph.get(f"/beta/{DEVICES}", params=query))) == 3


def test_the_devices_of_a_person(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    luc = sandbox.person("luc")
    by_filter = graph.get(f"/v1.0/{DEVICES}", params={"$filter": f"userId eq '{luc.oid}'"})
    by_person = graph.get(f"/v1.0/users/{luc.oid}/managedDevices")
    by_address = graph.get(f"/v1.0/users/{luc.address}/managedDevices")
    assert names(by_filter) == names(by_person) == names(by_address)
    assert "NW-HANDOVER" in names(by_person)
    assert names(graph.get(f"/v1.0/users/{sandbox.person('tomas').oid}/managedDevices")) == []
    unknown = graph.get(f"/v1.0/users/{uuid.uuid4()}/managedDevices")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "Request_ResourceNotFound")


def test_the_primary_user(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    def users(name: str) -> list[str]:
        return [one["id"] for one in graph.get(f"/beta/{DEVICES}/{sandbox.device(name).id}/users").json()["value"]]

    assert users("NW-AKESSLER-14") == [sandbox.person("ada").oid]
    assert users("NW-HANDOVER") == [sandbox.person("ada").oid]
    assert sandbox.device("NW-HANDOVER").user == sandbox.person("luc").oid
    assert users("NW-POOL-07") == users("NW-FRONTDESK") == []


@pytest.mark.parametrize("spelling", ["{}/getFileVaultKey", "{}/getFileVaultKey()", "('{}')/getFileVaultKey"])
def test_the_key(sandbox: RunningSandbox, graph: httpx.Client, spelling: str) -> None:
    device = sandbox.device("NW-AKESSLER-14")
    path = f"/beta/{DEVICES}" + ("" if spelling.startswith("(") else "/") + spelling.format(device.id)
    response = graph.get(path)
    assert response.json() == {
        "@odata.context": "https://graph.microsoft.com/beta/$metadata#Edm.String",
        "value": device.key,
    }
    assert response.headers["cache-control"] == "no-store"


def test_no_key_in_all_its_forms(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    def key(name: str) -> httpx.Response:
        return graph.get(f"/beta/{DEVICES}/{sandbox.device(name).id}/getFileVaultKey")

    missing = key("NW-PRAMAN-LOAN")
    assert (missing.status_code, nested(missing)) == (404, "ResourceNotFound")
    assert key("NW-SMARINO-NULL").json()["value"] is None
    assert key("NW-SMARINO-EMPTY").json()["value"] == ""
    assert key("NW-SMARINO-ODD").json()["value"] == "<not a recovery key>"
    personal = key("Emil's MacBook")
    assert (personal.status_code, nested(personal)) == (403, "Forbidden")
    unknown = graph.get(f"/beta/{DEVICES}/{uuid.uuid4()}/getFileVaultKey")
    assert (unknown.status_code, nested(unknown)) == (404, "ResourceNotFound")


def test_encryption_states_say_why(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    def state(name: str) -> tuple[str, str, str | None]:
        path = f"/beta/deviceManagement/managedDeviceEncryptionStates/{sandbox.device(name).id}"
        body = graph.get(path).json()
        return body["encryptionState"], body["encryptionReadinessState"], body["fileVaultStates"]

    assert state("NW-AKESSLER-14") == ("encrypted", "ready", "success")
    assert state("NW-PRAMAN-LOAN") == ("notEncrypted", "ready", "userDeferredEncryption")
    assert state("NW-SMARINO-NULL") == ("encrypted", "ready", "driveEncryptedByUser")
    assert state("NW-SMARINO-EMPTY") == ("encrypted", "ready", "escrowNotEnabled")
    assert state("NW-PRAMAN-NEW") == ("notEncrypted", "notReady", None)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/v1.0/deviceManagement/managedDevices/{id}/getFileVaultKey", "BadRequest"),
        ("POST", "/v1.0/deviceManagement/managedDevices/{id}/rotateFileVaultKey", "BadRequest"),
        ("POST", "/beta/deviceManagement/managedDevices/{id}/getFileVaultKey", "No method match route template"),
        ("GET", "/beta/deviceManagement/managedDevices/{id}/rotateFileVaultKey", "No method match route template"),
        ("GET", "/v1.0/users/{user}/managedDevices/{id}", "No method match route template"),
        ("GET", "/beta/users/{user}/managedDevices/{id}/getFileVaultKey", "No method match route template"),
        ("DELETE", "/beta/deviceManagement/managedDevices/{id}", "No method match route template"),
        ("POST", "/beta/deviceManagement/managedDevices", "No method match route template"),
        ("POST", "/beta/deviceManagement/managedDevices/{id}/wipe", "BadRequest"),
        ("GET", "/beta/deviceManagement/nothing", "BadRequest"),
        ("GET", "/beta/users/{user}/nothing", "BadRequest"),
        ("GET", "/beta/nothing", "BadRequest"),
        ("GET", "/beta", "BadRequest"),
        ("GET", "/v1.0/me/managedDevices", "BadRequest"),
    ],
)
def test_routes_that_are_not_served(
    sandbox: RunningSandbox, graph: httpx.Client, method: str, path: str, code: str
) -> None:
    place = path.format(id=sandbox.device("NW-AKESSLER-14").id, user=sandbox.person("ada").oid)
    response = graph.request(method, place)
    assert (response.status_code, response.json()["error"]["code"]) == (400, code)


def test_ids_and_headers(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    mine = str(uuid.uuid4())
    for path in (f"/v1.0/{DEVICES}", "/v1.0/nothing"):
        response = graph.get(path, headers={"client-request-id": mine})
        assert response.headers["client-request-id"] == mine
        assert uuid.UUID(response.headers["request-id"])
        assert json.loads(response.headers["x-ms-ags-diagnostic"])["ServerInfo"]
        assert response.headers["date"]
    inner = response.json()["error"]["innerError"]
    assert (inner["client-request-id"], inner["request-id"]) == (mine, response.headers["request-id"])
    alone = graph.get(f"/v1.0/{DEVICES}")
    assert alone.headers["client-request-id"] == alone.headers["request-id"]
    assert sandbox.requests(DEVICES)[-2]["client_request_id"] == mine


READ = "DeviceManagementManagedDevices.Read.All"
PRIVILEGED = "DeviceManagementManagedDevices.PrivilegedOperations.All"
CONFIGURATION = "DeviceManagementConfiguration.Read.All"


@pytest.mark.parametrize("role", [READ, "DeviceManagementManagedDevices.ReadWrite.All", PRIVILEGED, CONFIGURATION, ""])
def test_permissions_gate_the_routes(sandbox: RunningSandbox, client: httpx.Client, role: str) -> None:
    client.headers["authorization"] = f"Bearer {sandbox.token(None, roles=[role] if role else [])}"
    device = sandbox.device("NW-AKESSLER-14").id
    may_read = role.endswith(("Devices.Read.All", "Devices.ReadWrite.All"))
    for method, path, allowed in (
        ("GET", DEVICES, may_read),
        ("GET", f"{DEVICES}/{device}", may_read),
        ("GET", f"{DEVICES}/{device}/users", may_read),
        ("GET", f"users/{sandbox.person('ada').oid}/managedDevices", may_read),
        ("GET", f"{DEVICES}/{device}/getFileVaultKey", role == PRIVILEGED),
        ("POST", f"{DEVICES}/{device}/rotateFileVaultKey", role == PRIVILEGED),
        ("GET", f"deviceManagement/managedDeviceEncryptionStates/{device}", role == CONFIGURATION),
    ):
        response = client.request(method, f"/beta/{path}")
        assert response.is_success is allowed, path
        if not allowed:
            assert (response.status_code, response.json()["error"]["code"]) == (403, "Forbidden")
            assert "Application is not authorized to perform this operation" in response.text
    directory = client.get(f"/v1.0/users/{sandbox.person('ada').oid}")
    assert (directory.status_code, directory.json()["error"]["code"]) == (403, "Authorization_RequestDenied")


def test_tokens_that_are_not_taken(sandbox: RunningSandbox, client: httpx.Client) -> None:
    tokens = {
        "": "empty",
        "rubbish": "CompactToken",
        sandbox.token("ada"): "Invalid audience",
        sandbox.token(None, exp=1): "expired",
        sandbox.token(None, tid=str(uuid.uuid4())): "Invalid issuer",
        sandbox.token(None, signed="foreign"): "Invalid signature",
        sandbox.token(None, signed="none"): "Invalid signature",
        sandbox.token(None, signed="HS256"): "Invalid signature",
    }
    for token, words in tokens.items():
        headers = {"authorization": f"Bearer {token}"} if token else {}
        response = client.get(f"/v1.0/{DEVICES}", headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")
        assert words in response.json()["error"]["message"]
        assert response.headers["www-authenticate"].startswith("Bearer ")
        assert not token or token not in response.text


def test_a_person_without_a_role_in_intune(sandbox: RunningSandbox, client: httpx.Client) -> None:
    """Intune's own 401 must not look like that of an expired token."""
    token = sandbox.token(None, roles=None, scp=READ, idtyp="user")
    response = client.get(f"/v1.0/{DEVICES}", headers={"authorization": f"Bearer {token}"})
    assert (response.status_code, response.json()["error"]["code"]) == (401, "UnknownError")
    assert nested(response) == "Forbidden"


def test_an_administrator_changes_a_device(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    device = sandbox.device("NW-LFONTAINE-14")
    ada, luc = sandbox.person("ada"), sandbox.person("luc")
    sandbox.change(device, user=ada.address, primary=ada.address, state="retirePending")
    changed = graph.get(f"/v1.0/{DEVICES}/{device.id}").json()
    assert (changed["userId"], changed["managementState"]) == (ada.oid, "retirePending")
    assert device.name in names(graph.get(f"/v1.0/users/{ada.oid}/managedDevices"))
    assert device.name not in names(graph.get(f"/v1.0/users/{luc.oid}/managedDevices"))
