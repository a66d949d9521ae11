"""The keys that sign the tenant's tokens, by way of its OpenID discovery document."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from kiosk.broker.logs import event
from kiosk.broker.metrics import OK, Metrics
from kiosk.clock import Clock
from kiosk.config.broker import TokenSettings
from kiosk.errors import TokensUnavailable
from kiosk.net.http import aread_limited, cause_of

ALGORITHM = "RS256"
_FEWEST_BITS = 2048
_FRESH_SECONDS = 3600
_USABLE_SECONDS = 24 * 3600
# Bounds what tokens with invented key ids, or an authority that is down, can make us ask.
PAUSE_SECONDS = 10
_FETCH_SECONDS = 15

_Answer = TypeVar("_Answer")


class _Discovery(msgspec.Struct):
    issuer: str
    jwks_uri: str


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


@dataclass(frozen=True)
class SigningKeys:
    """One fetched state: the issuer and its public keys by id. ``at`` is the clock's time of the fetch, in seconds."""

    issuer: str
    by_id: dict[str, jwt.PyJWK]
    at: float


class KeyRing:
    """Fetches the signing keys when needed, keeps them, and follows their rotation."""

    def __init__(
        self, settings: TokenSettings, clock: Clock, client: httpx.AsyncClient, metrics: Metrics | None = None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._client = client
        self._metrics = metrics or Metrics(clock)
        self._keys: SigningKeys | None = None
        self._tried_at: float | None = None
        self._fetching = asyncio.Lock()

    async def current(self) -> SigningKeys:
        """The keys, not older than an hour; up to a day while the authority is silent. Raises TokensUnavailable."""
        keys = self._keys
        if keys and self._age(keys) < _FRESH_SECONDS:
            return keys
        try:
            return await self._newer_than(keys)
        except TokensUnavailable as error:
            if keys is None or self._age(keys) >= _USABLE_SECONDS:
                raise
            age = f"{self._age(keys):.0f}"
            event("signing_keys.old", logging.WARNING, seconds=age, code=error.code, cause=error.cause)
            return keys

    async def find(self, key_id: str) -> jwt.PyJWK | None:
        """The key of that id; an unknown one is looked for again, as it may be new. Raises TokensUnavailable."""
        keys = await self.current()
        if key_id not in keys.by_id:
            keys = await self._newer_than(keys)
        return keys.by_id.get(key_id)

    async def close(self) -> None:
        await self._client.aclose()

    def _age(self, keys: SigningKeys) -> float:
        return self._clock.now() - keys.at

    async def _newer_than(self, seen: SigningKeys | None) -> SigningKeys:
        """Fetch once for all who wait, and not again at once. Raises TokensUnavailable."""
        async with self._fetching:
            rest = 0.0 if self._tried_at is None else self._tried_at + PAUSE_SECONDS - self._clock.now()
            if self._keys is seen and rest <= 0:
                self._tried_at = self._clock.now()
                try:
                    self._keys = await self._fetch()
                except TokensUnavailable as error:
                    self._metrics.answer("signing_keys", error.code)
                    raise
                self._metrics.answer("signing_keys", OK)
            # Old keys end with their day also while nobody is asked, between two tries.
            if self._keys is None or self._age(self._keys) >= _USABLE_SECONDS:
                raise TokensUnavailable("the last try to fetch the signing keys failed", retry_after=max(rest, 0.0))
            return self._keys

    async def _fetch(self) -> SigningKeys:
        authority = self._settings.authority.rstrip("/")
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                about = await self._get(f"{authority}/v2.0/.well-known/openid-configuration", _Discovery)
                self._check(about)
                found = await self._get(about.jwks_uri, _KeySet)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, msgspec.MsgspecError, ValueError) as error:
            cause = f"signing keys of {authority}: {cause_of(error)}"
            raise TokensUnavailable(cause, retry_after=PAUSE_SECONDS) from None
        by_id = {key.key_id: key for key in (_usable(entry, about.issuer) for entry in found.keys) if key}
        if not by_id:
            raise TokensUnavailable(f"no signing key can be used at {about.jwks_uri}", retry_after=PAUSE_SECONDS)
        return SigningKeys(about.issuer, {str(key_id): key for key_id, key in by_id.items()}, self._clock.now())

    async def _get(self, url: str, kind: type[_Answer]) -> _Answer:
        async with self._client.stream("GET", url, headers={"accept": "application/json"}) as response:
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"status {response.status_code} from {url}")
            return msgspec.json.decode(await aread_limited(response), type=kind)

    def _check(self, about: _Discovery) -> None:
        """The document must speak of our tenant, and send us nowhere else for its keys."""
        authority, issuer, keys = (urlsplit(url) for url in (self._settings.authority, about.issuer, about.jwks_uri))
        tenant = self._settings.tenant.lower()
        if issuer.scheme != "https" or tenant not in issuer.path.lower().split("/"):
            raise ValueError(f"issuer {about.issuer!r} is not of tenant {tenant}")
        if keys.scheme != "https" or keys.netloc.lower() != authority.netloc.lower():
            raise ValueError(f"jwks_uri {about.jwks_uri!r} is not at the authority")


def _usable(entry: dict[str, Any], issuer: str) -> jwt.PyJWK | None:
    """An RSA signing key of this issuer with an id; anything else in the set is passed over."""
    if entry.get("kty") != "RSA" or entry.get("use", "sig") != "sig" or entry.get("alg", ALGORITHM) != ALGORITHM:
        return None
    if not isinstance(entry.get("kid"), str):
        return None
    tenant = next((part for part in urlsplit(issuer).path.split("/") if part), "")
    of = entry.get("issuer", issuer)
    if not isinstance(of, str) or of.replace("{tenantid}", tenant) != issuer:
        return None
    try:
        key = jwt.PyJWK(entry, algorithm=ALGORITHM)
    except jwt.PyJWTError:
        return None
    strong = isinstance(key.key, RSAPublicKey) and key.key.key_size >= _FEWEST_BITS
    return key if strong else None
