"""Tokens before a judge: keys of one's own, an authority that is asked, a clock that is moved by hand."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from kiosk.broker.tokens.signing_keys import KeyRing
from kiosk.broker.tokens.validation import Caller, Tokens
from kiosk.clock import ManualClock
from kiosk.config.broker import TokenSettings
from kiosk.errors import TokenRefused

TENANT = "11111111-2222-3333-4444-555555555555"
FOREIGN = "99999999-2222-3333-4444-555555555555"
AUTHORITY = f"https://login.example/{TENANT}"
ISSUER = f"{AUTHORITY}/v2.0"
AUDIENCE = "aaaaaaaa-2222-3333-4444-555555555555"
OID = "bbbbbbbb-2222-3333-4444-555555555555"
KEYS = {name: rsa.generate_private_key(public_exponent=65537, key_size=2048) for name in ("one", "two", "stranger")}
LEFT_OUT: Any = ...


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
        return {name: value for name, value in claims.items() if value is not LEFT_OUT}

    def signed(self, key: str = "one", kid: str | None = None, **changes: Any) -> str:
        return jwt.encode(self.claims(**changes), KEYS[key], "RS256", {"kid": kid or key})

    async def judge(self, token: str, *, fresh: bool = True) -> Caller:
        claims = await self.tokens.prove(f"Bearer {token}")
        await self.tokens.accept(claims, fresh=fresh)
        return claims.caller()

    async def code(self, token: str, *, fresh: bool = True) -> str:
        try:
            await self.judge(token, fresh=fresh)
        except TokenRefused as error:
            refusal = error
        else:
            return ""
        assert token not in f"{refusal.cause}{refusal!r}"
        return refusal.code
