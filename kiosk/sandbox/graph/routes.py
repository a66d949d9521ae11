"""Graph, as far as Intune serves it: managed devices, their recovery keys and encryption states."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from kiosk.clock import Clock
from kiosk.sandbox.entra.issuer import GRAPH, stamp
from kiosk.sandbox.entra.tokens import SigningKeys, TokenProblem
from kiosk.sandbox.graph import odata
from kiosk.sandbox.graph.errors import (
    PRIVILEGED,
    GraphError,
    IntuneError,
    NoRoute,
    NotPermitted,
    graph_headers,
    not_found,
    token_error,
    unknown_object,
    unknown_segment,
)
from kiosk.sandbox.graph.resources import details, encryption_state, known_properties, managed_device
from kiosk.sandbox.graph.rotation import Rotations
from kiosk.sandbox.http import bearer_token, json_response
from kiosk.sandbox.tenant.directory import Device, Directory, Person

VERSIONS = ("v1.0", "beta")
_READ = ["DeviceManagementManagedDevices.Read.All", "DeviceManagementManagedDevices.ReadWrite.All"]
_ENCRYPTION = ["DeviceManagementConfiguration.Read.All", "DeviceManagementConfiguration.ReadWrite.All"]
_DIRECTORY = frozenset({"User.Read.All", "User.ReadWrite.All", "Directory.Read.All"})

_IN_BRACKETS = re.compile(r"\('([^']*)'\)")
_LIST_OPTIONS = frozenset({"$filter", "$select", "$top", "$skip", "$orderby", "$count", "$skiptoken"})


class Graph:
    """Answers everything under ``/v1.0`` and ``/beta``.

    An application of its own within the routes: OData ignores case, writes ids as segments or in brackets, and has its
    own errors for paths and methods that it does not serve.
    """

    def __init__(
        self, base: str, directory: Directory, keys: SigningKeys, rotations: Rotations, clock: Clock, page_size: int
    ) -> None:
        self._base = base
        self._directory = directory
        self._keys = keys
        self._rotations = rotations
        self._clock = clock
        self._page_size = page_size

    def routes(self) -> list[Route]:
        """Return the routes that lead here."""
        paths = [f"/{version}{rest}" for version in VERSIONS for rest in ("", "/{path:path}")]
        return [Route(path, self) for path in paths]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await self._answer(request)(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        """Check the token and find the operation. Raises GraphError."""
        roles = self._roles(request)
        version, _, path = request["path"].lstrip("/").partition("/")
        segments = [part for part in _IN_BRACKETS.sub(r"/\1", path).split("/") if part]
        beta = version == "beta"
        match request.method, *(part.lower() for part in segments):
            case ["GET", "devicemanagement", "manageddevices"]:
                _require(roles, _READ)
                return self._list(request, version, None)
            case ["GET", "devicemanagement", "manageddevices", device_id]:
                _require(roles, _READ)
                return self._device(request, version, device_id)
            case ["GET", "devicemanagement", "manageddevices", device_id, "users"] if beta:
                _require(roles, _READ)
                return self._primary_users(request, device_id)
            case [method, "devicemanagement", "manageddevices", device_id, "getfilevaultkey" | "getfilevaultkey()"] if (
                beta
            ):
                if method != "GET":
                    raise NoRoute("~/singleton/navigation/key/function")
                _require(roles, PRIVILEGED)
                return self._recovery_key(request, device_id)
            case [method, "devicemanagement", "manageddevices", device_id, "rotatefilevaultkey"] if beta:
                if method != "POST":
                    raise NoRoute("~/singleton/navigation/key/action")
                _require(roles, PRIVILEGED)
                return self._rotate(request, device_id)
            case ["GET", "devicemanagement", "manageddeviceencryptionstates", device_id] if beta:
                _require(roles, _ENCRYPTION)
                device = self._find_device(device_id)
                state = encryption_state(device, self._user(device))
                return _entity(request, version, "deviceManagement/managedDeviceEncryptionStates", state)
            case ["GET", "users", oid, "manageddevices"]:
                _require(roles, _READ)
                return self._list(request, version, oid)
            case ["GET", "users", _, "manageddevices", _, *_]:
                raise NoRoute("~/entityset/key/navigation/key")
            case ["GET", "users", oid]:
                if not roles & _DIRECTORY:
                    words = "Insufficient privileges to complete the operation."
                    raise GraphError(403, "Authorization_RequestDenied", words)
                return _entity(request, version, "users", _user_resource(self._find_person(oid)))
            case ["GET", "me", *_]:
                words = "/me request is only valid with delegated authentication flow."
                raise GraphError(400, "BadRequest", words)
        raise _unknown_path(segments)

    def _roles(self, request: Request) -> frozenset[str]:
        """Return the permissions of the token that came with the request. Raises GraphError."""
        token = bearer_token(request)
        if not token:
            raise token_error("Access token is empty.")
        try:
            claims = self._keys.verify(token)
        except TokenProblem as problem:
            raise token_error(str(problem)) from None
        if claims.get("aud") not in (GRAPH, f"{GRAPH}/", self._base):
            raise token_error("Access token validation failure. Invalid audience.")
        if not isinstance(claims.get("exp"), int) or claims["exp"] <= stamp(self._clock.utc()):
            raise token_error("Lifetime validation failed, the token is expired.")
        if claims.get("tid") != self._directory.tenant.id:
            raise token_error("Access token validation failure. Invalid issuer.")
        if "roles" not in claims:
            # A person's token: their role in Intune decides, and nobody here has one.
            raise IntuneError(401, "Forbidden")
        return frozenset(claims["roles"])

    def _list(self, request: Request, version: str, oid: str | None) -> Response:
        options = dict(request.query_params)
        for name in options:
            if name.startswith("$") and name not in _LIST_OPTIONS:
                raise odata.query_error(f"The query option '{name}' is not supported.")
        select = odata.selected(options.get("$select"), known_properties(beta=version == "beta"))
        devices = self._matching(options.get("$filter"), oid)
        if order := options.get("$orderby"):
            devices = odata.ordered(devices, order)
        offset = odata.whole_number(options, "$skip", 0)
        if token := options.get("$skiptoken"):
            offset = odata.read_skip_token(token)
        size = min(max(odata.whole_number(options, "$top", self._page_size), 1), self._page_size)
        body: dict[str, Any] = {"@odata.context": _context(version, "deviceManagement/managedDevices")}
        if options.get("$count", "").lower() == "true":
            body["@odata.count"] = len(devices)
        if offset + size < len(devices):
            rest = {name: value for name, value in options.items() if name not in {"$skip", "$skiptoken"}}
            rest["$skiptoken"] = odata.skip_token(offset + size)
            query = urlencode(rest, safe="$,()'", quote_via=quote)
            body["@odata.nextLink"] = f"{self._base}{request['path']}?{query}"
        body["value"] = [self._resource(device, version, select) for device in devices[offset : offset + size]]
        return _answer(request, body)

    def _matching(self, text: str | None, oid: str | None) -> list[Device]:
        """Return the devices that meet a ``$filter``: those of one person, or of everybody."""
        condition = odata.parse_filter(text, self._oid_of) if text else odata.Filter()
        if oid is not None:
            candidates = self._directory.devices_of(self._find_person(oid).oid)
        elif condition.user is not None:
            candidates = self._directory.devices_of(condition.user)
        else:
            candidates = list(self._directory.devices())
        return [device for device in candidates if condition.accepts(device)] if condition.tests else list(candidates)

    def _device(self, request: Request, version: str, device_id: str) -> Response:
        select = odata.selected(request.query_params.get("$select"), known_properties(beta=version == "beta"))
        device = self._find_device(device_id)
        body = self._resource(device, version, select)
        if select:
            body |= {name: value for name, value in details(device).items() if name in select}
        return _entity(request, version, "deviceManagement/managedDevices", body)

    def _primary_users(self, request: Request, device_id: str) -> Response:
        device = self._find_device(device_id)
        people = [_user_resource(self._find_person(device.primary))] if device.primary else []
        return _answer(request, {"@odata.context": _context("beta", "users"), "value": people})

    def _recovery_key(self, request: Request, device_id: str) -> Response:
        device = self._find_device(device_id)
        if device.owner == "personal":
            raise IntuneError(403, "Forbidden")
        value = device.stored if device.key is None else device.key
        if value is None and device.without_key == "missing":
            raise not_found()
        if value is None and device.without_key == "empty":
            value = ""
        return _answer(request, {"@odata.context": _context("beta", "Edm.String"), "value": value})

    def _rotate(self, request: Request, device_id: str) -> Response:
        device = self._find_device(device_id)
        if device.owner == "personal":
            raise IntuneError(403, "Forbidden")
        self._rotations.request(device)
        return Response(status_code=204, headers=graph_headers(request))

    def _resource(self, device: Device, version: str, select: tuple[str, ...] | None) -> dict[str, Any]:
        self._rotations.update(device)
        whole = managed_device(device, self._user(device), self._rotations.results(device))
        names = known_properties(beta=version == "beta") if select is None else select
        return {name: value for name, value in whole.items() if name in names}

    def _find_device(self, device_id: str) -> Device:
        device = self._directory.device(device_id)
        if device is None:
            raise not_found()
        self._rotations.update(device)
        return device

    def _find_person(self, name: str) -> Person:
        """Return the person with this object id or address. Raises GraphError."""
        person = self._directory.person(name) or self._directory.person_at(name)
        if person is None:
            raise unknown_object(name)
        return person

    def _user(self, device: Device) -> Person | None:
        return self._directory.person(device.user) if device.user else None

    def _oid_of(self, address: str) -> str:
        person = self._directory.person_at(address)
        return person.oid if person else "nobody"


def _require(roles: frozenset[str], permissions: list[str]) -> None:
    """Raise NotPermitted unless the token carries one of ``permissions``."""
    if roles.isdisjoint(permissions):
        raise NotPermitted(permissions)


def _unknown_path(segments: list[str]) -> GraphError:
    """Return the error for a path that no operation has."""
    match [part.lower() for part in segments]:
        case ["devicemanagement", "manageddevices" | "manageddeviceencryptionstates"]:
            return NoRoute("~/singleton/navigation")
        case ["devicemanagement", "manageddevices" | "manageddeviceencryptionstates", _]:
            return NoRoute("~/singleton/navigation/key")
        case ["devicemanagement", "manageddevices", _, _, *_]:
            return unknown_segment(segments[3])
        case ["devicemanagement", _, *_]:
            return unknown_segment(segments[1])
        case ["users", _, _, *_]:
            return unknown_segment(segments[2])
    return unknown_segment(segments[0] if segments else "")


def _answer(request: Request, body: dict[str, Any]) -> Response:
    return json_response(body, headers=graph_headers(request))


def _entity(request: Request, version: str, kind: str, properties: dict[str, Any]) -> Response:
    """Return one object of the set ``kind``."""
    return _answer(request, {"@odata.context": _context(version, f"{kind}/$entity")} | properties)


def _context(version: str, kind: str) -> str:
    return f"{GRAPH}/{version}/$metadata#{kind}"


def _user_resource(person: Person) -> dict[str, Any]:
    return {
        "id": person.oid,
        "displayName": person.name,
        "userPrincipalName": person.address,
        "mail": person.address,
        "accountEnabled": True,
    }
