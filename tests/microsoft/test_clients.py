"""Microsoft's own clients, unchanged, against the sandbox: proof that it has the shape of the real service."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import webbrowser
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import jwt
import msal
import pytest
import requests
import trustme

from kiosk.config.loading import load
from kiosk.config.sign_in_page import SignInPageConfig
from kiosk.net.tls import tls_context
from kiosk.sandbox.browser import Form, Page
from tests.support.sandbox import RunningSandbox, running_sandbox

identity = pytest.importorskip("azure.identity")
msgraph = pytest.importorskip("msgraph_beta")

# Warnings of these libraries are not ours to fix.
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.timeout(60)]
GRAPH_SCOPE = "https://graph.microsoft.com/.default"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    settings: dict[str, Any] = {"graph": {"page_size": 10}, "sign_in": {"method": "web"}}
    with running_sandbox(tmp_path_factory.mktemp("ms"), **settings) as running:
        yield running


@pytest.fixture
def credential(sandbox: RunningSandbox) -> Iterator[Any]:
    """Return azure-identity's credential for the broker's certificate."""
    with identity.CertificateCredential(
        sandbox.tenant,
        sandbox.data.tenant.broker.client_id,
        certificate_path=str(sandbox.directory / "broker.pem"),
        authority=sandbox.url,
        disable_instance_discovery=True,
        connection_verify=str(sandbox.ca),
    ) as made:
        yield made


@pytest.fixture
async def graph(sandbox: RunningSandbox, credential: Any) -> AsyncIterator[Any]:
    """Return msgraph-beta-sdk's client. All it is told is the address, and which authority to trust."""
    from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
    from msgraph_beta.graph_request_adapter import GraphRequestAdapter, options
    from msgraph_core import APIVersion, GraphClientFactory

    # The factory wraps the transport in one that does not close it, so it is closed here.
    transport = httpx.AsyncHTTPTransport(verify=tls_context(sandbox.ca))
    async with transport, httpx.AsyncClient(transport=transport, trust_env=False) as plain:
        client = GraphClientFactory.create_with_default_middleware(APIVersion.beta, plain, options=options)
        provider = AzureIdentityAuthenticationProvider(credential, scopes=[GRAPH_SCOPE], allowed_hosts=["localhost"])
        adapter = GraphRequestAdapter(provider, client)
        adapter.base_url = f"{sandbox.url}/beta"
        yield msgraph.GraphServiceClient(request_adapter=adapter)


def test_device_code_credential(sandbox: RunningSandbox) -> None:
    ada = sandbox.person("ada")
    prompts: list[tuple[str, str, dt.datetime]] = []

    def play_the_phone(uri: str, user_code: str, expires_on: dt.datetime) -> None:
        prompts.append((uri, user_code, expires_on))

        async def approve() -> None:
            async with sandbox.phone() as phone:
                await phone.approve(user_code, ada.oid)

        asyncio.run(approve())

    with identity.DeviceCodeCredential(
        sandbox.data.tenant.kiosk_client.client_id,
        authority=sandbox.url,
        tenant_id=sandbox.tenant,
        disable_instance_discovery=True,
        prompt_callback=play_the_phone,
        connection_verify=str(sandbox.ca),
    ) as credential:
        record = credential.authenticate(scopes=[sandbox.scope])
        token = credential.get_token(sandbox.scope)

    assert (record.username, record.tenant_id) == (ada.address, sandbox.tenant)
    assert record.home_account_id == f"{ada.oid}.{sandbox.tenant}"
    claims = jwt.decode(token.token, options={"verify_signature": False})
    assert (claims["oid"], claims["scp"]) == (ada.oid, "Session.Open")
    assert len(prompts) == 1
    assert prompts[0][0] == f"{sandbox.url}/devicelogin"


def test_device_code_credential_is_told_of_a_decline(sandbox: RunningSandbox) -> None:
    from azure.core.exceptions import ClientAuthenticationError

    def decline(uri: str, user_code: str, expires_on: dt.datetime) -> None:
        async def tap() -> None:
            async with sandbox.phone() as phone:
                await phone.decline(user_code)

        asyncio.run(tap())

    with (
        identity.DeviceCodeCredential(
            sandbox.data.tenant.kiosk_client.client_id,
            authority=sandbox.url,
            tenant_id=sandbox.tenant,
            disable_instance_discovery=True,
            prompt_callback=decline,
            connection_verify=str(sandbox.ca),
        ) as credential,
        pytest.raises(ClientAuthenticationError, match="declined"),
    ):
        credential.get_token(sandbox.scope)


class ScriptedBrowser(webbrowser.BaseBrowser):
    """What ``webbrowser.open`` opens: it signs a person in, while the client waits for the redirect."""

    def __init__(self, sandbox: RunningSandbox, who: str) -> None:
        super().__init__("scripted")
        self.opened: list[str] = []
        self._sandbox = sandbox
        self._who = who
        self._threads = ThreadPoolExecutor(1)

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        self.opened.append(url)
        self._threads.submit(asyncio.run, self._sign_in(url))
        return True

    async def _sign_in(self, url: str) -> None:
        async with self._sandbox.phone() as phone:
            page = await phone.say_who(await phone.open(url), self._who)
            (form,) = page.forms
            await phone.browser.send(page, form, {})


def test_interactive_browser_credential(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = sandbox.person("ada")
    browser = ScriptedBrowser(sandbox, ada.oid)
    monkeypatch.setattr(webbrowser, "_tryorder", ["scripted"])
    monkeypatch.setattr(webbrowser, "_browsers", {"scripted": [None, browser]})
    with identity.InteractiveBrowserCredential(
        client_id=sandbox.data.tenant.kiosk_client.client_id,
        authority=sandbox.url,
        tenant_id=sandbox.tenant,
        disable_instance_discovery=True,
        connection_verify=str(sandbox.ca),
    ) as credential:
        record = credential.authenticate(scopes=[sandbox.scope])
        token = credential.get_token(sandbox.scope)

    assert (record.username, record.tenant_id) == (ada.address, sandbox.tenant)
    claims = jwt.decode(token.token, options={"verify_signature": False})
    assert (claims["oid"], claims["scp"], claims["azpacr"]) == (ada.oid, "Session.Open", "0")
    assert len(browser.opened) == 1
    assert urlsplit(parse_qs(urlsplit(browser.opened[0]).query)["redirect_uri"][0]).hostname == "localhost"


@pytest.fixture
def confidential(sandbox: RunningSandbox) -> Iterator[msal.ConfidentialClientApplication]:
    """Return MSAL's application for the sign-in page, with the HTTP client that it would make for itself."""
    private, begin, public = (sandbox.directory / "sign-in.pem").read_text().partition("-----BEGIN CERTIFICATE-----")
    with requests.Session() as session:
        # Its own would let a variable of the environment replace the CA.
        session.verify, session.trust_env = str(sandbox.ca), False
        yield msal.ConfidentialClientApplication(
            sandbox.data.tenant.sign_in.client_id,
            client_credential={"private_key": private, "public_certificate": begin + public},
            authority=sandbox.authority,
            instance_discovery=False,
            http_client=session,
        )


def received(sandbox: RunningSandbox, flow: dict[str, Any]) -> dict[str, str]:
    """Sign Ada Kessler in, and return what the sign-in page then receives."""
    with httpx.Client(base_url=sandbox.url, verify=tls_context(sandbox.ca), trust_env=False) as browser:
        (form,) = forms(browser.get(flow["auth_uri"]))
        answer = browser.post(form.action, data=form.hidden | {"other": "Ada Kessler", "answer": "approve"})
    if answer.has_redirect_location:
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    return forms(answer)[0].hidden


def forms(shown: httpx.Response) -> list[Form]:
    page = Page(shown.url, shown.status_code)
    page.feed(shown.text)
    return page.forms


@pytest.mark.filterwarnings("ignore:response_mode='form_post' is recommended")
@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_authorization_code_with_certificate(
    sandbox: RunningSandbox, confidential: msal.ConfidentialClientApplication, mode: str
) -> None:
    app = confidential
    flow = app.initiate_auth_code_flow(
        [sandbox.scope],
        redirect_uri=redirect_uri(sandbox),
        prompt="login",
        max_age=0,
        response_mode=mode,
        claims_challenge=json.dumps({"id_token": {"acrs": {"essential": True, "value": "c7"}}}),
    )
    answer = received(sandbox, flow)
    result = app.acquire_token_by_auth_code_flow(flow, answer)
    assert "error" not in result, result.get("error_description")
    claims = result["id_token_claims"]
    assert (claims["oid"], claims["acrs"]) == (sandbox.person("ada").oid, ["c7"])
    assert claims["auth_time"] > claims["iat"]
    assert jwt.decode(result["access_token"], options={"verify_signature": False})["azpacr"] == "2"
    again = app.acquire_token_by_auth_code_flow(flow, answer)
    assert (again["error"], again["error_codes"]) == ("invalid_grant", [54005])


def test_msal_misses_auth_time(sandbox: RunningSandbox, confidential: msal.ConfidentialClientApplication) -> None:
    sandbox.register("sign_in", optional_claims=["acrs"])
    app = confidential
    flow = app.initiate_auth_code_flow(
        [sandbox.scope], redirect_uri=redirect_uri(sandbox), max_age=0, response_mode="form_post"
    )
    try:
        with pytest.raises(RuntimeError, match="auth_time"):
            app.acquire_token_by_auth_code_flow(flow, received(sandbox, flow))
    finally:
        sandbox.register("sign_in", optional_claims=["auth_time", "acrs"])


def redirect_uri(sandbox: RunningSandbox) -> str:
    return f"{load(sandbox.directory / 'sign-in.toml', SignInPageConfig).listen.address}/signed-in"


def test_certificate_credential(sandbox: RunningSandbox, credential: Any) -> None:
    token = credential.get_token(GRAPH_SCOPE)
    claims = jwt.decode(token.token, options={"verify_signature": False})
    assert claims["appid"] == sandbox.data.tenant.broker.client_id
    assert "DeviceManagementManagedDevices.PrivilegedOperations.All" in claims["roles"]


def test_certificate_credential_with_a_strange_certificate(sandbox: RunningSandbox, tmp_path: Path) -> None:
    from azure.core.exceptions import ClientAuthenticationError

    strange = trustme.CA().issue_cert("somebody.example", key_type=trustme.KeyType.RSA)
    pem = tmp_path / "strange.pem"
    pem.write_bytes(strange.private_key_and_cert_chain_pem.bytes())
    with (
        identity.CertificateCredential(
            sandbox.tenant,
            sandbox.data.tenant.broker.client_id,
            certificate_path=str(pem),
            authority=sandbox.url,
            disable_instance_discovery=True,
            connection_verify=str(sandbox.ca),
        ) as credential,
        pytest.raises(ClientAuthenticationError, match="AADSTS700027"),
    ):
        credential.get_token(GRAPH_SCOPE)


async def test_sdk_pages_through_all_devices(sandbox: RunningSandbox, graph: Any) -> None:
    from msgraph_core import PageIterator

    first = await graph.device_management.managed_devices.get()
    assert len(first.value) == 10
    assert first.odata_next_link

    found: list[str] = []

    def collect(device: Any) -> bool:
        found.append(device.id)
        return True

    await PageIterator(first, graph.request_adapter).iterate(collect)
    assert found == [device.id for device in sandbox.data.devices()]


async def test_sdk_filters_and_selects(sandbox: RunningSandbox, graph: Any) -> None:
    from kiota_abstractions.base_request_configuration import RequestConfiguration
    from msgraph_beta.generated.device_management.managed_devices.managed_devices_request_builder import (
        ManagedDevicesRequestBuilder,
    )

    ada = sandbox.person("ada")
    query = ManagedDevicesRequestBuilder.ManagedDevicesRequestBuilderGetQueryParameters(
        filter=f"userId eq '{ada.oid}'", select=["id", "deviceName"], count=True
    )
    page = await graph.device_management.managed_devices.get(RequestConfiguration(query_parameters=query))
    assert [device.id for device in page.value] == [device.id for device in sandbox.data.devices_of(ada.oid)]
    assert page.odata_count == len(page.value)
    assert page.value[0].serial_number is None


async def test_sdk_reads_a_device_and_whose_it_is(sandbox: RunningSandbox, graph: Any) -> None:
    from msgraph_beta.generated.models.management_agent_type import ManagementAgentType
    from msgraph_beta.generated.models.owner_type import OwnerType

    expected = sandbox.device("NW-HANDOVER")
    builder = graph.device_management.managed_devices.by_managed_device_id(expected.id)
    device = await builder.get()
    assert (device.device_name, device.user_id, device.serial_number) == (expected.name, expected.user, expected.serial)
    assert device.owner_type is OwnerType.Company
    assert device.management_agent is ManagementAgentType.Mdm
    assert device.last_sync_date_time.tzinfo is not None
    users = await builder.users.get()
    assert [user.id for user in users.value] == [expected.primary]
    state = await graph.device_management.managed_device_encryption_states.by_managed_device_encryption_state_id(
        expected.id
    ).get()
    assert state.device_name == expected.name


@pytest.mark.parametrize(
    ("name", "state", "policy", "file_vault"),
    [
        ("NW-AKESSLER-14", "encrypted", "compliant", ["success"]),
        ("NW-PRAMAN-LOAN", "notEncrypted", "error", ["userDeferredEncryption"]),
        ("NW-SMARINO-NULL", "encrypted", "error", ["driveEncryptedByUser"]),
        ("NW-SMARINO-EMPTY", "encrypted", "error", ["escrowNotEnabled"]),
        ("NW-SMARINO-NOBODY", "notEncrypted", "notAssigned", []),
        ("NW-SMARINO-SILENT", "notEncrypted", "unknown", []),
    ],
)
async def test_sdk_reads_why_there_is_no_key(
    sandbox: RunningSandbox, graph: Any, name: str, state: str, policy: str, file_vault: list[str]
) -> None:
    states = graph.device_management.managed_device_encryption_states
    found = await states.by_managed_device_encryption_state_id(sandbox.device(name).id).get()
    assert found.encryption_state.value == state
    assert found.encryption_policy_setting_state.value == policy
    words = found.file_vault_states or []
    assert [word.value for word in (words if isinstance(words, list) else [words])] == file_vault


async def test_sdk_reads_a_rotation_that_waits(sandbox: RunningSandbox, graph: Any) -> None:
    device = sandbox.device("NW-MSOLBERG-TURN")
    found = await graph.device_management.managed_devices.by_managed_device_id(device.id).get()
    (result,) = found.device_action_results
    assert (result.action_name, result.action_state.value) == ("rotateFileVaultKey", "pending")
    assert result.start_date_time > found.last_sync_date_time


async def test_sdk_lists_the_devices_of_a_user(sandbox: RunningSandbox, graph: Any) -> None:
    wei = sandbox.person("wei")
    page = await graph.users.by_user_id(wei.oid).managed_devices.get()
    assert len(page.value) == 10
    assert {device.user_id for device in page.value} == {wei.oid}


async def test_sdk_reads_the_recovery_key(sandbox: RunningSandbox, graph: Any) -> None:
    device = sandbox.device("NW-AKESSLER-14")
    builder = graph.device_management.managed_devices.by_managed_device_id(device.id)
    answer = await builder.get_file_vault_key.get()
    assert answer.value == device.key


@pytest.mark.parametrize(("name", "status"), [("NW-PRAMAN-LOAN", 404), ("Emil's MacBook", 403)])
async def test_sdk_understands_why_not(sandbox: RunningSandbox, graph: Any, name: str, status: int) -> None:
    from msgraph_beta.generated.models.o_data_errors.o_data_error import ODataError

    builder = graph.device_management.managed_devices.by_managed_device_id(sandbox.device(name).id)
    with pytest.raises(ODataError) as caught:
        await builder.get_file_vault_key.get()
    assert caught.value.response_status_code == status
    assert caught.value.error.inner_error.request_id
    assert '"ErrorCode"' in caught.value.error.message


async def test_sdk_rotates_the_recovery_key(sandbox: RunningSandbox, graph: Any) -> None:
    device = sandbox.device("NW-LAB-01")
    builder = graph.device_management.managed_devices.by_managed_device_id(device.id)
    await builder.rotate_file_vault_key.post()
    result = (await builder.get()).device_action_results[0]
    assert (result.action_name, result.action_state.value) == ("rotateFileVaultKey", "pending")
    sandbox.advance(60)
    assert (await builder.get()).device_action_results[0].action_state.value == "done"
    assert (await builder.get_file_vault_key.get()).value != device.key


async def test_sdk_waits_out_throttling(sandbox: RunningSandbox, graph: Any) -> None:
    sandbox.fault("/beta/deviceManagement/managedDevices", status=429, retry_after=1, times=1)
    page = await graph.device_management.managed_devices.get()
    assert len(page.value) == 10
    sandbox.clear_faults()
