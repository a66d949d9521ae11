"""What an application asks for, and whether it may have it."""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.sandbox.entra.issuer import GRAPH
from kiosk.sandbox.tenant.directory import Application, Tenant

OPENID = frozenset({"openid", "profile", "email", "offline_access"})
_GRAPH_SCOPES = ("User.Read", "DeviceManagementManagedDevices.Read.All", "DeviceManagementConfiguration.Read.All")


class ScopeProblem(Exception):
    """Why a scope is not given: the AADSTS code, the OAuth error, the words."""

    def __init__(self, code: int, error: str, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.error = error
        self.words = words


@dataclass(frozen=True)
class Asked:
    """The wanted scopes, understood: of one resource, and those of OpenID."""

    resource: str
    names: tuple[str, ...]
    openid: frozenset[str]

    def full(self) -> str:
        """As the token answer names them."""
        return " ".join(
            [*(f"{self.resource}/{name}" for name in self.names), *sorted(self.openid - {"offline_access"})]
        )


def understand(scope: str, application: Application, tenant: Tenant) -> Asked:
    """What a device code or refresh request asks for. Raises ScopeProblem."""
    words = scope.split()
    openid = frozenset(words) & OPENID
    others = [word for word in words if word not in OPENID]
    found = [_split(word, tenant) for word in others]
    resources = {resource for resource, _ in found}
    if len(resources) > 1:
        raise ScopeProblem(
            28000,
            "invalid_request",
            "Provided value for the input parameter scope is not valid: it must contain scopes of one resource.",
        )
    resource = resources.pop() if resources else GRAPH
    names: list[str] = []
    for name in (name for _, name in found):
        names.extend(_granted(name, resource, application, tenant))
    return Asked(resource, tuple(dict.fromkeys(names)), openid)


def only_default(scope: str, base: str) -> None:
    """See that an application by itself asks for all it has at Graph, the one thing it can ask. Raises ScopeProblem."""
    if scope in (f"{GRAPH}/.default", f"{base}/.default"):
        return
    if not scope.endswith("/.default"):
        raise ScopeProblem(
            1002012,
            "invalid_scope",
            f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value with "
            "/.default suffixed to the resource identifier (application ID URI).",
        )
    raise _no_such_resource(scope.removesuffix("/.default"))


def _split(word: str, tenant: Tenant) -> tuple[str, str]:
    resource, slash, name = word.rpartition("/")
    if not slash:
        return GRAPH, name
    if resource.lower() in (tenant.kiosk_api.uri, tenant.kiosk_api.client_id):
        return tenant.kiosk_api.uri, name
    if resource.rstrip("/").lower() == GRAPH:
        return GRAPH, name
    raise _no_such_resource(resource)


def _granted(name: str, resource: str, application: Application, tenant: Tenant) -> list[str]:
    offered = tenant.kiosk_api.scopes if resource == tenant.kiosk_api.uri else _GRAPH_SCOPES
    consented = [scope.rpartition("/")[2] for scope in application.consented if scope.rpartition("/")[0] == resource]
    if name == ".default" and consented:
        return consented
    if name != ".default" and name not in offered:
        words = f"The application '{application.name}' asked for scope '{name}' that doesn't exist on the resource."
        raise ScopeProblem(650053, "invalid_client", words)
    if name not in consented:
        words = (
            f"The user or administrator has not consented to use the application with ID '{application.client_id}' "
            f"named '{application.name}'. Send an interactive authorization request for this user and resource."
        )
        raise ScopeProblem(65001, "invalid_grant", words)
    return [name]


def _no_such_resource(resource: str) -> ScopeProblem:
    words = (
        f"The resource principal named {resource} was not found in the tenant. This can happen if the application has "
        "not been installed by the administrator of the tenant or consented to by any user in the tenant."
    )
    return ScopeProblem(500011, "invalid_resource", words)
