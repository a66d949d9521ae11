"""How the sandbox starts and stops: files, certificates, address, command line, errors in one line."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import ssl
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import msal
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from kiosk.config.broker import BrokerConfig
from kiosk.config.kiosk import KioskConfig
from kiosk.config.loading import load
from kiosk.config.sign_in_page import SignInPageConfig
from kiosk.errors import ConfigError
from kiosk.net.serving import tcp_socket
from kiosk.net.tls import tls_context
from kiosk.sandbox.certificates import make_certificates
from kiosk.sandbox.files import Files
from kiosk.sandbox.server import Ready, serve
from kiosk.sandbox.settings import SandboxConfig, configure
from tests.support.msal_http import msal_http
from tests.support.sandbox import ROOT, running_sandbox

WRITTEN = {"ca.pem", "server.pem", "server-key.pem", "broker.pem", "kiosk.toml", "broker.toml", "admin-token"}


def test_what_it_writes(tmp_path: Path) -> None:
    tables: dict[str, Any] = {"visit": {"reveal_seconds": 7}, "rules": {"reason": "required", "per_person": ["9/hour"]}}
    with running_sandbox(tmp_path, **tables) as sandbox:
        files = {path.name: path for path in sandbox.directory.iterdir()}
        assert set(files) == WRITTEN
        assert stat.S_IMODE(sandbox.directory.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
        kiosk, broker = load(files["kiosk.toml"], KioskConfig), load(files["broker.toml"], BrokerConfig)
        assert (
            kiosk.device_code_settings.authority
            == broker.tokens.authority
            == broker.graph.authority
            == sandbox.authority
        )
        assert kiosk.broker.url == broker.listen.url == f"unix:{sandbox.directory}/broker.sock"
        assert broker.record.database == f"sqlite:///{sandbox.directory}/record.db"
        assert broker.graph.url == f"{sandbox.url}/beta"
        assert kiosk.visit.reveal_seconds == 7
        assert (broker.rules.reason, broker.rules.per_person) == ("required", ("9/hour",))
        assert kiosk.device_code_settings.ca_bundle == files["ca.pem"]
        with httpx.Client(verify=tls_context(), trust_env=False) as stranger, pytest.raises(httpx.ConnectError):
            stranger.get(sandbox.url)
        for name in ("127.0.0.1", "localhost"):
            url = f"https://{name}:{httpx.URL(sandbox.url).port}/devicelogin"
            with httpx.Client(verify=strict_context(sandbox.ca), trust_env=False) as client:
                assert client.get(url).status_code == 200
    assert set(os.listdir(sandbox.directory)) == WRITTEN  # noqa: PTH208


def test_what_it_writes_for_the_sign_in_page(tmp_path: Path) -> None:
    with running_sandbox(tmp_path, sign_in={"context": "c7"}) as sandbox:
        files = {path.name: path for path in sandbox.directory.iterdir()}
        assert set(files) == WRITTEN | {"sign-in.toml", "sign-in.pem", "sign-in-server.pem", "sign-in-server-key.pem"}
        assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
        kiosk, broker = load(files["kiosk.toml"], KioskConfig), load(files["broker.toml"], BrokerConfig)
        page = load(files["sign-in.toml"], SignInPageConfig)
        assert kiosk.sign_in.method == broker.sign_in.method == "web"
        assert kiosk.device_code is None
        assert broker.sign_in.page == page.listen.address
        assert broker.sign_in.page_listen == page.broker.url != broker.listen.url == kiosk.broker.url
        assert broker.sign_in.context == page.entra.context == "c7"
        assert broker.tokens.client == page.entra.client_id == sandbox.data.tenant.sign_in.client_id
        assert broker.tokens.authority == page.entra.authority == sandbox.authority
        assert page.entra.scope == sandbox.scope
        assert page.organisation.name == kiosk.organisation.name
        # A QR code of version 2 must hold it, with the code of a link.
        assert len(f"{page.listen.address}/K7Q2M9XD") <= 38
        port = httpx.URL(page.listen.address).port
        assert page.listen.url == f"https://127.0.0.1:{port}"
        with tcp_socket("127.0.0.1", port or 0):
            pass
    certificate = x509.load_pem_x509_certificate(files["sign-in-server.pem"].read_bytes())
    authority = x509.load_pem_x509_certificate(files["ca.pem"].read_bytes())
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)


def strict_context(ca: Path) -> ssl.SSLContext:
    """Return a context that checks certificates as newer versions of Python do by default."""
    context = tls_context(ca)
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def test_certificates_say_what_they_are_for() -> None:
    now = dt.datetime.now(dt.UTC)
    made = make_certificates(now)
    authority = x509.load_pem_x509_certificate(made.authority.cert_pem.bytes())
    server, broker = (
        x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()) for issued in (made.server, made.broker)
    )
    for issued in (server, broker):
        issued.verify_directly_issued_by(authority)
        assert issued.not_valid_before_utc < now < now + dt.timedelta(days=89) < issued.not_valid_after_utc
        assert issued.not_valid_after_utc < now + dt.timedelta(days=91)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    uses = server.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.SERVER_AUTH in uses
    assert isinstance(server.public_key(), ec.EllipticCurvePublicKey)
    assert isinstance(broker.public_key(), rsa.RSAPublicKey)
    assert "PRIVATE KEY" not in repr(made)


def test_it_removes_exactly_what_it_wrote(tmp_path: Path) -> None:
    with running_sandbox(tmp_path, remove_files=True) as sandbox:
        (sandbox.directory / "mine").touch()
    assert [path.name for path in sandbox.directory.iterdir()] == ["mine"]
    (sandbox.directory / "mine").unlink()
    sandbox.directory.rmdir()
    with running_sandbox(tmp_path, remove_files=True) as sandbox:
        pass
    assert not sandbox.directory.exists()


def test_a_temporary_folder_goes_with_its_files() -> None:
    files = Files.temporary()
    files.write("a", b"b")
    assert stat.S_IMODE(files.directory.stat().st_mode) == 0o700
    files.remove()
    assert not files.directory.exists()


def test_a_second_start_in_the_same_folder(tmp_path: Path) -> None:
    for _ in range(2):
        with running_sandbox(tmp_path) as sandbox:
            context = ssl.create_default_context(cafile=str(sandbox.ca))
            assert httpx.get(f"{sandbox.url}/devicelogin", verify=context).status_code == 200


@pytest.mark.filterwarnings("ignore:response_mode='form_post' is recommended")
def test_everybody_is_approved_by_itself(tmp_path: Path) -> None:
    with running_sandbox(tmp_path, approve="ADA kessler") as sandbox, msal_http(sandbox.ca) as http:
        app = msal.PublicClientApplication(
            sandbox.data.tenant.kiosk_client.client_id,
            authority=sandbox.authority,
            http_client=http,
            instance_discovery=False,
        )
        flow = app.initiate_device_flow([sandbox.scope])
        assert app.acquire_token_by_device_flow(flow, exit_condition=lambda _: True)["error"] == "authorization_pending"
        sandbox.advance(1)
        flow["latest_attempt_at"] = 0
        result = app.acquire_token_by_device_flow(flow, exit_condition=lambda _: True)
        assert result["id_token_claims"]["name"] == "Ada Kessler"
        flow = app.initiate_auth_code_flow([sandbox.scope], "http://localhost", prompt="login", response_mode="query")
        with httpx.Client(verify=tls_context(sandbox.ca), trust_env=False) as browser:
            sent = httpx.URL(browser.get(flow["auth_uri"]).headers["location"]).params
        result = app.acquire_token_by_auth_code_flow(flow, dict(sent))
        assert result["id_token_claims"]["name"] == "Ada Kessler"


def test_a_grown_tenant_and_faults_from_the_start(tmp_path: Path) -> None:
    fault = {"path": "/v1.0/*", "kind": "status", "status": 500, "times": 1}
    tenant = {"devices": 500, "seed": 3, "permissions": ["DeviceManagementManagedDevices.Read.All"]}
    path = "/v1.0/deviceManagement/managedDevices?$count=true&$top=1"
    with (
        running_sandbox(tmp_path, fault=[fault], tenant=tenant) as sandbox,
        httpx.Client(base_url=sandbox.url, verify=tls_context(sandbox.ca), trust_env=False) as client,
    ):
        client.headers["authorization"] = f"Bearer {sandbox.token(None)}"
        assert client.get(path).status_code == 500
        assert client.get(path).json()["@odata.count"] == 500
        mac = sandbox.device("NW-AKESSLER-14").id
        assert client.get(f"/beta/deviceManagement/managedDevices/{mac}/getFileVaultKey").status_code == 403


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    config = json.dumps({"directory": str(tmp_path / "s"), "remove_files": True})
    command = [sys.executable, "-m", "tests.support.sandbox_process", config]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["url"].startswith("https://localhost:")
        process.send_signal(number)
        assert process.wait(10) == 0
    assert not (tmp_path / "s").exists()


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.toml"
    path.write_text('approve = "Ada Kessler"\n[listen]\nport = 8443\n[tenant]\ndevices = 100\nseed = 5\n')
    assert configure(path).listen.port == 8443
    config = configure(path, directory=tmp_path / "d", port=0, devices=200, approve="Marit Solberg")
    assert (config.listen.port, config.tenant.devices, config.tenant.seed) == (0, 200, 5)
    assert (config.approve, config.directory) == ("Marit Solberg", str(tmp_path / "d"))
    assert configure() == SandboxConfig()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[listen]\nhost = "0.0.0.0"', "sandbox.toml:2: listen.host: expected"),
        ("[listen]\nport = 70000", "sandbox.toml:2: listen.port"),
        ("[graph]\npage_size = 0", "sandbox.toml:2: graph.page_size"),
        (
            '[[fault]]\npath = "/x"\nkind = "html"\n[[fault]]\npath = "/x"\nkind = "melt"\n',
            "sandbox.toml:6: fault.1.kind",
        ),
        ('[tenant]\nid = "nordwind"', "sandbox.toml:2: tenant.id"),
        ('[tenant]\npeople_file = "nobody.toml"', "sandbox.toml:2: tenant.people_file"),
        ("[device_codes]", "unknown key; did you mean device_code?"),
    ],
)
def test_a_mistake_in_the_file(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "sandbox.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        configure(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nobody_of_that_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        serve(SandboxConfig(approve="\x1b[2JNobody", directory=str(tmp_path / "s")))
    words = str(caught.value)
    assert "Ada Kessler, Jonas Brandt" in words
    assert words.isprintable()
    assert not (tmp_path / "s").exists()


def test_the_folder_is_ours_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(ConfigError, match="nobody else can open"):
        Files(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="folder"):
        Files(tmp_path / "file")
    with pytest.raises(ConfigError):
        Files(tmp_path / "file" / "below")
    folder = tmp_path / "s"
    files = Files(folder)
    (folder / "kiosk.toml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="expected to write here"):
        files.write("kiosk.toml", b"")
    assert not (tmp_path / "elsewhere").exists()


def test_an_address_that_is_taken(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        settings: dict[str, Any] = {"port": httpx.URL(sandbox.url).port, "directory": tmp_path / "other"}
        with pytest.raises(ConfigError, match="expected to listen here"):
            serve(configure(**settings))


def test_ready_keeps_its_secret(tmp_path: Path) -> None:
    assert "hush" not in repr(Ready("https://localhost:1", tmp_path, "hush"))
