"""The public keys that verify the tenant's tokens, found through its OpenID discovery document."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from kiosk.broker.logs import event
from kiosk.broker.metrics import OK, Metrics
from kiosk.clock import Clock, Deadline
from kiosk.config.broker import TokenSettings
from kiosk.errors import TokensUnavailable, TokensUntrusted
from kiosk.net.http import aread_limited, cause_of, untrusted
from kiosk.process.logging import place_of

ALGORITHM = "RS256"
_FEWEST_BITS = 2048
_FRESH_SECONDS = 3600
_USABLE_SECONDS = 24 * 3600
FETCH_SECONDS = 15
# From the end of one fetch to the next: bounds what an authority that is down, or tokens with invented key ids, cost.
PAUSE_SECONDS = 10
# Load balancers give up on a health check after a few seconds.
READY_SECONDS = 2
_EXPECTED = (httpx.HTTPError, httpx.InvalidURL, TimeoutError, msgspec.MsgspecError, ValueError, RecursionError)

_Answer = TypeVar("_Answer")


class _Discovery(msgspec.Struct):
    issuer: str
    jwks_uri: str


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


@dataclass(frozen=True)
class SigningKeys:
    """The result of one fetch: the issuer, and its public keys by id. ``at`` is the clock's time, in seconds."""

    issuer: str
    by_id: dict[str, jwt.PyJWK]
    at: float


class KeyRing:
    """Fetches the tenant's signing keys, caches them, and follows their rotation.

    One fetch serves all callers, and a pause follows each. Only a caller whom the cache cannot serve waits.
    """

    def __init__(
        self, settings: TokenSettings, clock: Clock, client: httpx.AsyncClient, metrics: Metrics | None = None
    ) -> None:
        self._authority = settings.authority.rstrip("/")
        self._tenant = settings.tenant.lower()
        self._clock = clock
        self._client = client
        self._metrics = metrics or Metrics(clock)
        self._cached: SigningKeys | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._keeping_fresh: asyncio.Task[None] | None = None
        self._ended_at: float | None = None
        self._failure = ""
        self._failed: type[TokensUnavailable] = TokensUnavailable

    async def current(self) -> SigningKeys:
        """Return the signing keys. Raises TokensUnavailable.

        Keys older than an hour still serve while new ones are fetched in the background. After a day they are void.
        """
        keys = self._usable()
        if keys is None:
            return await self._refreshed()
        if self._age(keys) >= _FRESH_SECONDS:
            self._refresh()
        return keys

    async def find(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key with that id. An unknown id may be new, so it causes a fetch. Raises TokensUnavailable."""
        keys = await self.current()
        if key_id not in keys.by_id:
            keys = await self._refreshed()
        return keys.by_id.get(key_id)

    async def ready(self) -> None:
        """Return if tokens can be checked. Does not wait for an authority that hangs. Raises TokensUnavailable."""
        try:
            async with Deadline.after(self._clock, READY_SECONDS).limit():
                await self.current()
        except TimeoutError:
            raise TokensUnavailable("the first fetch of the signing keys has not ended", retry_after=1) from None

    async def close(self) -> None:
        tasks = {task for task in (self._fetching, self._keeping_fresh) if task}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    def _age(self, keys: SigningKeys) -> float:
        return self._clock.now() - keys.at

    def _usable(self) -> SigningKeys | None:
        return self._cached if self._cached and self._age(self._cached) < _USABLE_SECONDS else None

    def _pause_left(self) -> float:
        return 0.0 if self._ended_at is None else max(0.0, self._ended_at + PAUSE_SECONDS - self._clock.now())

    def _refresh(self) -> asyncio.Task[None] | None:
        """Return the fetch in progress, or start one. Returns None during the pause after the last one."""
        if self._fetching is None and not self._pause_left():
            self._fetching = _in_background(self._fetch_once())
            self._keeping_fresh = self._keeping_fresh or _in_background(self._keep_fresh())
        return self._fetching

    async def _keep_fresh(self) -> None:
        """Refresh the keys each hour, so that an idle broker neither trusts withdrawn ones nor is left without any."""
        while True:
            await self._clock.sleep(_FRESH_SECONDS)
            # Keys that a caller has refreshed meanwhile are not due; without keys, the next caller fetches them.
            if self._cached and self._age(self._cached) >= _FRESH_SECONDS / 2:
                self._refresh()

    async def _refreshed(self) -> SigningKeys:
        """Return the keys after a fetch, or as they are during the pause. Raises TokensUnavailable."""
        fetch = self._refresh()
        if fetch:
            # Unlike awaiting the task itself, this does not cancel it when one of its callers goes away.
            await asyncio.wait({fetch})
        keys = self._usable()
        if keys is None or (fetch and self._failure):
            # Who waits does not get another certificate.
            wait = None if self._failed.final else self._pause_left()
            raise self._failed(self._failure, retry_after=wait)
        return keys

    async def _fetch_once(self) -> None:
        self._failure, self._failed = "the fetch of the signing keys was interrupted", TokensUnavailable
        try:
            async with Deadline.after(self._clock, FETCH_SECONDS).limit():
                self._cached = await self._fetch()
            self._failure = ""
            self._metrics.answer("signing_keys", OK)
        except Exception as error:
            # Whatever an authority sends, the old keys go on serving.
            reason = untrusted(error)
            self._failed = TokensUntrusted if reason else TokensUnavailable
            cause = reason or (cause_of(error) if isinstance(error, _EXPECTED) else place_of(error))
            self._failure = f"signing keys of {self._authority}: {cause}"
            self._metrics.answer("signing_keys", self._failed.code)
            if keys := self._usable():
                age = f"{self._age(keys):.0f}"
                code = self._failed.code
                event("signing_keys.old", logging.WARNING, seconds=age, code=code, cause=self._failure)
        finally:
            self._ended_at = self._clock.now()
            self._fetching = None

    async def _fetch(self) -> SigningKeys:
        about = await self._get(f"{self._authority}/v2.0/.well-known/openid-configuration", _Discovery)
        self._check(about)
        found = await self._get(about.jwks_uri, _KeySet)
        by_id = {str(key.key_id): key for entry in found.keys if (key := _signing_key(entry, about.issuer))}
        if not by_id:
            raise ValueError(f"no signing key can be used at {about.jwks_uri}")
        return SigningKeys(about.issuer, by_id, self._clock.now())

    async def _get(self, url: str, kind: type[_Answer]) -> _Answer:
        async with self._client.stream("GET", url, headers={"accept": "application/json"}) as response:
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"status {response.status_code} from {url}")
            return msgspec.json.decode(await aread_limited(response), type=kind)

    def _check(self, about: _Discovery) -> None:
        """Raise ValueError unless the document is our tenant's and names keys at the authority itself."""
        authority, issuer, keys = (urlsplit(url) for url in (self._authority, about.issuer, about.jwks_uri))
        if issuer.scheme != "https" or self._tenant not in issuer.path.lower().split("/"):
            raise ValueError(f"issuer {about.issuer!r} is not of tenant {self._tenant}")
        if keys.scheme != "https" or keys.netloc.lower() != authority.netloc.lower():
            raise ValueError(f"jwks_uri {about.jwks_uri!r} is not at the authority")


def _in_background(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Start a task whose log lines do not carry the fields of the request that happened to cause it."""
    return asyncio.create_task(work, context=contextvars.Context())


def _signing_key(entry: dict[str, Any], issuer: str) -> jwt.PyJWK | None:
    """Return an entry of the set if it is an RSA signing key of this issuer, strong enough and with an id."""
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
