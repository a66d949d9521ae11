"""The client credentials grant: an application is accepted with its certificate and with nothing less."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import msal
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from kiosk.net.msal_http import MsalHttp
from kiosk.sandbox.entra.tokens import base64url
from tests.support.msal_http import msal_http
from tests.support.sandbox import RunningSandbox

SCOPE = "https://graph.microsoft.com/.default"


@dataclass(frozen=True, repr=False)
class KeyPair:
    """A private key with its certificate."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @classmethod
    def of(cls, pem: bytes) -> KeyPair:
        key = serialization.load_pem_private_key(pem, None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return cls(key, x509.load_pem_x509_certificate(pem))


@pytest.fixture
def pair(sandbox: RunningSandbox) -> KeyPair:
    return KeyPair.of((sandbox.directory / "broker.pem").read_bytes())


@pytest.fixture
def http(sandbox: RunningSandbox) -> Iterator[MsalHttp]:
    with msal_http(sandbox.ca) as made:
        yield made


@pytest.mark.parametrize("form", ["pem", "pfx", "pfx with chain", "thumbprint"])
def test_msal(sandbox: RunningSandbox, http: MsalHttp, pair: KeyPair, form: str, tmp_path: Path) -> None:
    written = (sandbox.directory / "broker.pem").read_text()
    private, begin, public = written.partition("-----BEGIN CERTIFICATE-----")
    pem = {"private_key": private, "public_certificate": begin + public}
    pfx = tmp_path / "broker.pfx"
    sealed = serialization.BestAvailableEncryption(b"pass")
    pfx.write_bytes(pkcs12.serialize_key_and_certificates(b"broker", pair.key, pair.certificate, None, sealed))
    credentials: dict[str, dict[str, Any]] = {
        "pem": pem,
        "pfx": {"private_key_pfx_path": str(pfx), "passphrase": "pass"},
        "pfx with chain": {"private_key_pfx_path": str(pfx), "passphrase": "pass", "public_certificate": True},
        "thumbprint": {
            "private_key": pem["private_key"],
            "thumbprint": pair.certificate.fingerprint(hashes.SHA1()).hex(),
        },
    }
    app = msal.ConfidentialClientApplication(
        sandbox.data.tenant.broker.client_id,
        authority=sandbox.authority,
        client_credential=credentials[form],
        http_client=http,
        instance_discovery=False,
    )
    token = app.acquire_token_for_client([SCOPE])["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["aud"] == "https://graph.microsoft.com"
    assert claims["roles"] == list(sandbox.data.tenant.broker.permissions)
    assert claims["idtyp"] == "app"


def assertion(sandbox: RunningSandbox, pair: KeyPair, headers: dict[str, Any] | None = None, **changes: Any) -> str:
    client_id = sandbox.data.tenant.broker.client_id
    claims = {
        "aud": f"{sandbox.authority}/oauth2/v2.0/token",
        "iss": client_id,
        "sub": client_id,
        "jti": str(uuid.uuid4()),
        "nbf": int(time.time()),
        "exp": int(time.time()) + 600,
    } | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    thumbprint = {"x5t#S256": base64url(pair.certificate.fingerprint(hashes.SHA256()))}
    return jwt.encode(claims, pair.key, "PS256", thumbprint if headers is None else headers)


def present(client: httpx.Client, sandbox: RunningSandbox, signed: str, **changes: str) -> httpx.Response:
    form = {
        "grant_type": "client_credentials",
        "client_id": sandbox.data.tenant.broker.client_id,
        "scope": SCOPE,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": signed,
    }
    return client.post(f"/{sandbox.tenant}/oauth2/v2.0/token", data=form | changes)


def refusal(response: httpx.Response) -> tuple[int, str, list[int]]:
    return response.status_code, response.json()["error"], response.json()["error_codes"]


def test_presented_again_as_msal_does(sandbox: RunningSandbox, client: httpx.Client, pair: KeyPair) -> None:
    signed = assertion(sandbox, pair)
    assert [present(client, sandbox, signed).status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "https://login.elsewhere.example/token"}, 700023),
        ({"aud": None}, 700023),
        ({"iss": "somebody"}, 700021),
        ({"sub": "somebody"}, 700021),
        ({"exp": 1000}, 700024),
        ({"exp": None}, 700024),
        ({"nbf": 4_000_000_000, "exp": 4_000_000_600}, 700024),
        ({"exp": 4_000_000_000}, 700024),
        ({"jti": None}, 50027),
    ],
)
def test_claims_are_checked(
    sandbox: RunningSandbox, client: httpx.Client, pair: KeyPair, changes: dict[str, Any], code: int
) -> None:
    assert refusal(present(client, sandbox, assertion(sandbox, pair, **changes))) == (401, "invalid_client", [code])


def test_signature_and_certificate_are_checked(sandbox: RunningSandbox, client: httpx.Client, pair: KeyPair) -> None:
    issued = trustme.CA().issue_cert("somebody.example", key_type=trustme.KeyType.RSA)
    strange = KeyPair.of(issued.private_key_and_cert_chain_pem.bytes())
    right = {"x5t#S256": base64url(pair.certificate.fingerprint(hashes.SHA256()))}
    der = base64.b64encode(strange.certificate.public_bytes(serialization.Encoding.DER)).decode()
    for signed in (
        assertion(sandbox, strange),  # another certificate, named honestly
        assertion(sandbox, strange, right),  # another key behind the right name
        assertion(sandbox, pair, {}),  # no name
        assertion(sandbox, pair, right | {"x5c": [der]}),  # two names that disagree
        assertion(sandbox, pair, {"x5c": ["%%%"]}),
        jwt.encode({"iss": "x"}, "k" * 32, "HS256", right),
    ):
        assert refusal(present(client, sandbox, signed)) == (401, "invalid_client", [700027])
    assert refusal(present(client, sandbox, "no.token.at-all"))[2] == [50027]


def test_the_chain_alone_names_the_certificate(sandbox: RunningSandbox, client: httpx.Client, pair: KeyPair) -> None:
    der = base64.b64encode(pair.certificate.public_bytes(serialization.Encoding.DER)).decode()
    assert present(client, sandbox, assertion(sandbox, pair, {"x5c": [der]})).status_code == 200


def test_other_proofs_and_other_wishes(sandbox: RunningSandbox, client: httpx.Client, pair: KeyPair) -> None:
    assert refusal(present(client, sandbox, "", client_secret="guess")) == (401, "invalid_client", [7000215])
    assert refusal(present(client, sandbox, "")) == (401, "invalid_client", [7000216])
    scoped = present(client, sandbox, assertion(sandbox, pair), scope="https://graph.microsoft.com/User.Read")
    assert refusal(scoped) == (400, "invalid_scope", [1002012])
    foreign = present(client, sandbox, assertion(sandbox, pair), scope="https://vault.example/.default")
    assert refusal(foreign) == (400, "invalid_resource", [500011])
    assert present(client, sandbox, assertion(sandbox, pair), scope=f"{sandbox.url}/.default").status_code == 200
    kiosk = sandbox.data.tenant.kiosk_client.client_id
    other = assertion(sandbox, pair, iss=kiosk, sub=kiosk)
    assert refusal(present(client, sandbox, other, client_id=kiosk))[2] == [700027]
