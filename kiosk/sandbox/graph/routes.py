"""Graph, as far as Intune stands behind it: managed devices, their recovery keys and encryption states."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any
from urllib.parse import quote, urlencode

from kiosk.clock import Clock
from kiosk.sandbox.entra.issuer import GRAPH, stamp
from kiosk.sandbox.entra.tokens import SigningKeys, TokenProblem
from kiosk.sandbox.graph import odata
from kiosk.sandbox.graph.errors import (
    graph_error,
    graph_headers,
    intune_error,
    no_route,
    not_permitted,
    token_error,
    unknown_segment,
)
from kiosk.sandbox.graph.resources import (
    details,
    encryption_state,
    known_properties,
    managed_device,
)
from kiosk.sandbox.graph.rotation import Rotations
from kiosk.sandbox.tenant.directory import Device, Directory
from kiosk.sandbox.web import Refusal, Request, Response, json_response

VERSIONS = ("v1.0", "beta")
READ = ["DeviceManagementManagedDevices.Read.All", "DeviceManagementManagedDevices.ReadWrite.All"]
PRIVILEGED = ["DeviceManagementManagedDevices.PrivilegedOperations.All"]
ENCRYPTION = ["DeviceManagementConfiguration.Read.All", "DeviceManagementConfiguration.ReadWrite.All"]
_DIRECTORY = ["User.Read.All", "User.ReadWrite.All", "Directory.Read.All"]

_IN_BRACKETS = re.compile(r"\('([^']*)'\)")
_LIST_OPTIONS = frozenset({"$filter", "$select", "$top", "$skip", "$orderby", "$count", "$skiptoken"})


class Graph:
    """Answers everything under ``/v1.0`` and ``/beta``."""

    def __init__(
        self, base: str, directory: Directory, keys: SigningKeys, rotations: Rotations, clock: Clock, page_size: int
    ) -> None:
        self._base = base
        self._directory = directory
        self._keys = keys
        self._rotations = rotations
        self._clock = clock
        self._page_size = page_size

    def answer(self, request: Request) -> Response | None:
        """The answer to one request; None when the path is not Graph's."""
        version, _, path = request.path.lstrip("/").partition("/")
        if version not in VERSIONS:
            return None
        roles = self._let_in(request)
        segments = [part for part in _IN_BRACKETS.sub(r"/\1", path).split("/") if part]
        try:
            return self._route(request, version, segments, roles)
        except odata.QueryProblem as problem:
            raise graph_error(request, self._now(), 400, "BadRequest", str(problem)) from None

    def _route(self, request: Request, version: str, segments: list[str], roles: frozenset[str]) -> Response:
        """OData ignores case in its segments."""
        beta = version == "beta"
        match request.method, *(part.lower() for part in segments):
            case ["GET", "devicemanagement", "manageddevices"]:
                self._need(request, roles, READ)
                return self._list(request, version, None)
            case ["GET", "devicemanagement", "manageddevices", device_id]:
                self._need(request, roles, READ)
                return self._device(request, version, device_id)
            case ["GET", "devicemanagement", "manageddevices", device_id, "users"] if beta:
                self._need(request, roles, READ)
                return self._primary_users(request, device_id)
            case [method, "devicemanagement", "manageddevices", device_id, "getfilevaultkey" | "getfilevaultkey()"] if (
                beta
            ):
                if method != "GET":
                    raise no_route(request, self._now(), "~/singleton/navigation/key/function")
                self._need(request, roles, PRIVILEGED)
                return self._recovery_key(request, device_id)
            case [method, "devicemanagement", "manageddevices", device_id, "rotatefilevaultkey"] if beta:
                if method != "POST":
                    raise no_route(request, self._now(), "~/singleton/navigation/key/action")
                self._need(request, roles, PRIVILEGED)
                return self._rotate(request, device_id)
            case ["GET", "devicemanagement", "manageddeviceencryptionstates", device_id] if beta:
                self._need(request, roles, ENCRYPTION)
                state = self._found(request, device_id)
                return self._one(
                    request, version, "managedDeviceEncryptionStates", encryption_state(state, self._user(state))
                )
            case ["GET", "users", oid, "manageddevices"]:
                self._need(request, roles, READ)
                return self._list(request, version, oid)
            case ["GET", "users", _, "manageddevices", _, *_]:
                raise no_route(request, self._now(), "~/entityset/key/navigation/key")
            case ["GET", "users", oid]:
                self._need(request, roles, _DIRECTORY, code="Authorization_RequestDenied")
                return self._one(request, version, "users", self._user_resource(request, oid))
            case ["GET", "me", *_]:
                words = "/me request is only valid with delegated authentication flow."
                raise graph_error(request, self._now(), 400, "BadRequest", words)
        raise self._unknown_path(request, segments)

    def _list(self, request: Request, version: str, oid: str | None) -> Response:
        asked = request.parameters()
        for name in asked:
            if name.startswith("$") and name not in _LIST_OPTIONS:
                raise odata.QueryProblem(f"The query option '{name}' is not supported.")
        select = odata.selected(asked.get("$select"), known_properties(beta=version == "beta"))
        devices = self._matching(request, asked.get("$filter"), oid)
        if order := asked.get("$orderby"):
            devices = odata.ordered(devices, order)
        offset = odata.whole_number(asked, "$skip", 0)
        if token := asked.get("$skiptoken"):
            offset = odata.read_skip_token(token)
        size = min(max(odata.whole_number(asked, "$top", self._page_size), 1), self._page_size)
        page = devices[offset : offset + size]
        body: dict[str, Any] = {"@odata.context": self._context(version, "managedDevices")}
        if asked.get("$count", "").lower() == "true":
            body["@odata.count"] = len(devices)
        if offset + size < len(devices):
            rest = {name: value for name, value in asked.items() if name not in {"$skip", "$skiptoken"}}
            rest["$skiptoken"] = odata.skip_token(offset + size)
            body["@odata.nextLink"] = f"{self._base}{request.path}?" + urlencode(rest, safe="$,()'", quote_via=quote)
        body["value"] = [self._resource(device, version, select) for device in page]
        return json_response(body, headers=graph_headers(request))

    def _matching(self, request: Request, text: str | None, oid: str | None) -> list[Device]:
        condition = odata.parse_filter(text, self._oid_of) if text else odata.Filter()
        if oid is not None:
            person = self._directory.person(oid) or self._directory.person_at(oid)
            if person is None:
                words = (
                    f"Resource '{oid}' does not exist or one of its queried reference-property objects are not present."
                )
                raise graph_error(request, self._now(), 404, "Request_ResourceNotFound", words)
            candidates = self._directory.devices_of(person.oid)
        elif condition.user is not None:
            candidates = self._directory.devices_of(condition.user)
        else:
            candidates = list(self._directory.devices())
        return [device for device in candidates if condition.accepts(device)] if condition.tests else list(candidates)

    def _device(self, request: Request, version: str, device_id: str) -> Response:
        select = odata.selected(request.parameters().get("$select"), known_properties(beta=version == "beta"))
        device = self._found(request, device_id)
        body = self._resource(device, version, select)
        if select:
            body |= {name: value for name, value in details(device).items() if name in select}
        return self._one(request, version, "managedDevices", body)

    def _primary_users(self, request: Request, device_id: str) -> Response:
        device = self._found(request, device_id)
        people = [self._user_resource(request, device.primary)] if device.primary else []
        return json_response(
            {"@odata.context": self._context("beta", "users"), "value": people}, headers=graph_headers(request)
        )

    def _recovery_key(self, request: Request, device_id: str) -> Response:
        device = self._found(request, device_id)
        if device.owner == "personal":
            raise intune_error(request, self._now(), 403, "Forbidden")
        value = device.stored if device.key is None else device.key
        if value is None and device.without_key == "missing":
            raise intune_error(request, self._now(), 404, "ResourceNotFound", code="ResourceNotFound")
        if value is None and device.without_key == "empty":
            value = ""
        body = {"@odata.context": self._context("beta", "Edm.String"), "value": value}
        return json_response(body, headers=graph_headers(request))

    def _rotate(self, request: Request, device_id: str) -> Response:
        device = self._found(request, device_id)
        if device.owner == "personal":
            raise intune_error(request, self._now(), 403, "Forbidden")
        self._rotations.ask(device)
        return Response(204, headers=graph_headers(request))

    def _resource(self, device: Device, version: str, select: tuple[str, ...] | None) -> dict[str, Any]:
        self._rotations.settle(device)
        whole = managed_device(device, self._user(device), self._rotations.results(device))
        names = known_properties(beta=version == "beta") if select is None else select
        return {name: whole[name] for name in whole if name in names}

    def _found(self, request: Request, device_id: str) -> Device:
        device = self._directory.device(device_id)
        if device is None:
            raise intune_error(request, self._now(), 404, "ResourceNotFound", code="ResourceNotFound")
        self._rotations.settle(device)
        return device

    def _user_resource(self, request: Request, oid: str) -> dict[str, Any]:
        person = self._directory.person(oid) or self._directory.person_at(oid)
        if person is None:
            words = f"Resource '{oid}' does not exist or one of its queried reference-property objects are not present."
            raise graph_error(request, self._now(), 404, "Request_ResourceNotFound", words)
        return {
            "id": person.oid,
            "displayName": person.name,
            "userPrincipalName": person.address,
            "mail": person.address,
            "accountEnabled": True,
        }

    def _user(self, device: Device) -> Any:
        return self._directory.person(device.user) if device.user else None

    def _oid_of(self, address: str) -> str:
        person = self._directory.person_at(address)
        return person.oid if person else "nobody"

    def _one(self, request: Request, version: str, kind: str, body: dict[str, Any]) -> Response:
        context = {"@odata.context": self._context(version, f"{kind}/$entity")}
        return json_response(context | body, headers=graph_headers(request))

    def _context(self, version: str, what: str) -> str:
        scope = "" if what.startswith(("users", "Edm.")) else "deviceManagement/"
        return f"{GRAPH}/{version}/$metadata#{scope}{what}"

    def _now(self) -> dt.datetime:
        return self._clock.utc()

    def _let_in(self, request: Request) -> frozenset[str]:
        """The permissions of the token that came with the request."""
        token = request.bearer()
        if not token:
            raise token_error(request, self._now(), "Access token is empty.")
        try:
            claims = self._keys.verify(token)
        except TokenProblem as problem:
            raise token_error(request, self._now(), str(problem)) from None
        if claims.get("aud") not in (GRAPH, f"{GRAPH}/", self._base):
            raise token_error(request, self._now(), "Access token validation failure. Invalid audience.")
        now = stamp(self._now())
        if not isinstance(claims.get("exp"), int) or claims["exp"] <= now:
            raise token_error(request, self._now(), "Lifetime validation failed, the token is expired.")
        if claims.get("tid") != self._directory.tenant.id:
            raise token_error(request, self._now(), "Access token validation failure. Invalid issuer.")
        if "roles" not in claims:
            # With a person's token the person's Intune role decides, and nobody here has one.
            raise intune_error(request, self._now(), 401, "Forbidden")
        return frozenset(claims["roles"])

    def _need(self, request: Request, roles: frozenset[str], permissions: list[str], code: str = "Forbidden") -> None:
        if roles.intersection(permissions):
            return
        if code == "Forbidden":
            raise not_permitted(request, self._now(), permissions)
        raise graph_error(request, self._now(), 403, code, "Insufficient privileges to complete the operation.")

    def _unknown_path(self, request: Request, segments: list[str]) -> Refusal:
        match [part.lower() for part in segments]:
            case ["devicemanagement", "manageddevices" | "manageddeviceencryptionstates"]:
                return no_route(request, self._now(), "~/singleton/navigation")
            case ["devicemanagement", "manageddevices" | "manageddeviceencryptionstates", _]:
                return no_route(request, self._now(), "~/singleton/navigation/key")
            case ["devicemanagement", "manageddevices", _, _, *_]:
                return unknown_segment(request, self._now(), segments[3])
            case ["devicemanagement", _, *_] | ["users", _, _, *_]:
                return unknown_segment(request, self._now(), segments[1 if segments[0].lower() != "users" else 2])
        return unknown_segment(request, self._now(), segments[0] if segments else "")
