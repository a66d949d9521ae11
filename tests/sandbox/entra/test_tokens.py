"""Signing keys, and tokens that are invalid on purpose."""

from __future__ import annotations

import time
from typing import Any

import httpx
import jwt
import pytest

from tests.support.sandbox import RunningSandbox


def published(client: httpx.Client, sandbox: RunningSandbox) -> dict[str, jwt.PyJWK]:
    keys = client.get(f"/{sandbox.tenant}/discovery/v2.0/keys").json()
    return {str(key.key_id): key for key in jwt.PyJWKSet.from_dict(keys).keys}


def check(client: httpx.Client, sandbox: RunningSandbox, token: str) -> dict[str, object]:
    """Check a token as an API does. Returns its claims."""
    header = jwt.get_unverified_header(token)
    key = published(client, sandbox)[header["kid"]]
    return jwt.decode(
        token,
        key,
        algorithms=["RS256"],
        audience=sandbox.data.tenant.kiosk_api.client_id,
        issuer=f"{sandbox.authority}/v2.0",
    )


def test_a_token_is_what_it_says(sandbox: RunningSandbox, client: httpx.Client) -> None:
    claims = check(client, sandbox, sandbox.token("ada"))
    assert claims["oid"] == sandbox.person("ada").oid


def test_published_keys_have_a_certificate(sandbox: RunningSandbox, client: httpx.Client) -> None:
    key = client.get(f"/{sandbox.tenant}/discovery/v2.0/keys").json()["keys"][0]
    assert key["x5t"] == key["kid"]
    assert len(key["x5c"]) == 1
    assert client.get("/common/discovery/v2.0/keys").json()["keys"][0]["kid"] == key["kid"]


def test_rotation_keeps_or_drops_the_old_key(sandbox: RunningSandbox, client: httpx.Client) -> None:
    old = sandbox.token("ada")
    new_kid = sandbox.rotate_keys()
    assert new_kid in published(client, sandbox)
    check(client, sandbox, old)
    check(client, sandbox, sandbox.token("ada"))
    newest = sandbox.rotate_keys(keep_old=False)
    assert set(published(client, sandbox)) == {newest}
    with pytest.raises(KeyError):
        check(client, sandbox, old)


@pytest.mark.parametrize(
    ("claims", "problem"),
    [
        ({"aud": "somebody-else"}, jwt.InvalidAudienceError),
        ({"iss": "https://elsewhere.example/v2.0"}, jwt.InvalidIssuerError),
        ({"exp": 1}, jwt.ExpiredSignatureError),
        ({"nbf": int(time.time()) + 3600}, jwt.ImmatureSignatureError),
        ({"aud": None}, jwt.MissingRequiredClaimError),
    ],
)
def test_claims_on_order(
    sandbox: RunningSandbox, client: httpx.Client, claims: dict[str, Any], problem: type[Exception]
) -> None:
    with pytest.raises(problem):
        check(client, sandbox, sandbox.token("ada", **claims))


def test_signatures_on_order(sandbox: RunningSandbox, client: httpx.Client) -> None:
    with pytest.raises(jwt.InvalidSignatureError):
        check(client, sandbox, sandbox.token("ada", signed="foreign"))
    for how, algorithm in (("none", "none"), ("HS256", "HS256")):
        token = sandbox.token("ada", signed=how)
        assert jwt.get_unverified_header(token)["alg"] == algorithm
        with pytest.raises(jwt.InvalidAlgorithmError):
            check(client, sandbox, token)
    odd = sandbox.token("ada", headers={"kid": "unheard-of", "jku": "https://evil.example/keys"}, tid="other")
    assert jwt.get_unverified_header(odd)["jku"] == "https://evil.example/keys"
    assert jwt.decode(odd, options={"verify_signature": False})["tid"] == "other"


@pytest.mark.parametrize(
    ("path", "body"),
    [("tokens", {"person": "Nobody"}), ("tokens", {"signed": "badly"}), ("faults", {"path": "*"}), ("clock", {})],
)
def test_orders_that_make_no_sense(sandbox: RunningSandbox, path: str, body: dict[str, object]) -> None:
    assert sandbox.admin.post(f"/sandbox/{path}", json=body).status_code in {400, 404}


@pytest.mark.parametrize("path", ["faults", "requests", "people", "devices"])
def test_the_admin_token_is_needed(sandbox: RunningSandbox, client: httpx.Client, path: str) -> None:
    assert client.get(f"/sandbox/{path}").status_code == 401
    assert client.get(f"/sandbox/{path}", headers={b"authorization": b"Bearer \xff\xfe"}).status_code == 401
    answer = sandbox.admin.get(f"/sandbox/{path}")
    assert answer.status_code == 200
    key = sandbox.device("NW-AKESSLER-14").key
    assert key is not None
    assert key not in answer.text
