"""Validates the access token of a visit. No claim counts before the signature has been verified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import jwt
import msgspec

from kiosk.broker.tokens.signing_keys import ALGORITHM, KeyRing
from kiosk.clock import Clock
from kiosk.config.broker import TokenSettings
from kiosk.errors import (
    TokenBadSignature,
    TokenExpired,
    TokenMissing,
    TokenNotYetValid,
    TokenRefused,
    TokenStale,
    TokenUnsigned,
    TokenWrongAudience,
    TokenWrongClient,
    TokenWrongIssuer,
    TokenWrongScope,
    TokenWrongTenant,
)
from kiosk.models import Person, SignInMethod
from kiosk.net.http import can_be_sent
from kiosk.text import GUID, clean

_LONGEST_TOKEN = 16_384
_LONGEST_ADDRESS = 254
_ID_LENGTH = 36
SKEW_SECONDS = 60
# In the claim ``acct``: a person of this tenant. A guest has 1; other values may come to mean anything.
_MEMBER = 0
# Guests have it in their names: eve_other.example#EXT#@ours.example.
_EXTERNAL = "#ext#"
# In the claim ``azpacr``, how the application proved who it is: not at all, as it is public, or with a certificate.
_PROOFS = {SignInMethod.DEVICE_CODE: "0", SignInMethod.WEB: "2"}
# Entra ID names itself by these hosts in ``idp``, not by the one of the authority. The second is China's.
_HOMES = frozenset({"sts.windows.net", "sts.chinacloudapi.cn"})
_JWS = jwt.PyJWS(algorithms=[ALGORITHM])
_MALFORMED = (jwt.InvalidTokenError, msgspec.MsgspecError, UnicodeError, RecursionError)


@dataclass(frozen=True)
class Caller:
    """The person whom a token with a good signature names, and the token's own id for the record."""

    person: Person
    uti: str


class Claims(msgspec.Struct, kw_only=True):
    """The claims that the broker reads, from a token with a good signature. Times are seconds since 1970."""

    exp: float
    iat: float
    nbf: float | None = None
    auth_time: float | None = None
    iss: str = ""
    aud: str = ""
    tid: str = ""
    ver: str = ""
    scp: str = ""
    idtyp: str = ""
    idp: str = ""
    acct: int = _MEMBER
    azp: str = ""
    azpacr: str = ""
    oid: str = ""
    uti: str = ""
    name: str = ""
    preferred_username: str = ""
    upn: str = ""
    roles: list[str] = []

    def caller(self) -> Caller:
        """Return the holder of the token, whether or not it is accepted."""
        # Some letters become two in lower case, so ids are cut to what the record holds after that.
        person = Person(
            tid=clean(self.tid.lower(), _ID_LENGTH),
            oid=clean(self.oid.lower(), _ID_LENGTH),
            name=clean(self.name),
            address=clean(self.preferred_username, _LONGEST_ADDRESS),
            roles=tuple(clean(role) for role in self.roles),
        )
        # A token without an id is distinguished from the person's others by its time.
        return Caller(person, clean(self.uti) or clean(f"iat:{self.iat:.0f}"))


class _Claimed(msgspec.Struct):
    tid: str | None = None


_AnyClaims = TypeVar("_AnyClaims", bound=Claims)


class Tokens:
    """Validates tokens in two steps: ``prove`` verifies the signature, ``accept`` checks the claims here and now.

    ``method`` is how people sign in, and with it how the application proves who it is.
    """

    def __init__(self, settings: TokenSettings, keys: KeyRing, clock: Clock, method: SignInMethod) -> None:
        self._settings = settings
        self._keys = keys
        self._clock = clock
        self._proof = _PROOFS[method]

    async def prove(self, token: str) -> Claims:
        """Return the claims of a token if one of the tenant's keys has signed it.

        Raises TokenRefused, or TokensUnavailable when there are no signing keys.
        """
        return await self.prove_as(token, Claims)

    async def prove_as(self, token: str, kind: type[_AnyClaims]) -> _AnyClaims:
        """Return the claims of a token as ``prove`` does, with those of its own kind."""
        try:
            header = jwt.get_unverified_header(token)
        except _MALFORMED as error:
            raise TokenRefused(f"not a signed token: {_words(error)}") from None
        algorithm = str(header.get("alg", "")).lower()
        if algorithm in {"", "none"} or token.endswith("."):
            raise TokenUnsigned(f"alg={algorithm!r}")
        if header["alg"] != ALGORITHM:
            raise TokenBadSignature(f"alg={algorithm!r}; only {ALGORITHM} is accepted")
        key = await self._key(token, str(header.get("kid", "")))
        try:
            return msgspec.json.decode(_JWS.decode(token, key, algorithms=[ALGORITHM]), type=kind)
        except jwt.InvalidSignatureError:
            raise TokenBadSignature(f"kid={key.key_id!r} did not sign this") from None
        except _MALFORMED as error:
            raise TokenRefused(f"not a signed token with claims: {_words(error)}") from None

    async def accept(self, claims: Claims, *, fresh: bool) -> None:
        """Check that a genuine token is good here and now. ``fresh`` also limits the age of the sign-in.

        Raises TokenRefused or TokensUnavailable.
        """
        await self.accept_for(claims, self._settings.audience)
        self._check_purpose(claims)
        if fresh:
            self._check_freshness(claims)

    async def accept_for(self, claims: Claims, audience: str) -> None:
        """Check that a genuine token is for this audience, about a person of this tenant, and good now.

        Raises TokenRefused or TokensUnavailable.
        """
        await self._check_origin(claims, audience)
        self._check_time(claims)
        if claims.ver != "2.0":
            raise TokenRefused(f"ver={claims.ver!r}, expected '2.0'")
        if not GUID.fullmatch(claims.oid):
            raise TokenRefused(f"oid={claims.oid!r}")

    async def ready(self) -> None:
        """Return if tokens can be checked, or after a short wait for the first keys. Raises TokensUnavailable."""
        await self._keys.ready()

    async def close(self) -> None:
        await self._keys.close()

    async def _key(self, token: str, key_id: str) -> jwt.PyJWK:
        keys = await self._keys.current()
        if key_id not in keys.by_id and (tenant := _claimed_tenant(token)) != self._tenant:
            # Unverified claims may refuse a token, never admit one: only for a token that claims our tenant is it worth
            # fetching keys.
            raise TokenWrongTenant(f"kid={key_id!r} is unknown and the token claims tid={tenant!r}")
        if found := await self._keys.find(key_id):
            return found
        raise TokenBadSignature(f"kid={key_id!r} is not one of the tenant's keys")

    @property
    def _tenant(self) -> str:
        return self._settings.tenant.lower()

    async def _check_origin(self, claims: Claims, audience: str) -> None:
        """Check the tenant before the issuer: a foreign token fails both, and the person understands the tenant."""
        if claims.tid.lower() != self._tenant:
            raise TokenWrongTenant(f"tid={claims.tid!r}")
        issuer = (await self._keys.current()).issuer
        if claims.iss != issuer:
            raise TokenWrongIssuer(f"iss={claims.iss!r}, expected {issuer!r}")
        external = any(_EXTERNAL in name.casefold() for name in (claims.preferred_username, claims.upn))
        if claims.acct != _MEMBER or external or not _is_home(claims.idp, issuer, self._tenant):
            raise TokenWrongTenant(f"a guest: idp={claims.idp!r} acct={claims.acct} external name={external}")
        if claims.aud != audience:
            raise TokenWrongAudience(f"aud={claims.aud!r}")

    def _check_time(self, claims: Claims) -> None:
        now = self._clock.utc().timestamp()
        begins = max(claims.iat, claims.nbf or claims.iat)
        if begins > now + SKEW_SECONDS:
            raise TokenNotYetValid(f"valid only in {begins - now:.0f} s")
        if claims.exp <= now - SKEW_SECONDS:
            raise TokenExpired(f"expired {now - claims.exp:.0f} s ago")

    def _check_purpose(self, claims: Claims) -> None:
        """Check for a token that was issued to a person for our scope, by way of our own application.

        An application's own token has no scope. Another application may hold a person's token for our scope, if
        somebody consented to it.
        """
        if claims.idtyp.lower() == "app" or self._settings.scope not in claims.scp.split():
            raise TokenWrongScope(f"idtyp={claims.idtyp!r} scp={claims.scp!r}")
        if claims.azp.lower() != self._settings.client.lower() or claims.azpacr != self._proof:
            raise TokenWrongClient(f"azp={claims.azp!r} azpacr={claims.azpacr!r}")

    def _check_freshness(self, claims: Claims) -> None:
        signed_in = claims.iat if claims.auth_time is None else claims.auth_time
        age = self._clock.utc().timestamp() - signed_in
        if age > self._settings.fresh_seconds:
            since = "iat" if claims.auth_time is None else "auth_time"
            raise TokenStale(f"{since} is {age:.0f} s old, at most {self._settings.fresh_seconds}")
        if age < -SKEW_SECONDS:
            raise TokenNotYetValid(f"signed in {-age:.0f} s from now")


def bearer(authorization: str | None) -> str:
    """Return the bearer token of an Authorization header. Raises TokenMissing or TokenRefused."""
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise TokenMissing("no bearer token")
    return bearer_token(token)


def bearer_token(token: str) -> str:
    """Return a token that can be one. Raises TokenRefused."""
    if len(token) > _LONGEST_TOKEN:
        raise TokenRefused(f"a token of {len(token)} characters")
    if not can_be_sent(token):
        raise TokenRefused("a token with characters that HTTP does not allow in one")
    return token


def _is_home(idp: str, issuer: str, tenant: str) -> bool:
    """Whether a person with this ``idp`` signs in at our own tenant. Members' tokens usually have no ``idp``."""
    if not idp:
        return True
    try:
        home = urlsplit(idp.lower())
        here = home.hostname in {*_HOMES, urlsplit(issuer).hostname}
    except ValueError:
        return False
    path = home.path.rstrip("/")
    return home.scheme == "https" and here and path in {f"/{tenant}", f"/{tenant}/v2.0"} and not home.query


def _claimed_tenant(token: str) -> str:
    """Return the tenant that an unverified token claims, or "" if it cannot be read. Good only for refusing it."""
    try:
        payload = _JWS.decode(token, options={"verify_signature": False})
        return (msgspec.json.decode(payload, type=_Claimed).tid or "").lower()
    except _MALFORMED:
        return ""


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
