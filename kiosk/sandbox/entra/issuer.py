"""What the tokens say: the claims of Entra ID v2.0 for people, and of Graph for applications."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from typing import Any

from kiosk.clock import Clock
from kiosk.sandbox.entra.tokens import SigningKeys, base64url
from kiosk.sandbox.tenant.directory import Application, Directory, Person

GRAPH = "https://graph.microsoft.com"
TOKEN_SECONDS = 3599
# Entra ID backdates its tokens by as much, for clocks that are behind.
_BACKDATED_SECONDS = 300


class Issuer:
    """Writes and signs tokens for one tenant."""

    def __init__(self, base: str, directory: Directory, keys: SigningKeys, clock: Clock) -> None:
        self.keys = keys
        self._base = base
        self._directory = directory
        self._clock = clock

    @property
    def issuer(self) -> str:
        """The ``iss`` of v2.0 tokens."""
        return f"{self._base}/{self._directory.tenant.id}/v2.0"

    def person_claims(self, person: Person, application: Application, scopes: str, signed_in: int) -> dict[str, Any]:
        """Of an access token for the Kiosk API."""
        roles = {"roles": list(person.roles)} if person.roles else {}
        return (
            self._times()
            | self._who(person, application)
            | roles
            | {
                "aud": self._directory.tenant.kiosk_api.client_id,
                "auth_time": signed_in,
                "azp": application.client_id,
                "azpacr": "0",
                "scp": scopes,
            }
        )

    def id_claims(self, person: Person, application: Application, signed_in: int) -> dict[str, Any]:
        """Of an id token."""
        return self._times() | self._who(person, application) | {"aud": application.client_id, "auth_time": signed_in}

    def graph_person_claims(self, person: Person, application: Application, scopes: str) -> dict[str, Any]:
        """Of a token with which an application asks Graph on behalf of a person."""
        who = self._who(person, application) | {"upn": person.address, "scp": scopes, "idtyp": "user"}
        return self._times() | who | self._for_graph(application)

    def graph_application_claims(self, application: Application, permissions: tuple[str, ...]) -> dict[str, Any]:
        """Of a token with which an application asks Graph by itself."""
        oid = hashlib.sha256(application.client_id.encode()).hexdigest()[:32]
        who = {"oid": oid, "sub": oid, "idtyp": "app", "roles": list(permissions), "tid": self._directory.tenant.id}
        return self._times() | who | {"uti": secrets.token_urlsafe(16)} | self._for_graph(application)

    def client_info(self, person: Person) -> str:
        """What MSAL names an account by."""
        raw = f'{{"uid":"{person.oid}","utid":"{self._directory.tenant.id}"}}'
        return base64url(raw.encode())

    def _for_graph(self, application: Application) -> dict[str, Any]:
        # Graph's own tokens are still of version 1.0.
        return {
            "aud": GRAPH,
            "iss": f"{self._base}/{self._directory.tenant.id}/",
            "ver": "1.0",
            "appid": application.client_id,
            "app_displayname": application.name,
        }

    def _who(self, person: Person, application: Application) -> dict[str, Any]:
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


def stamp(moment: dt.datetime) -> int:
    """Whole seconds, as tokens count them."""
    return int(moment.timestamp())
