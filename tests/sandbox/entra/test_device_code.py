"""The device code flow, as MSAL and as a bare client see it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import msal
import pytest

from tests.support.msal_http import msal_http
from tests.support.sandbox import RunningSandbox

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
def app(sandbox: RunningSandbox) -> Iterator[msal.PublicClientApplication]:
    with msal_http(sandbox.ca) as http:
        yield msal.PublicClientApplication(
            sandbox.data.tenant.kiosk_client.client_id,
            authority=sandbox.authority,
            http_client=http,
            instance_discovery=False,
            exclude_scopes=["offline_access"],
        )


def ask(client: httpx.Client, sandbox: RunningSandbox, **changes: str) -> httpx.Response:
    form = {"client_id": sandbox.data.tenant.kiosk_client.client_id, "scope": f"openid profile {sandbox.scope}"}
    return client.post(f"/{changes.pop('tenant', sandbox.tenant)}/oauth2/v2.0/devicecode", data=form | changes)


def poll(client: httpx.Client, sandbox: RunningSandbox, device_code: str, **changes: str) -> httpx.Response:
    form = {"client_id": sandbox.data.tenant.kiosk_client.client_id, "grant_type": GRANT, "device_code": device_code}
    return client.post(f"/{changes.pop('tenant', sandbox.tenant)}/oauth2/v2.0/token", data=form | changes)


def once(app: msal.PublicClientApplication, flow: dict[str, Any]) -> dict[str, Any]:
    flow["latest_attempt_at"] = 0  # MSAL warns of an impatience that is this test's, not the kiosk's
    return dict(app.acquire_token_by_device_flow(flow, exit_condition=lambda _flow: True))


def error(response: httpx.Response) -> tuple[int, str, list[int]]:
    body = response.json()
    return response.status_code, body["error"], body["error_codes"]


async def test_msal_signs_a_person_in(sandbox: RunningSandbox, app: msal.PublicClientApplication) -> None:
    flow = app.initiate_device_flow([sandbox.scope])
    assert flow["verification_uri"] == f"{sandbox.url}/devicelogin"
    assert (flow["expires_in"], flow["interval"], len(flow["user_code"])) == (900, 1, 9)
    assert flow["user_code"] in flow["message"]
    assert once(app, flow)["error"] == "authorization_pending"
    ada = sandbox.person("ada")
    async with sandbox.phone() as phone:
        await phone.approve(flow["user_code"].lower(), ada.oid)
    result = once(app, flow)
    assert "refresh_token" not in result
    assert result["id_token_claims"]["oid"] == ada.oid
    assert [account["username"] for account in app.get_accounts()] == [ada.address]
    claims = jwt.decode(result["access_token"], options={"verify_signature": False})
    assert claims["aud"] == sandbox.data.tenant.kiosk_api.client_id
    assert claims["iss"] == f"{sandbox.authority}/v2.0"
    assert (claims["tid"], claims["oid"], claims["scp"], claims["ver"]) == (
        sandbox.tenant,
        ada.oid,
        "Session.Open",
        "2.0",
    )
    assert (claims["name"], claims["preferred_username"]) == (ada.name, ada.address)
    assert claims["azp"] == sandbox.data.tenant.kiosk_client.client_id
    assert claims["nbf"] == claims["iat"] < claims["auth_time"] < claims["exp"]
    assert "roles" not in claims
    assert claims["uti"]


async def test_the_technician_carries_the_role(sandbox: RunningSandbox, app: msal.PublicClientApplication) -> None:
    flow = app.initiate_device_flow([sandbox.scope])
    async with sandbox.phone() as phone:
        await phone.approve(flow["user_code"], sandbox.person("marit").oid)
    claims = jwt.decode(once(app, flow)["access_token"], options={"verify_signature": False})
    assert claims["roles"] == ["Technician"]


async def test_a_refresh_token_only_for_offline_access(sandbox: RunningSandbox, client: httpx.Client) -> None:
    codes = ask(client, sandbox, scope=f"openid offline_access {sandbox.scope}").json()
    async with sandbox.phone() as phone:
        await phone.approve(codes["user_code"], sandbox.person("ada").oid)
    first = poll(client, sandbox, codes["device_code"]).json()
    refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = poll(client, sandbox, "", **refresh).json()
    assert second["access_token"] != first["access_token"]
    assert error(poll(client, sandbox, "", **refresh | {"refresh_token": "made up"}))[1] == "invalid_grant"


async def test_declined(sandbox: RunningSandbox, client: httpx.Client) -> None:
    codes = ask(client, sandbox).json()
    async with sandbox.phone() as phone:
        await phone.decline(codes["user_code"])
    assert error(poll(client, sandbox, codes["device_code"])) == (400, "authorization_declined", [65004])


def test_expired(sandbox: RunningSandbox, client: httpx.Client) -> None:
    codes = ask(client, sandbox).json()
    sandbox.advance(899)
    assert error(poll(client, sandbox, codes["device_code"])) == (400, "authorization_pending", [70016])
    sandbox.advance(1)
    assert error(poll(client, sandbox, codes["device_code"])) == (400, "expired_token", [70020])


def test_slow_down(sandbox: RunningSandbox, client: httpx.Client) -> None:
    codes = ask(client, sandbox).json()
    assert error(poll(client, sandbox, codes["device_code"]))[1] == "authorization_pending"
    assert error(poll(client, sandbox, codes["device_code"]))[1] == "slow_down"
    sandbox.advance(1)
    assert error(poll(client, sandbox, codes["device_code"]))[1] == "authorization_pending"


async def test_redeemed_once(sandbox: RunningSandbox, client: httpx.Client) -> None:
    codes = ask(client, sandbox).json()
    async with sandbox.phone() as phone:
        await phone.approve(codes["user_code"], sandbox.person("ada").oid)
    assert poll(client, sandbox, codes["device_code"]).status_code == 200
    assert error(poll(client, sandbox, codes["device_code"])) == (400, "invalid_grant", [54005])


def test_unknown_code(sandbox: RunningSandbox, client: httpx.Client) -> None:
    assert error(poll(client, sandbox, "made-up")) == (400, "bad_verification_code", [70018])


def test_a_code_belongs_to_its_application(sandbox: RunningSandbox, client: httpx.Client) -> None:
    codes = ask(client, sandbox).json()
    other = "4f19c0a7-52e3-4b8e-8d6a-1b7c93e0fd04"
    assert error(poll(client, sandbox, codes["device_code"], client_id=other))[1] == "bad_verification_code"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"client_id": str(uuid.uuid4())}, (400, "unauthorized_client", [700016])),
        ({"client_id": ""}, (400, "invalid_request", [900144])),
        ({"tenant": "fabrikam.example"}, (400, "invalid_tenant", [90002])),
        ({"tenant": "common"}, (400, "invalid_tenant", [90002])),
        ({"scope": ""}, (400, "invalid_request", [900144])),
        ({"scope": "api://somebody-else/Session.Open"}, (400, "invalid_resource", [500011])),
        ({"scope": "api://0a1f6a52-7d0e-4f6b-8f43-5f0c2d9be701/Other"}, (400, "invalid_client", [650053])),
        ({"scope": "User.Read"}, (400, "invalid_grant", [65001])),
        ({"client_id": "4f19c0a7-52e3-4b8e-8d6a-1b7c93e0fd04"}, (400, "invalid_grant", [65001])),
    ],
)
def test_what_is_not_there(
    sandbox: RunningSandbox, client: httpx.Client, changes: dict[str, str], expected: tuple[int, str, list[int]]
) -> None:
    assert error(ask(client, sandbox, **changes)) == expected


def test_no_public_client(sandbox: RunningSandbox, client: httpx.Client) -> None:
    payroll = "91d6b3f0-0e7d-4c25-b7a8-d4e5206c8f05"
    codes = ask(client, sandbox, client_id=payroll, scope="openid").json()
    answer = poll(client, sandbox, codes["device_code"], client_id=payroll)
    assert error(answer) == (401, "invalid_client", [7000218])


@pytest.mark.parametrize(("who", "code"), [("henrik", 53003), ("nadia", 50105)])
async def test_sign_in_is_refused(sandbox: RunningSandbox, client: httpx.Client, who: str, code: int) -> None:
    codes = ask(client, sandbox).json()
    async with sandbox.phone() as phone:
        await phone.approve(codes["user_code"], sandbox.person(who).oid)
    assert error(poll(client, sandbox, codes["device_code"])) == (400, "invalid_grant", [code])


@pytest.mark.parametrize(("kind", "code"), [("password", 70003), ("", 900144)])
def test_other_grants(sandbox: RunningSandbox, client: httpx.Client, kind: str, code: int) -> None:
    assert error(poll(client, sandbox, "x", grant_type=kind))[2] == [code]


def test_an_error_looks_like_entra_id(sandbox: RunningSandbox, client: httpx.Client) -> None:
    mine = str(uuid.uuid4())
    client.headers["client-request-id"] = mine
    response = poll(client, sandbox, ask(client, sandbox).json()["device_code"])
    body = response.json()
    assert set(body) == {
        "error",
        "error_description",
        "error_codes",
        "timestamp",
        "trace_id",
        "correlation_id",
        "error_uri",
    }
    assert body["correlation_id"] == mine == response.headers["client-request-id"]
    assert body["error_description"].startswith("AADSTS70016: ")
    assert f"Correlation ID: {mine}" in body["error_description"]
    assert body["error_uri"] == f"{sandbox.url}/error?code=70016"
    assert client.get(body["error_uri"]).status_code == 200


def test_discovery(sandbox: RunningSandbox, client: httpx.Client) -> None:
    by_id = client.get(f"/{sandbox.tenant}/v2.0/.well-known/openid-configuration").json()
    by_name = client.get("/nordwind.example/v2.0/.well-known/openid-configuration").json()
    assert by_id["issuer"] == by_name["issuer"] == f"{sandbox.authority}/v2.0"
    assert by_id["token_endpoint"] == f"{sandbox.authority}/oauth2/v2.0/token"
    assert by_id["device_authorization_endpoint"] == f"{sandbox.authority}/oauth2/v2.0/devicecode"
    assert client.get(by_id["jwks_uri"]).json()["keys"][0]["use"] == "sig"
    instance = client.get("/common/discovery/instance", params={"api-version": "1.1"}).json()
    assert instance["tenant_discovery_endpoint"].endswith("/.well-known/openid-configuration")
    assert error(client.get("/nowhere/v2.0/.well-known/openid-configuration"))[2] == [90002]
    assert client.post(f"/{sandbox.tenant}/discovery/v2.0/keys").status_code == 405


def test_nothing_secret_in_the_request_log(sandbox: RunningSandbox, client: httpx.Client) -> None:
    sandbox.clear_requests()
    codes = ask(client, sandbox).json()
    poll(client, sandbox, codes["device_code"])
    logged = sandbox.requests("oauth2")
    assert [(one["method"], one["status"]) for one in logged] == [("POST", 200), ("POST", 400)]
    assert codes["device_code"] not in str(logged)
    assert codes["user_code"] not in str(logged)


async def test_an_application_that_asks_graph_as_the_person(sandbox: RunningSandbox, client: httpx.Client) -> None:
    notes = "4f19c0a7-52e3-4b8e-8d6a-1b7c93e0fd04"
    codes = ask(client, sandbox, client_id=notes, scope="openid https://graph.microsoft.com/.default").json()
    async with sandbox.phone() as phone:
        await phone.approve(codes["user_code"], sandbox.person("ada").oid)
    answer = poll(client, sandbox, codes["device_code"], client_id=notes).json()
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert (claims["aud"], claims["idtyp"], claims["ver"]) == ("https://graph.microsoft.com", "user", "1.0")
    assert claims["scp"] == "User.Read DeviceManagementManagedDevices.Read.All"
