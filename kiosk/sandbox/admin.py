"""How tests and demonstrations control the sandbox: faults, time, keys, devices, registrations, tokens, requests."""

from __future__ import annotations

import datetime as dt
import hmac
from collections import deque
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from kiosk.clock import Clock
from kiosk.config.types import Section
from kiosk.sandbox.entra.issuer import Issuer, stamp
from kiosk.sandbox.faults import Fault, Faults
from kiosk.sandbox.graph.resources import moment
from kiosk.sandbox.http import Refusal, bearer_token, json_response
from kiosk.sandbox.tenant.directory import Application, Device, Directory, OptionalClaim, Person

_LOGGED_REQUESTS = 20_000
_PREFIX = "/sandbox/"

Order = TypeVar("Order", bound=Section)


class AdminError(Refusal):
    """An error of the routes under ``/sandbox``."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self._status = status
        self._words = words

    def response(self, request: Request, now: dt.datetime) -> Response:
        """Return the error as JSON."""
        return json_response({"error": self._words}, self._status)


class LoggedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request. Of its query, headers and body, only the client's own id."""

    method: str
    path: str
    status: int
    client_request_id: str
    fault: str = ""


class RequestLog:
    """The latest requests, without those under ``/sandbox``."""

    def __init__(self) -> None:
        self._entries: deque[LoggedRequest] = deque(maxlen=_LOGGED_REQUESTS)

    def add(self, request: Request, status: int, fault: str = "") -> None:
        """Log a request. Status 0 means that it got no response."""
        path = request["path"]
        if path.startswith(_PREFIX):
            return
        client_id = request.headers.get("client-request-id", "")
        entry = LoggedRequest(method=request.method, path=path, status=status, client_request_id=client_id, fault=fault)
        self._entries.append(entry)

    def clear(self) -> None:
        """Forget all requests."""
        self._entries.clear()

    def entries(self) -> list[LoggedRequest]:
        """Return the requests, oldest first."""
        return list(self._entries)


class ShiftedClock:
    """A running clock that can be advanced."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = 0.0

    def now(self) -> float:
        """Return the seconds of the underlying clock, plus those that it was advanced by."""
        return self._clock.now() + self._ahead

    def utc(self) -> dt.datetime:
        """Return the wall clock, advanced likewise."""
        return self._clock.utc() + dt.timedelta(seconds=self._ahead)

    async def sleep(self, seconds: float) -> None:
        """Wait for seconds of the underlying clock."""
        await self._clock.sleep(seconds)

    def advance(self, seconds: float) -> None:
        """Advance both times."""
        self._ahead += seconds


class _ClockOrder(Section, frozen=True, kw_only=True):
    seconds: float


class _RotateOrder(Section, frozen=True, kw_only=True):
    keep_old: bool = True


class _TokenOrder(Section, frozen=True, kw_only=True):
    """A token to issue: a person's for the Kiosk API, or without ``person`` the broker's own for Graph.

    A person's has been issued to ``client``, a registration; with ``id_token`` it is the ID token. ``claims`` and
    ``headers`` replace the usual ones; a claim of null is removed. ``signed`` spoils the signature.
    """

    person: str | None = None
    client: Literal["kiosk_client", "sign_in"] = "kiosk_client"
    id_token: bool = False
    claims: dict[str, Any] = msgspec.field(default_factory=dict)
    headers: dict[str, Any] = msgspec.field(default_factory=dict)
    signed: Literal["well", "foreign", "none", "HS256"] = "well"


class _DeviceChange(Section, frozen=True, kw_only=True):
    """New values for fields of a device. People are named by address, name or object id."""

    name: str | UnsetType = UNSET
    user: str | UnsetType = UNSET
    primary: str | UnsetType = UNSET
    owner: str | UnsetType = UNSET
    os: str | UnsetType = UNSET
    agent: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    online: bool | UnsetType = UNSET
    key: str | UnsetType | None = UNSET
    without_key: str | UnsetType = UNSET
    stored: str | UnsetType | None = UNSET
    encryption: str | UnsetType = UNSET
    policy: str | UnsetType = UNSET


class _RegistrationChange(Section, frozen=True, kw_only=True):
    """New values for fields of one of the kiosk's registrations."""

    public: bool | UnsetType = UNSET
    consented: tuple[str, ...] | UnsetType = UNSET
    permissions: tuple[str, ...] | UnsetType = UNSET
    redirect_uris: tuple[str, ...] | UnsetType = UNSET
    optional_claims: tuple[OptionalClaim, ...] | UnsetType = UNSET
    contexts: tuple[str, ...] | UnsetType | None = UNSET


class AdminAuthentication:
    """Middleware that refuses requests under ``/sandbox`` without the admin token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(_PREFIX):
            given = bearer_token(Request(scope)).encode()
            if not hmac.compare_digest(given, self._token):
                await json_response({"error": "the admin token is needed"}, 401)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class Admin:
    """The routes under ``/sandbox``."""

    def __init__(
        self, directory: Directory, issuer: Issuer, faults: Faults, log: RequestLog, clock: ShiftedClock
    ) -> None:
        self._directory = directory
        self._issuer = issuer
        self._faults = faults
        self._log = log
        self._clock = clock

    def routes(self) -> list[Route]:
        """Return the routes. They rely on AdminAuthentication."""
        return [
            Route(_PREFIX + path, handler, methods=[method])
            for method, path, handler in (
                ("GET", "faults", self._list_faults),
                ("POST", "faults", self._arm),
                ("DELETE", "faults", self._disarm_all),
                ("DELETE", "faults/{number}", self._disarm),
                ("POST", "keys/rotate", self._rotate_keys),
                ("GET", "requests", self._list_requests),
                ("DELETE", "requests", self._clear_requests),
                ("POST", "tokens", self._issue_token),
                ("POST", "clock", self._advance_clock),
                ("GET", "people", self._list_people),
                ("GET", "devices", self._list_devices),
                ("POST", "devices/{device_id}", self._change_device),
                ("POST", "registrations/{name}", self._change_registration),
            )
        ]

    async def _list_faults(self, request: Request) -> Response:
        return json_response({"faults": self._faults.listed()})

    async def _arm(self, request: Request) -> Response:
        return json_response({"id": self._faults.arm(await _order(request, Fault))}, 201)

    async def _disarm_all(self, request: Request) -> Response:
        self._faults.disarm()
        return Response(status_code=204)

    async def _disarm(self, request: Request) -> Response:
        number = request.path_params["number"]
        if not number.isdecimal():
            raise AdminError(400, "a fault has a number")
        self._faults.disarm(int(number))
        return Response(status_code=204)

    async def _rotate_keys(self, request: Request) -> Response:
        order = await _order(request, _RotateOrder) if await request.body() else _RotateOrder()
        return json_response({"kid": self._issuer.keys.rotate(keep_old=order.keep_old)})

    async def _list_requests(self, request: Request) -> Response:
        return json_response({"requests": self._log.entries()})

    async def _clear_requests(self, request: Request) -> Response:
        self._log.clear()
        return Response(status_code=204)

    async def _issue_token(self, request: Request) -> Response:
        order = await _order(request, _TokenOrder)
        tenant = self._directory.tenant
        if order.person is None:
            claims = self._issuer.graph_application_claims(tenant.broker, tenant.broker.permissions)
        else:
            person, scopes = self._person(order.person), " ".join(tenant.kiosk_api.scopes)
            client: Application = getattr(tenant, order.client)
            now = stamp(self._clock.utc())
            if order.id_token:
                claims = self._issuer.id_claims(person, client, now)
            else:
                claims = self._issuer.person_claims(person, client, scopes, now)
        claims = {name: value for name, value in (claims | order.claims).items() if value is not None}
        keys = self._issuer.keys
        if order.signed == "well":
            token = keys.sign(claims, order.headers)
        else:
            token = keys.sign_badly(claims, order.signed, order.headers)
        return json_response({"access_token": token})

    async def _advance_clock(self, request: Request) -> Response:
        self._clock.advance((await _order(request, _ClockOrder)).seconds)
        return json_response({"utc": moment(self._clock.utc())})

    async def _list_people(self, request: Request) -> Response:
        people = [
            {"oid": person.oid, "name": person.name, "address": person.address, "roles": person.roles}
            for person in self._directory.people()
        ]
        return json_response({"people": people})

    async def _list_devices(self, request: Request) -> Response:
        return json_response({"devices": [_overview(device) for device in self._directory.devices()]})

    async def _change_device(self, request: Request) -> Response:
        device = self._directory.device(request.path_params["device_id"])
        if device is None:
            raise AdminError(404, "no such device")
        changes = _given(await _order(request, _DeviceChange))
        for name in {"user", "primary"} & changes.keys():
            changes[name] = self._person(changes[name]).oid if changes[name] else ""
        self._directory.change(device, changes)
        return json_response(_overview(device))

    async def _change_registration(self, request: Request) -> Response:
        name = request.path_params["name"]
        tenant = self._directory.tenant
        if name not in {"kiosk_api", "kiosk_client", "sign_in", "broker"}:
            raise AdminError(404, "no such registration")
        changed = msgspec.structs.replace(getattr(tenant, name), **_given(await _order(request, _RegistrationChange)))
        self._directory.tenant = msgspec.structs.replace(tenant, **{name: changed})
        return json_response(changed)

    def _person(self, name: str) -> Person:
        person = self._directory.find_person(name)
        if person is None:
            raise AdminError(404, "no such person")
        return person


async def _order(request: Request, kind: type[Order]) -> Order:
    """Return the body of the request as ``kind``. Raises AdminError."""
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except msgspec.DecodeError as error:
        raise AdminError(400, str(error)) from None


def _given(order: Section) -> dict[str, Any]:
    """Return the fields that the order sets."""
    return {name: value for name, value in msgspec.structs.asdict(order).items() if value is not UNSET}


def _overview(device: Device) -> dict[str, Any]:
    """Return everything about a device but its key."""
    everything = msgspec.structs.asdict(device)
    visible = {name: value for name, value in everything.items() if name not in {"key", "stored"}}
    return visible | {"has_key": device.key is not None}
