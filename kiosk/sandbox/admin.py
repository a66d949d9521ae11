"""How tests and demonstrations steer the sandbox: faults, time, keys, devices, registrations, tokens, requests."""

from __future__ import annotations

import datetime as dt
import hmac
from collections import deque
from typing import Any, Literal, TypeVar

import msgspec

from kiosk.clock import Clock
from kiosk.config.types import Section
from kiosk.sandbox.entra.issuer import Issuer, stamp
from kiosk.sandbox.faults import Fault, Faults
from kiosk.sandbox.graph.resources import moment
from kiosk.sandbox.tenant.directory import Device, Directory
from kiosk.sandbox.web import Refusal, Request, Response, Routes, json_response

_REMEMBERED = 20_000
_PREFIX = "/sandbox/"

Order = TypeVar("Order", bound=Section)


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """One request, without anything that came in its query, headers or body but the client's own id."""

    method: str
    path: str
    status: int
    client_request_id: str
    fault: str = ""


class RequestLog:
    """The latest requests. Those for the sandbox itself do not count."""

    def __init__(self) -> None:
        self._entries: deque[Logged] = deque(maxlen=_REMEMBERED)

    def add(self, request: Request, status: int, fault: str = "") -> None:
        """Remember a request; status 0 means that it got no answer of ours."""
        if request.path.startswith(_PREFIX):
            return
        client_id = request.headers.get("client-request-id", "")
        entry = Logged(
            method=request.method, path=request.path, status=status, client_request_id=client_id, fault=fault
        )
        self._entries.append(entry)

    def clear(self) -> None:
        self._entries.clear()

    def entries(self) -> list[Logged]:
        return list(self._entries)


class ShiftedClock:
    """A clock that can be moved on while it runs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = 0.0

    def now(self) -> float:
        return self._clock.now() + self._ahead

    def utc(self) -> dt.datetime:
        return self._clock.utc() + dt.timedelta(seconds=self._ahead)

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    def advance(self, seconds: float) -> None:
        """Move both times on."""
        self._ahead += seconds


class _Shift(Section, frozen=True, kw_only=True):
    seconds: float


class _Rotate(Section, frozen=True, kw_only=True):
    keep_old: bool = True


class _Mint(Section, frozen=True, kw_only=True):
    """A token on order: somebody's for the Kiosk API, or without ``person`` the broker's own for Graph.

    ``claims`` replace what would be there, null removes; ``headers`` likewise replace. ``signed`` spoils the signature.
    """

    person: str | None = None
    claims: dict[str, Any] = msgspec.field(default_factory=dict)
    headers: dict[str, Any] = msgspec.field(default_factory=dict)
    signed: Literal["well", "foreign", "none", "HS256"] = "well"


class _Change(Section, frozen=True, kw_only=True):
    """What an administrator can change about a device; people are named by address, name or oid."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    user: str | msgspec.UnsetType = msgspec.UNSET
    primary: str | msgspec.UnsetType = msgspec.UNSET
    owner: str | msgspec.UnsetType = msgspec.UNSET
    os: str | msgspec.UnsetType = msgspec.UNSET
    agent: str | msgspec.UnsetType = msgspec.UNSET
    state: str | msgspec.UnsetType = msgspec.UNSET
    online: bool | msgspec.UnsetType = msgspec.UNSET
    key: str | msgspec.UnsetType | None = msgspec.UNSET
    without_key: str | msgspec.UnsetType = msgspec.UNSET
    stored: str | msgspec.UnsetType | None = msgspec.UNSET
    encryption: str | msgspec.UnsetType = msgspec.UNSET
    policy: str | msgspec.UnsetType = msgspec.UNSET


class _Registration(Section, frozen=True, kw_only=True):
    """What an administrator can change about one of the kiosk's registrations."""

    public: bool | msgspec.UnsetType = msgspec.UNSET
    consented: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    permissions: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class Admin:
    """Routes under ``/sandbox``; all ask for the admin token."""

    def __init__(
        self,
        token: str,
        directory: Directory,
        issuer: Issuer,
        faults: Faults,
        log: RequestLog,
        clock: ShiftedClock,
    ) -> None:
        self._token = token
        self._directory = directory
        self._issuer = issuer
        self._faults = faults
        self._log = log
        self._clock = clock

    def add_to(self, routes: Routes) -> None:
        """Add what an administrator may ask."""
        for method, path, handler in (
            ("GET", "faults", self._list_faults),
            ("POST", "faults", self._arm),
            ("DELETE", "faults", self._disarm_all),
            ("DELETE", "faults/{number}", self._disarm),
            ("POST", "keys/rotate", self._rotate_keys),
            ("GET", "requests", self._requests),
            ("DELETE", "requests", self._forget_requests),
            ("POST", "tokens", self._mint),
            ("POST", "clock", self._shift),
            ("GET", "people", self._people),
            ("GET", "devices", self._devices),
            ("POST", "devices/{device_id}", self._change),
            ("POST", "registrations/{name}", self._register),
        ):
            routes.add(method, _PREFIX + path, handler)

    def check(self, request: Request) -> None:
        """Refuse requests below our prefix that do not bring the token."""
        if request.path.startswith(_PREFIX) and not hmac.compare_digest(
            request.bearer().encode(), self._token.encode()
        ):
            raise Refusal(json_response({"error": "the admin token is needed"}, 401))

    def _list_faults(self, request: Request) -> Response:
        return json_response({"faults": self._faults.listed()})

    def _arm(self, request: Request) -> Response:
        return json_response({"id": self._faults.arm(_read(request, Fault))}, 201)

    def _disarm_all(self, request: Request) -> Response:
        self._faults.disarm()
        return Response(204)

    def _disarm(self, request: Request, number: str) -> Response:
        if not number.isdecimal():
            raise Refusal(json_response({"error": "a fault has a number"}, 400))
        self._faults.disarm(int(number))
        return Response(204)

    def _rotate_keys(self, request: Request) -> Response:
        order = _read(request, _Rotate) if request.body else _Rotate()
        return json_response({"kid": self._issuer.keys.rotate(keep_old=order.keep_old)})

    def _requests(self, request: Request) -> Response:
        return json_response({"requests": self._log.entries()})

    def _forget_requests(self, request: Request) -> Response:
        self._log.clear()
        return Response(204)

    def _mint(self, request: Request) -> Response:
        order = _read(request, _Mint)
        tenant = self._directory.tenant
        if order.person is None:
            claims = self._issuer.graph_application_claims(tenant.broker, tenant.broker.permissions)
        else:
            person = self._directory.find_person(order.person)
            if person is None:
                raise Refusal(json_response({"error": "no such person"}, 404))
            scopes = " ".join(tenant.kiosk_api.scopes)
            claims = self._issuer.person_claims(person, tenant.kiosk_client, scopes, stamp(self._clock.utc()))
        claims = {name: value for name, value in (claims | order.claims).items() if value is not None}
        keys = self._issuer.keys
        if order.signed == "well":
            token = keys.sign(claims, order.headers)
        else:
            token = keys.sign_badly(claims, order.signed, order.headers)
        return json_response({"access_token": token})

    def _shift(self, request: Request) -> Response:
        self._clock.advance(_read(request, _Shift).seconds)
        return json_response({"utc": moment(self._clock.utc())})

    def _people(self, request: Request) -> Response:
        people = [
            {"oid": person.oid, "name": person.name, "address": person.address, "roles": person.roles}
            for person in self._directory.people()
        ]
        return json_response({"people": people})

    def _devices(self, request: Request) -> Response:
        return json_response({"devices": [_overview(device) for device in self._directory.devices()]})

    def _change(self, request: Request, device_id: str) -> Response:
        device = self._directory.device(device_id)
        if device is None:
            raise Refusal(json_response({"error": "no such device"}, 404))
        changes = _given(_read(request, _Change))
        for name in {"user", "primary"} & changes.keys():
            person = self._directory.find_person(changes[name])
            if changes[name] and person is None:
                raise Refusal(json_response({"error": "no such person"}, 404))
            changes[name] = person.oid if person else ""
        self._directory.change(device, changes)
        return json_response(_overview(device))

    def _register(self, request: Request, name: str) -> Response:
        tenant = self._directory.tenant
        if name not in {"kiosk_api", "kiosk_client", "broker"}:
            raise Refusal(json_response({"error": "no such registration"}, 404))
        changed = msgspec.structs.replace(getattr(tenant, name), **_given(_read(request, _Registration)))
        self._directory.tenant = msgspec.structs.replace(tenant, **{name: changed})
        return json_response(changed)


def _given(order: Section) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(order).items() if value is not msgspec.UNSET}


def _overview(device: Device) -> dict[str, Any]:
    everything = msgspec.structs.asdict(device)
    return {name: value for name, value in everything.items() if name not in {"key", "stored"}} | {
        "has_key": device.key is not None
    }


def _read(request: Request, kind: type[Order]) -> Order:
    try:
        return msgspec.json.decode(request.body, type=kind)
    except msgspec.DecodeError as error:
        raise Refusal(json_response({"error": str(error)}, 400)) from None
