"""The claims of tokens: those of Entra ID v2.0 for people, those of Graph for applications."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

from kiosk.clock import Clock
from kiosk.sandbox.entra.tokens import SigningKeys, base64url
from kiosk.sandbox.tenant.directory import Application, Directory, Person

GRAPH = "https://graph.microsoft.com"
TOKEN_SECONDS = 3599
# Entra ID backdates its tokens by this much, for clients whose clock is behind.
_BACKDATED_SECONDS = 300


class Issuer:
    """Builds the claims of one tenant's tokens; ``keys`` signs them."""

    def __init__(self, base: str, directory: Directory, keys: SigningKeys, clock: Clock) -> None:
        self.keys = keys
        self._base = base
        self._directory = directory
        self._clock = clock

    @property
    def issuer(self) -> str:
        """The ``iss`` of v2.0 tokens."""
        return f"{self._base}/{self._directory.tenant.id}/v2.0"

    def person_claims(
        self, person: Person, application: Application, scopes: str, signed_in: int, contexts: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Return the claims of an access token for the Kiosk API. ``contexts`` are those that were asked for."""
        roles = {"roles": list(person.roles)} if person.roles else {}
        api = self._directory.tenant.kiosk_api
        return (
            self._times()
            | self._identity(person, application)
            | roles
            | _optional_claims(api, signed_in, contexts)
            | {
                "aud": api.client_id,
                "azp": application.client_id,
                # No credential, or a certificate: the only one that is registered for anybody here.
                "azpacr": "0" if application.public else "2",
                "scp": scopes,
            }
        )

    def id_claims(
        self, person: Person, application: Application, signed_in: int, nonce: str = "", contexts: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Return the claims of an ID token. ``contexts`` are those that were asked for."""
        return (
            self._times()
            | self._identity(person, application)
            | _optional_claims(application, signed_in, contexts)
            | {"aud": application.client_id}
            | ({"nonce": nonce} if nonce else {})
        )

    def graph_person_claims(self, person: Person, application: Application, scopes: str) -> dict[str, Any]:
        """Return the claims of a token for calling Graph on behalf of a person."""
        identity = self._identity(person, application) | {"upn": person.address, "scp": scopes, "idtyp": "user"}
        return self._times() | identity | self._for_graph(application)

    def graph_application_claims(self, application: Application, permissions: tuple[str, ...]) -> dict[str, Any]:
        """Return the claims of a token for calling Graph as the application itself."""
        oid = hashlib.sha256(application.client_id.encode()).hexdigest()[:32]
        identity = {
            "oid": oid,
            "sub": oid,
            "idtyp": "app",
            "roles": list(permissions),
            "tid": self._directory.tenant.id,
            "uti": secrets.token_urlsafe(16),
        }
        return self._times() | identity | self._for_graph(application)

    def client_info(self, person: Person) -> str:
        """Return the ``client_info`` of a token response, from which MSAL makes the id of an account."""
        raw = f'{{"uid":"{person.oid}","utid":"{self._directory.tenant.id}"}}'
        return base64url(raw.encode())

    def _for_graph(self, application: Application) -> dict[str, Any]:
        # Graph's own tokens still have version 1.0.
        return {
            "aud": GRAPH,
            "iss": f"{self._base}/{self._directory.tenant.id}/",
            "ver": "1.0",
            "appid": application.client_id,
            "app_displayname": application.name,
        }

    def _identity(self, person: Person, application: Application) -> dict[str, Any]:
        pairwise = hashlib.sha256(f"{application.client_id}/{person.oid}".encode()).digest()
        return {
            "iss": self.issuer,
            "tid": self._directory.tenant.id,
            "oid": person.oid,
            "sub": base64url(pairwise),
            "name": person.name,
            "preferred_username": person.address,
            "uti": secrets.token_urlsafe(16),
            "ver": "2.0",
        }

    def _times(self) -> dict[str, Any]:
        issued = stamp(self._clock.utc()) - _BACKDATED_SECONDS
        return {"iat": issued, "nbf": issued, "exp": issued + _BACKDATED_SECONDS + TOKEN_SECONDS}


def _optional_claims(audience: Application, signed_in: int, contexts: Sequence[str]) -> dict[str, Any]:
    """Return the claims that a token has only if its audience's registration says so."""
    satisfied = contexts if audience.contexts is None else audience.contexts
    claims: dict[str, Any] = {"auth_time": signed_in}
    if satisfied:
        claims["acrs"] = list(satisfied)
    return {name: value for name, value in claims.items() if name in audience.optional_claims}


def stamp(moment: dt.datetime) -> int:
    """Return the moment in whole seconds, as tokens count them."""
    return int(moment.timestamp())
