"""Validates what a sign-in page hands over: the id token of this sign-in, and the access token of the same person.

The page is not trusted: everything that it could have got elsewhere, earlier or from somebody else is refused.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from kiosk.broker import rules
from kiosk.broker.tokens.validation import SKEW_SECONDS, Caller, Claims, Tokens, bearer_token
from kiosk.clock import Clock
from kiosk.config.broker import Rules
from kiosk.errors import (
    PhoneNoAuthTime,
    PhoneNoContext,
    PhoneNonceWrong,
    PhoneSignInStale,
    PhoneTokensRefused,
    Refused,
    TokenRefused,
)
from kiosk.text import clean

_MOST_VALUES = 10


class IdClaims(Claims, kw_only=True):
    """The claims that only an id token has."""

    nonce: str = ""
    acrs: tuple[str, ...] | str = ()
    amr: tuple[str, ...] | str = ()


@dataclass(frozen=True)
class Accepted:
    """Whom the two tokens name, and how that person signed in; ``refusal`` says why that person may not use kiosks."""

    caller: Caller
    refusal: Refused | None
    acrs: tuple[str, ...]
    amr: tuple[str, ...]


class PhoneTokens:
    """Validates the tokens of sign-ins. ``client`` is the application of the page, ``context`` what it must ask for."""

    def __init__(self, tokens: Tokens, settings: Rules, client: str, context: str | None, clock: Clock) -> None:
        self._tokens = tokens
        self._rules = settings
        self._client = client
        self._context = context
        self._clock = clock

    async def accept(self, id_token: str, access_token: str, *, nonce: str, begun_at: float) -> Accepted:
        """Return whom both tokens name, if this sign-in brought them. ``begun_at`` is when it was begun.

        Raises PhoneTokensRefused or TokensUnavailable.
        """
        try:
            claims = await self._tokens.prove_as(bearer_token(id_token), IdClaims)
            await self._tokens.accept_for(claims, self._client)
        except TokenRefused as error:
            raise PhoneTokensRefused(f"id token: {error.code}: {error.cause}") from None
        self._check(claims, nonce, begun_at)
        try:
            held = await self._tokens.prove(bearer_token(access_token))
            await self._tokens.accept(held, fresh=True)
        except TokenRefused as error:
            raise PhoneTokensRefused(f"access token: {error.code}: {error.cause}") from None
        caller = held.caller()
        if caller.person.oid != claims.oid.lower():
            raise PhoneTokensRefused(f"the id token names {claims.oid!r}, the access token {caller.person.oid!r}")
        return Accepted(
            caller, rules.person_refusal(caller.person, self._rules), _values(claims.acrs), _values(claims.amr)
        )

    def _check(self, claims: IdClaims, nonce: str, begun_at: float) -> None:
        """Check that the id token belongs to this sign-in, which was begun at this time. Raises PhoneTokensRefused."""
        if not nonce or not hmac.compare_digest(claims.nonce.encode(), nonce.encode()):
            raise PhoneNonceWrong("the nonce of another sign-in" if claims.nonce else "no nonce")
        if claims.auth_time is None:
            raise PhoneNoAuthTime("no auth_time")
        if (before := begun_at - claims.auth_time) > SKEW_SECONDS:
            raise PhoneSignInStale(f"auth_time is {before:.0f} s before the sign-in was begun")
        if (ahead := claims.auth_time - self._clock.utc().timestamp()) > SKEW_SECONDS:
            raise PhoneTokensRefused(f"auth_time is {ahead:.0f} s in the future")
        if self._context and self._context.lower() not in [value.lower() for value in _values(claims.acrs)]:
            raise PhoneNoContext(f"acrs={_values(claims.acrs)}, expected {self._context}")


def _values(claim: tuple[str, ...] | str) -> tuple[str, ...]:
    """Return the cleaned values of a claim that is a list, or one value."""
    return tuple(clean(value) for value in ([claim] if isinstance(claim, str) else claim[:_MOST_VALUES]) if value)
