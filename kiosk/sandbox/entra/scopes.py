"""The scopes that an application requests, and whether it may have them."""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.sandbox.entra.errors import EntraError, unknown_resource
from kiosk.sandbox.entra.issuer import GRAPH
from kiosk.sandbox.tenant.directory import Application, Tenant

OPENID = frozenset({"openid", "profile", "email", "offline_access"})
_GRAPH_SCOPES = ("User.Read", "DeviceManagementManagedDevices.Read.All", "DeviceManagementConfiguration.Read.All")


@dataclass(frozen=True)
class RequestedScopes:
    """The scopes of one request: ``names`` at one resource, and those of OpenID."""

    resource: str
    names: tuple[str, ...]
    openid: frozenset[str]

    def full(self) -> str:
        """Return the scopes as the token response names them."""
        return " ".join(
            [*(f"{self.resource}/{name}" for name in self.names), *sorted(self.openid - {"offline_access"})]
        )


def parse_scopes(scope: str, application: Application, tenant: Tenant) -> RequestedScopes:
    """Parse the scope of a device code or refresh request. Raises EntraError for what the application may not have."""
    words = scope.split()
    openid = frozenset(words) & OPENID
    found = [_split(word, tenant) for word in words if word not in OPENID]
    resources = {resource for resource, _ in found}
    if len(resources) > 1:
        raise EntraError(
            28000,
            "invalid_request",
            "Provided value for the input parameter scope is not valid: it must contain scopes of one resource.",
        )
    resource = resources.pop() if resources else GRAPH
    names = [granted for _, name in found for granted in _granted(name, resource, application, tenant)]
    return RequestedScopes(resource, tuple(dict.fromkeys(names)), openid)


def require_default_scope(scope: str, base: str) -> None:
    """Check the scope of a client credentials request: only Graph's ``.default`` is valid. Raises EntraError."""
    if scope in (f"{GRAPH}/.default", f"{base}/.default"):
        return
    if not scope.endswith("/.default"):
        raise EntraError(
            1002012,
            "invalid_scope",
            f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value with "
            "/.default suffixed to the resource identifier (application ID URI).",
        )
    raise unknown_resource(scope.removesuffix("/.default"))


def _split(word: str, tenant: Tenant) -> tuple[str, str]:
    """Return resource and name of one scope; a bare name is one of Graph's."""
    resource, slash, name = word.rpartition("/")
    if not slash:
        return GRAPH, name
    if resource.lower() in (tenant.kiosk_api.uri, tenant.kiosk_api.client_id):
        return tenant.kiosk_api.uri, name
    if resource.rstrip("/").lower() == GRAPH:
        return GRAPH, name
    raise unknown_resource(resource)


def _granted(name: str, resource: str, application: Application, tenant: Tenant) -> list[str]:
    """Return the consented scopes that ``name`` gives: itself, or all of them for ``.default``."""
    offered = tenant.kiosk_api.scopes if resource == tenant.kiosk_api.uri else _GRAPH_SCOPES
    consented = [scope.rpartition("/")[2] for scope in application.consented if scope.rpartition("/")[0] == resource]
    if name == ".default" and consented:
        return consented
    if name != ".default" and name not in offered:
        words = f"The application '{application.name}' asked for scope '{name}' that doesn't exist on the resource."
        raise EntraError(650053, "invalid_client", words)
    if name not in consented:
        words = (
            f"The user or administrator has not consented to use the application with ID '{application.client_id}' "
            f"named '{application.name}'. Send an interactive authorization request for this user and resource."
        )
        raise EntraError(65001, "invalid_grant", words, suberror="consent_required")
    return [name]
