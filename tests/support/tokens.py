"""Access tokens and their validation, with test keys, an authority that serves them, and a manual clock."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from kiosk.broker.tokens.signing_keys import KeyRing
from kiosk.broker.tokens.validation import Caller, Tokens, bearer
from kiosk.config.broker import TokenSettings
from kiosk.errors import TokenRefused
from kiosk.models import SignInMethod
from tests.support.authority import LoopbackAuthority, client_tls, loopback_authority
from tests.support.clock import ManualClock

TENANT = "11111111-2222-3333-4444-555555555555"
FOREIGN = "99999999-2222-3333-4444-555555555555"
ISSUER = f"https://login.example/{TENANT}/v2.0"
CLIENT = "cccccccc-2222-3333-4444-555555555555"
AUDIENCE = "aaaaaaaa-2222-3333-4444-555555555555"
OID = "bbbbbbbb-2222-3333-4444-555555555555"
KEYS = {name: rsa.generate_private_key(public_exponent=65537, key_size=2048) for name in ("one", "two", "stranger")}
LEFT_OUT: Any = ...
_DISCOVERY = f"/{TENANT}/v2.0/.well-known/openid-configuration"
_KEYS = f"/{TENANT}/discovery/v2.0/keys"


def jwk(name: str, key: Any = None, **changes: Any) -> dict[str, Any]:
    """Return a public key as an entry of a key set."""
    public = (key or KEYS[name]).public_key()
    numbers = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(public))
    return {**numbers, "kid": name, "use": "sig", "issuer": ISSUER, **changes}


def joined(*parts: bytes) -> str:
    """Return header, payload and signature as a token."""
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


class Validation:
    """The broker's ``Tokens`` with a real authority on loopback."""

    def __init__(self, authority: LoopbackAuthority, method: SignInMethod = SignInMethod.DEVICE_CODE) -> None:
        self.clock = ManualClock()
        self.authority = authority
        self.publish(jwk("one"))
        self.announce()
        settings = TokenSettings(authority=f"{authority.url}/{TENANT}", tenant=TENANT, audience=AUDIENCE, client=CLIENT)
        client = httpx.AsyncClient(verify=client_tls(), trust_env=False)
        self.tokens = Tokens(settings, KeyRing(settings, self.clock, client), self.clock, method)

    def publish(self, *keys: Any) -> None:
        """Make these the tenant's signing keys."""
        self.authority.documents[_KEYS] = {"keys": keys}

    def announce(self, **changes: Any) -> None:
        """Serve the tenant's discovery document with these changes."""
        self.authority.documents[_DISCOVERY] = {"issuer": ISSUER, "jwks_uri": f"{self.authority.url}{_KEYS}"} | changes

    @property
    def fetched(self) -> int:
        """How many fetches of the keys have begun."""
        return self.authority.asked.count(_DISCOVERY)

    @property
    def now(self) -> int:
        return int(self.clock.utc().timestamp())

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a good token with these changes."""
        claims = {
            "aud": AUDIENCE, "iss": ISSUER, "tid": TENANT, "oid": OID, "ver": "2.0", "scp": "Session.Open",
            "azp": CLIENT, "azpacr": "0",
            "iat": self.now, "nbf": self.now, "exp": self.now + 3600, "auth_time": self.now, "uti": "u1",
            "name": "Astrid\x1b[2J", "preferred_username": "astrid@example.org", "roles": ["Technician"],
        } | changes  # fmt: skip
        return {name: value for name, value in claims.items() if value is not LEFT_OUT}

    def signed(self, key: str = "one", kid: str | None = None, **changes: Any) -> str:
        """Return a token with these changes, signed with one of ``KEYS``."""
        return jwt.encode(self.claims(**changes), KEYS[key], "RS256", {"kid": kid or key})

    async def judge(self, token: str, *, fresh: bool = True) -> Caller:
        """Return the caller whom a token names. Raises TokenRefused or TokensUnavailable."""
        claims = await self.tokens.prove(bearer(f"Bearer {token}"))
        await self.tokens.accept(claims, fresh=fresh)
        return claims.caller()

    async def code(self, token: str, *, fresh: bool = True) -> str:
        """Return the code of the refusal, empty for an accepted token. The refusal must not quote the token."""
        try:
            await self.judge(token, fresh=fresh)
        except TokenRefused as error:
            refusal = error
        else:
            return ""
        assert token not in f"{refusal.cause}{refusal!r}"
        return refusal.code


@contextlib.asynccontextmanager
async def running_validation(method: SignInMethod = SignInMethod.DEVICE_CODE) -> AsyncIterator[Validation]:
    """Run token validation with an authority that answers."""
    async with loopback_authority() as authority:
        made = Validation(authority, method)
        try:
            yield made
        finally:
            await made.tokens.close()
