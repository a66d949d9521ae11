"""Every check of a token: one changed claim at a time, and forgeries of each kind."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from kiosk.broker.tokens.validation import bearer
from kiosk.errors import TokenMissing, TokenRefused
from tests.support.tokens import (
    AUDIENCE,
    CLIENT,
    FOREIGN,
    ISSUER,
    KEYS,
    LEFT_OUT,
    OID,
    TENANT,
    Validation,
    joined,
    running_validation,
)


@pytest.fixture
async def validation() -> AsyncIterator[Validation]:
    async with running_validation() as made:
        yield made


async def test_a_good_token_names_the_person(validation: Validation) -> None:
    caller = await validation.judge(validation.signed())
    person = caller.person
    assert (person.tid, person.oid, person.roles) == (TENANT, OID, ("Technician",))
    assert (person.name, person.address) == ("Astrid\N{REPLACEMENT CHARACTER}[2J", "astrid@example.org")
    assert caller.uti == "u1"


CLAIMS: list[tuple[str, dict[str, Any], str]] = [
    ("another tenant", {"tid": FOREIGN}, "token_tenant"),
    ("another tenant's issuer too", {"tid": FOREIGN, "iss": ISSUER.replace(TENANT, FOREIGN)}, "token_tenant"),
    ("no tenant", {"tid": LEFT_OUT}, "token_tenant"),
    ("a guest by home tenant", {"idp": f"https://sts.windows.net/{FOREIGN}/"}, "token_tenant"),
    ("a guest by account type", {"acct": 1}, "token_tenant"),
    ("a member by account type", {"acct": 0}, ""),
    ("a member who is not activated", {"acct": 2}, "token_tenant"),
    ("an account type in words", {"acct": "0"}, "token_invalid"),
    ("own tenant as home", {"idp": f"https://sts.windows.net/{TENANT}/"}, ""),
    ("own tenant as home, without a slash", {"idp": f"https://STS.windows.net/{TENANT}"}, ""),
    ("the issuer as home", {"idp": ISSUER}, ""),
    ("own tenant inside another home", {"idp": f"https://sts.windows.net/{FOREIGN}/?x={TENANT}"}, "token_tenant"),
    ("own tenant below another home", {"idp": f"https://sts.windows.net/{FOREIGN}/{TENANT}/"}, "token_tenant"),
    ("own tenant at a stranger's", {"idp": f"https://idp.example/{TENANT}/"}, "token_tenant"),
    ("own tenant as a home without an address", {"idp": TENANT}, "token_tenant"),
    ("a home that is no address", {"idp": "https://[x/"}, "token_tenant"),
    ("a guest by name", {"preferred_username": "eve_x.example#EXT#@nordwind.example"}, "token_tenant"),
    ("a guest by name in another case", {"preferred_username": "eve#ext#@nordwind.example"}, "token_tenant"),
    ("a guest by the older name", {"upn": "eve_x.example#EXT#@nordwind.example"}, "token_tenant"),
    ("another application", {"azp": "dddddddd-2222-3333-4444-555555555555"}, "token_client"),
    ("no application", {"azp": LEFT_OUT}, "token_client"),
    ("our application in other letters", {"azp": CLIENT.upper()}, ""),
    ("an application with a secret", {"azpacr": "1"}, "token_client"),
    ("an application with a certificate", {"azpacr": "2"}, "token_client"),
    ("an application that proves nothing knowable", {"azpacr": LEFT_OUT}, "token_client"),
    ("a proof as a number", {"azpacr": 0}, "token_invalid"),
    ("another issuer", {"iss": "https://login.example/other/v2.0"}, "token_issuer"),
    ("a version 1 issuer", {"iss": f"https://sts.windows.net/{TENANT}/"}, "token_issuer"),
    ("another audience", {"aud": "00000003-0000-0000-c000-000000000000"}, "token_audience"),
    ("no audience", {"aud": LEFT_OUT}, "token_audience"),
    ("two audiences", {"aud": [AUDIENCE, "other"]}, "token_invalid"),
    ("version 1", {"ver": "1.0"}, "token_invalid"),
    ("another scope", {"scp": "User.Read"}, "token_scope"),
    ("a scope that only begins alike", {"scp": "Session.OpenAll Session"}, "token_scope"),
    ("several scopes", {"scp": "User.Read Session.Open"}, ""),
    ("an application's token", {"scp": LEFT_OUT, "idtyp": "app"}, "token_scope"),
    ("an application's token with a scope", {"idtyp": "app"}, "token_scope"),
    ("a person's token that says so", {"idtyp": "user"}, ""),
    ("no person", {"oid": LEFT_OUT}, "token_invalid"),
    ("a person who is a filter", {"oid": "x' or userId ne '"}, "token_invalid"),
    ("no expiry", {"exp": LEFT_OUT}, "token_invalid"),
    ("no time of issue", {"iat": LEFT_OUT}, "token_invalid"),
    ("an expiry in words", {"exp": "tomorrow"}, "token_invalid"),
    ("roles that are not a list", {"roles": "Technician"}, "token_invalid"),
]


@pytest.mark.parametrize(("changes", "code"), [case[1:] for case in CLAIMS], ids=[case[0] for case in CLAIMS])
async def test_claims(validation: Validation, changes: dict[str, Any], code: str) -> None:
    assert await validation.code(validation.signed(**changes)) == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": -61}, "token_expired"),
        ({"exp": -59}, ""),
        ({"nbf": 61}, "token_not_yet_valid"),
        ({"nbf": 59}, ""),
        ({"iat": 61}, "token_not_yet_valid"),
        ({"auth_time": -900}, ""),
        ({"auth_time": -901}, "token_stale"),
        ({"auth_time": 61}, "token_not_yet_valid"),
        ({"auth_time": None, "iat": -901}, "token_stale"),
        ({"auth_time": None, "iat": -900}, ""),
        ({"auth_time": 0, "iat": -3000}, ""),
    ],
)
async def test_times(validation: Validation, changes: dict[str, int | None], code: str) -> None:
    claims: dict[str, Any] = {
        name: LEFT_OUT if offset is None else validation.now + offset for name, offset in changes.items()
    }
    assert await validation.code(validation.signed(**claims)) == code


async def test_a_reveal_may_end_after_the_sign_in_is_stale(validation: Validation) -> None:
    old = validation.signed(auth_time=validation.now - 2000)
    assert await validation.code(old) == "token_stale"
    assert await validation.code(old, fresh=False) == ""


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    return joined(json.dumps(header).encode(), json.dumps(claims).encode(), signature)


def payload(content: bytes, key: str = "one") -> str:
    """Return a signed token with any content in place of claims."""
    return jwt.PyJWS().encode(content, KEYS[key], "RS256", {"kid": key})


def hs256_with_public_key(validation: Validation) -> str:
    head = unsigned({"alg": "HS256", "kid": "one"}, validation.claims()).rstrip(".")
    secret = (
        KEYS["one"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    mac = hmac.digest(secret, head.encode(), hashlib.sha256)
    return head + "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def tampered(validation: Validation) -> str:
    head, _, signature = validation.signed().split(".")
    payload = unsigned({}, validation.claims(roles=["Other"])).split(".")[1]
    return f"{head}.{payload}.{signature}"


NESTED = b"[" * 9_000
FORGED: dict[str, tuple[Callable[[Validation], str], str]] = {
    "alg none": (lambda v: unsigned({"alg": "none"}, v.claims()), "token_unsigned"),
    "alg NoNe": (lambda v: unsigned({"alg": "NoNe", "kid": "one"}, v.claims(), b"x"), "token_unsigned"),
    "no alg": (lambda v: unsigned({"kid": "one"}, v.claims(), b"x"), "token_unsigned"),
    "no signature": (lambda v: unsigned({"alg": "RS256", "kid": "one"}, v.claims()), "token_unsigned"),
    "unsigned and of another tenant": (
        lambda v: unsigned({"alg": "none"}, v.claims(tid=FOREIGN)),
        "token_unsigned",
    ),
    "HS256 with our public key": (hs256_with_public_key, "token_signature"),
    "PS256": (lambda v: jwt.encode(v.claims(), KEYS["one"], "PS256", {"kid": "one"}), "token_signature"),
    "RS512": (lambda v: jwt.encode(v.claims(), KEYS["one"], "RS512", {"kid": "one"}), "token_signature"),
    "changed payload": (tampered, "token_signature"),
    "a stranger's key under our id": (lambda v: v.signed("stranger", kid="one"), "token_signature"),
    "a stranger's key and id": (lambda v: v.signed("stranger"), "token_signature"),
    "no key id": (lambda v: jwt.encode(v.claims(), KEYS["one"], "RS256"), "token_signature"),
    "another tenant's key and claims": (lambda v: v.signed("stranger", tid=FOREIGN), "token_tenant"),
    "our key id, other claims, bad signature": (
        lambda v: v.signed("stranger", kid="one", tid=FOREIGN),
        "token_signature",
    ),
    "a critical header": (
        lambda v: jwt.encode(v.claims(), KEYS["one"], "RS256", {"kid": "one", "crit": ["x"], "x": 1}),
        "token_invalid",
    ),
    "words": (lambda v: "not.a.token", "token_invalid"),
    "too long": (lambda v: v.signed() + "x" * 20_000, "token_invalid"),
    "two parts": (lambda v: v.signed().rpartition(".")[0], "token_invalid"),
    "claims that are a list": (lambda v: payload(b"[]"), "token_invalid"),
    "claims that are not UTF-8": (lambda v: payload(b'{"tid":"\xff"}'), "token_invalid"),
    "claims without end": (lambda v: payload(b'{"x":' + NESTED), "token_invalid"),
    "a stranger's claims that are not UTF-8": (lambda v: payload(b'{"tid":"\xff"}', "stranger"), "token_tenant"),
    "a stranger's claims without end": (lambda v: payload(b'{"x":' + NESTED, "stranger"), "token_tenant"),
    "a header that is not UTF-8": (lambda v: joined(b'{"alg":"RS256","kid":"\xff"}', b"{}", b"x"), "token_invalid"),
    "a header without end": (lambda v: joined(b'{"alg":"RS256","x":' + NESTED, b"{}", b"x"), "token_invalid"),
    "letters that HTTP does not allow": (lambda v: v.signed() + "é", "token_invalid"),
    "half a character": (lambda v: v.signed() + "\ud800", "token_invalid"),
}


@pytest.mark.parametrize(("forge", "code"), FORGED.values(), ids=FORGED)
async def test_forgeries(validation: Validation, forge: Callable[[Validation], str], code: str) -> None:
    assert await validation.code(forge(validation)) == code


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer  ", "Basic YWJj", "token"])
def test_no_token(header: str | None) -> None:
    with pytest.raises(TokenMissing):
        bearer(header)


async def test_only_a_good_signature_proves_who_was_refused(validation: Validation) -> None:
    claims = await validation.tokens.prove(validation.signed(aud="other"))
    assert claims.caller().person.oid == OID
    with pytest.raises(TokenRefused):
        await validation.tokens.prove(validation.signed("stranger"))
