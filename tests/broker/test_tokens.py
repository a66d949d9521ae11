"""Every check of a token, one changed claim at a time; rotation of keys; what a flood of bad tokens can make us ask."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kiosk.broker.signing_keys import PAUSE_SECONDS, KeyRing
from kiosk.broker.tokens import Tokens, Verdict
from kiosk.clock import ManualClock
from kiosk.config import TokenSettings
from kiosk.errors import TokensUnavailable

TENANT = "11111111-2222-3333-4444-555555555555"
FOREIGN = "99999999-2222-3333-4444-555555555555"
AUTHORITY = f"https://login.example/{TENANT}"
ISSUER = f"{AUTHORITY}/v2.0"
AUDIENCE = "aaaaaaaa-2222-3333-4444-555555555555"
OID = "bbbbbbbb-2222-3333-4444-555555555555"
KEYS = {name: rsa.generate_private_key(public_exponent=65537, key_size=2048) for name in ("one", "two", "stranger")}
WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)


def jwk(name: str, key: Any = None, **changes: Any) -> dict[str, Any]:
    public = (key or KEYS[name]).public_key()
    numbers = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(public))
    return {**numbers, "kid": name, "use": "sig", "issuer": ISSUER, **changes}


class Authority:
    """The tenant's discovery document and key set, and how often they were asked for."""

    def __init__(self) -> None:
        self.keys: Any = [jwk("one")]
        self.discovery: Any = {"issuer": ISSUER, "jwks_uri": f"{AUTHORITY}/discovery/v2.0/keys"}
        self.down = False
        self.fetched = 0

    async def answer(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        if self.down:
            raise httpx.ConnectError("down")
        if request.url.path.endswith("/openid-configuration"):
            assert str(request.url) == f"{ISSUER}/.well-known/openid-configuration"
            self.fetched += 1
            return httpx.Response(200, json=self.discovery)
        return httpx.Response(200, json={"keys": self.keys})


class Desk:
    """Tokens with a fake authority and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.authority = Authority()
        settings = TokenSettings(authority=AUTHORITY, tenant=TENANT, audience=AUDIENCE)
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.authority.answer))
        self.tokens = Tokens(settings, KeyRing(settings, self.clock, client), self.clock)

    @property
    def now(self) -> int:
        return int(self.clock.utc().timestamp())

    def claims(self, **changes: Any) -> dict[str, Any]:
        claims = {
            "aud": AUDIENCE, "iss": ISSUER, "tid": TENANT, "oid": OID, "ver": "2.0", "scp": "Session.Open",
            "iat": self.now, "nbf": self.now, "exp": self.now + 3600, "auth_time": self.now, "uti": "u1",
            "name": "Astrid\x1b[2J", "preferred_username": "astrid@example.org", "roles": ["Technician"],
        } | changes  # fmt: skip
        return {name: value for name, value in claims.items() if value is not ...}

    def signed(self, key: str = "one", kid: str | None = None, **changes: Any) -> str:
        return jwt.encode(self.claims(**changes), KEYS[key], "RS256", {"kid": kid or key})

    async def judge(self, token: str, **options: Any) -> Verdict:
        return await self.tokens.judge(f"Bearer {token}", **options)

    async def code(self, token: str, **options: Any) -> str:
        verdict = await self.judge(token, **options)
        assert verdict.refusal is None or token not in f"{verdict.refusal.cause}{verdict.refusal!r}"
        return verdict.refusal.code if verdict.refusal else ""


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_good_token_names_the_person(desk: Desk) -> None:
    verdict = await desk.judge(desk.signed())
    assert verdict.refusal is None
    assert verdict.caller is not None
    person = verdict.caller.person
    assert (person.tid, person.oid, person.roles) == (TENANT, OID, ("Technician",))
    assert (person.name, person.address) == ("Astrid\N{REPLACEMENT CHARACTER}[2J", "astrid@example.org")
    assert verdict.caller.uti == "u1"


NEVER: Any = ...
CLAIMS: list[tuple[str, dict[str, Any], str]] = [
    ("another tenant", {"tid": FOREIGN}, "token_tenant"),
    ("another tenant's issuer too", {"tid": FOREIGN, "iss": ISSUER.replace(TENANT, FOREIGN)}, "token_tenant"),
    ("no tenant", {"tid": NEVER}, "token_tenant"),
    ("a guest by home tenant", {"idp": f"https://sts.windows.net/{FOREIGN}/"}, "token_tenant"),
    ("a guest by account type", {"acct": 1}, "token_tenant"),
    ("a member by account type", {"acct": 0}, ""),
    ("own tenant as home", {"idp": f"https://sts.windows.net/{TENANT}/"}, ""),
    ("another issuer", {"iss": "https://login.example/other/v2.0"}, "token_issuer"),
    ("a version 1 issuer", {"iss": f"https://sts.windows.net/{TENANT}/"}, "token_issuer"),
    ("another audience", {"aud": "00000003-0000-0000-c000-000000000000"}, "token_audience"),
    ("no audience", {"aud": NEVER}, "token_audience"),
    ("two audiences", {"aud": [AUDIENCE, "other"]}, "token_invalid"),
    ("version 1", {"ver": "1.0"}, "token_invalid"),
    ("another scope", {"scp": "User.Read"}, "token_scope"),
    ("a scope that only begins alike", {"scp": "Session.OpenAll Session"}, "token_scope"),
    ("several scopes", {"scp": "User.Read Session.Open"}, ""),
    ("an application's token", {"scp": NEVER, "idtyp": "app"}, "token_scope"),
    ("an application's token with a scope", {"idtyp": "app"}, "token_scope"),
    ("a person's token that says so", {"idtyp": "user"}, ""),
    ("no person", {"oid": NEVER}, "token_invalid"),
    ("a person who is a filter", {"oid": "x' or userId ne '"}, "token_invalid"),
    ("no end", {"exp": NEVER}, "token_invalid"),
    ("no beginning", {"iat": NEVER}, "token_invalid"),
    ("an end in words", {"exp": "tomorrow"}, "token_invalid"),
    ("roles that are none", {"roles": "Technician"}, "token_invalid"),
]


@pytest.mark.parametrize(("changes", "code"), [case[1:] for case in CLAIMS], ids=[case[0] for case in CLAIMS])
async def test_claims(desk: Desk, changes: dict[str, Any], code: str) -> None:
    assert await desk.code(desk.signed(**changes)) == code


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
async def test_times(desk: Desk, changes: dict[str, int | None], code: str) -> None:
    claims = {name: ... if offset is None else desk.now + offset for name, offset in changes.items()}
    assert await desk.code(desk.signed(**claims)) == code


async def test_a_reveal_may_end_after_the_sign_in_is_stale(desk: Desk) -> None:
    old = desk.signed(auth_time=desk.now - 2000)
    assert await desk.code(old) == "token_stale"
    assert await desk.code(old, fresh=False) == ""


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def hs256_with_public_key(desk: Desk) -> str:
    head = unsigned({"alg": "HS256", "kid": "one"}, desk.claims()).rstrip(".")
    secret = (
        KEYS["one"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    mac = hmac.digest(secret, head.encode(), hashlib.sha256)
    return head + "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def tampered(desk: Desk) -> str:
    head, _, signature = desk.signed().split(".")
    payload = unsigned({}, desk.claims(roles=["Other"])).split(".")[1]
    return f"{head}.{payload}.{signature}"


FORGED: dict[str, tuple[Callable[[Desk], str], str]] = {
    "alg none": (lambda desk: unsigned({"alg": "none"}, desk.claims()), "token_unsigned"),
    "alg NoNe": (lambda desk: unsigned({"alg": "NoNe", "kid": "one"}, desk.claims(), b"x"), "token_unsigned"),
    "no alg": (lambda desk: unsigned({"kid": "one"}, desk.claims(), b"x"), "token_unsigned"),
    "no signature": (lambda desk: unsigned({"alg": "RS256", "kid": "one"}, desk.claims()), "token_unsigned"),
    "unsigned and of another tenant": (
        lambda desk: unsigned({"alg": "none"}, desk.claims(tid=FOREIGN)),
        "token_unsigned",
    ),
    "HS256 with our public key": (hs256_with_public_key, "token_signature"),
    "PS256": (lambda desk: jwt.encode(desk.claims(), KEYS["one"], "PS256", {"kid": "one"}), "token_signature"),
    "RS512": (lambda desk: jwt.encode(desk.claims(), KEYS["one"], "RS512", {"kid": "one"}), "token_signature"),
    "changed payload": (tampered, "token_signature"),
    "a stranger's key under our id": (lambda desk: desk.signed("stranger", kid="one"), "token_signature"),
    "a stranger's key and id": (lambda desk: desk.signed("stranger"), "token_signature"),
    "no key id": (lambda desk: jwt.encode(desk.claims(), KEYS["one"], "RS256"), "token_signature"),
    "another tenant's key and claims": (lambda desk: desk.signed("stranger", tid=FOREIGN), "token_tenant"),
    "our key id, other claims, bad signature": (
        lambda desk: desk.signed("stranger", kid="one", tid=FOREIGN),
        "token_signature",
    ),
    "a critical header": (
        lambda desk: jwt.encode(desk.claims(), KEYS["one"], "RS256", {"kid": "one", "crit": ["x"], "x": 1}),
        "token_invalid",
    ),
    "words": (lambda desk: "not.a.token", "token_invalid"),
    "too long": (lambda desk: desk.signed() + "x" * 20_000, "token_invalid"),
    "two parts": (lambda desk: desk.signed().rpartition(".")[0], "token_invalid"),
    "claims that are a list": (
        lambda desk: jwt.PyJWS().encode(b"[]", KEYS["one"], "RS256", {"kid": "one"}),
        "token_invalid",
    ),
}


@pytest.mark.parametrize(("forge", "code"), FORGED.values(), ids=FORGED)
async def test_forgeries(desk: Desk, forge: Callable[[Desk], str], code: str) -> None:
    assert await desk.code(forge(desk)) == code


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer  ", "Basic YWJj", "token"])
async def test_no_token(desk: Desk, header: str | None) -> None:
    verdict = await desk.tokens.judge(header)
    assert (verdict.caller, verdict.refusal and verdict.refusal.code) == (None, "token_missing")


async def test_only_a_good_signature_proves_who_was_refused(desk: Desk) -> None:
    refused = await desk.judge(desk.signed(aud="other"))
    assert refused.caller is not None
    assert refused.caller.person.oid == OID
    assert (await desk.judge(desk.signed("stranger"))).caller is None


async def test_rotation_is_followed_and_withdrawn_keys_are_dropped(desk: Desk) -> None:
    assert await desk.code(desk.signed("one")) == ""
    desk.authority.keys = [jwk("one"), jwk("two")]
    desk.clock.advance(PAUSE_SECONDS)
    assert await desk.code(desk.signed("two")) == ""
    desk.authority.keys = [jwk("two")]
    assert await desk.code(desk.signed("one")) == ""
    desk.clock.advance(3600)
    assert await desk.code(desk.signed("one")) == "token_signature"


async def test_a_flood_of_unknown_keys_is_not_passed_on(desk: Desk) -> None:
    await desk.code(desk.signed())
    desk.clock.advance(PAUSE_SECONDS)
    tokens = [desk.signed("stranger", kid=f"invented {number}") for number in range(50)]
    codes = await asyncio.gather(*map(desk.code, tokens))
    assert set(codes) == {"token_signature"}
    assert desk.authority.fetched == 2
    # Tokens that do not even claim to be ours cause no question at all.
    desk.clock.advance(PAUSE_SECONDS)
    assert await desk.code(desk.signed("stranger", tid=FOREIGN)) == "token_tenant"
    assert desk.authority.fetched == 2


async def test_fetches_at_the_same_time_are_one(desk: Desk) -> None:
    codes = await asyncio.gather(*(desk.code(desk.signed()) for _ in range(20)))
    assert set(codes) == {""}
    assert desk.authority.fetched == 1


async def test_keys_outlast_an_authority_that_is_down_for_a_day(desk: Desk) -> None:
    await desk.code(desk.signed())
    desk.authority.down = True
    desk.clock.advance(23 * 3600)
    assert await desk.code(desk.signed()) == ""
    desk.clock.advance(2 * 3600)
    with pytest.raises(TokensUnavailable):
        await desk.judge(desk.signed())
    desk.authority.down = False
    desk.clock.advance(PAUSE_SECONDS)
    assert await desk.code(desk.signed()) == ""


async def test_without_keys_nothing_is_judged_and_nobody_is_pestered(desk: Desk) -> None:
    desk.authority.down = True
    for _ in range(3):
        with pytest.raises(TokensUnavailable) as error:
            await desk.judge(desk.signed())
        assert error.value.retry_after == PAUSE_SECONDS
    with pytest.raises(TokensUnavailable):
        await desk.tokens.ready()
    desk.authority.down = False
    desk.clock.advance(PAUSE_SECONDS)
    await desk.tokens.ready()


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [jwk("one", WEAK)],
        [jwk("one", use="enc")],
        [jwk("one", alg="RS512")],
        [jwk("one", kid=7)],
        [jwk("one", n="%")],
        [jwk("one", issuer="https://login.example/other/v2.0")],
        [json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))],
        [{"kty": "oct", "k": "c2VjcmV0", "kid": "one"}],
    ],
)
async def test_keys_of_the_wrong_kind_are_passed_over(desk: Desk, keys: list[Any]) -> None:
    desk.authority.keys = keys
    with pytest.raises(TokensUnavailable, match="no signing key"):
        await desk.judge(desk.signed())


async def test_a_key_for_every_tenant_is_ours_too(desk: Desk) -> None:
    desk.authority.keys = [jwk("one", issuer="https://login.example/{tenantid}/v2.0")]
    assert await desk.code(desk.signed()) == ""


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": ISSUER.replace(TENANT, FOREIGN)},
        {"issuer": ISSUER.replace("https:", "http:")},
        {"jwks_uri": "https://elsewhere.example/keys"},
        {"jwks_uri": "http://login.example/keys"},
        {"jwks_uri": "https://login.example:444/keys"},
        {"jwks_uri": "https://login.example@elsewhere.example/keys"},
        {"jwks_uri": "https://[/keys"},
        {"jwks_uri": 7},
    ],
)
async def test_discovery_must_be_of_our_tenant_and_stay_at_the_authority(desk: Desk, discovery: dict[str, Any]) -> None:
    desk.authority.discovery |= discovery
    with pytest.raises(TokensUnavailable):
        await desk.judge(desk.signed())
