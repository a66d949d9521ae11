"""The sandbox as one ASGI application: the parts put together, faults and the request log around them."""

from __future__ import annotations

import logging
import secrets
import traceback
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography import x509

from kiosk.clock import Clock
from kiosk.errors import ConfigError
from kiosk.sandbox.admin import Admin, RequestLog, ShiftedClock
from kiosk.sandbox.entra.device_code import DeviceCodes
from kiosk.sandbox.entra.issuer import Issuer
from kiosk.sandbox.entra.routes import Entra
from kiosk.sandbox.entra.tokens import SigningKeys
from kiosk.sandbox.faults import Faults
from kiosk.sandbox.graph.rotation import Rotations
from kiosk.sandbox.graph.routes import Graph
from kiosk.sandbox.pages import Pages
from kiosk.sandbox.settings import SandboxConfig
from kiosk.sandbox.tenant.directory import DEVICES_FILE, PEOPLE_FILE, Directory, load_directory
from kiosk.sandbox.tenant.generate import grow
from kiosk.sandbox.web import (
    Receive,
    Refusal,
    Request,
    Response,
    Routes,
    Scope,
    Send,
    json_response,
    read_request,
    send_response,
)
from kiosk.text import clean

_LONGEST_NAME = 160
_log = logging.getLogger(__name__)


class Sandbox:
    """A simulated tenant at the address ``base``. Raises ConfigError for data that does not fit."""

    def __init__(
        self, config: SandboxConfig, base: str, clock: Clock, broker_certificates: Sequence[x509.Certificate]
    ) -> None:
        self.clock = ShiftedClock(clock)
        self.admin_token = secrets.token_urlsafe(32)
        self.directory = _directory(config, self.clock)
        offered = tuple(self.directory.people())
        grow(self.directory, config.tenant.devices, config.tenant.seed, self.clock.utc())
        tenant = self.directory.tenant
        keys = SigningKeys()
        self._issuer = Issuer(base, self.directory, keys, self.clock)
        self._faults = Faults(self.clock)
        for fault in config.fault:
            self._faults.arm(fault)
        self._requests = RequestLog()
        codes = DeviceCodes(
            self.clock,
            expires_seconds=config.device_code.expires_seconds,
            interval_seconds=config.device_code.interval_seconds,
            approve_oid=_approver(config, self.directory),
        )
        rotations = Rotations(
            self.clock,
            pending_seconds=config.graph.rotation_pending_seconds,
            active_seconds=config.graph.rotation_active_seconds,
        )
        for device in self.directory.devices():
            rotations.remember(device)
        self._graph = Graph(base, self.directory, keys, rotations, self.clock, config.graph.page_size)
        self._admin = Admin(self.admin_token, self.directory, self._issuer, self._faults, self._requests, self.clock)
        self._routes = Routes()
        certificates = {tenant.broker.client_id: broker_certificates}
        Entra(base, self.directory, self._issuer, codes, self.clock, certificates).add_to(self._routes)
        Pages(self.directory, codes, offered).add_to(self._routes)
        self._admin.add_to(self._routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        try:
            request = await read_request(scope, receive)
        except Refusal as refusal:
            await send_response(refusal.response, send)
            return
        if request is None:
            return
        if fault := self._faults.strike(request):
            status = fault.status if fault.kind == "status" else 0 if fault.kind in {"hang", "reset"} else 200
            self._requests.add(request, status, fault.kind)
            await self._faults.play(fault, request, self._answer, receive, send)
            return
        response = self._answer(request)
        self._requests.add(request, response.status)
        await send_response(response, send)

    def _answer(self, request: Request) -> Response:
        try:
            self._admin.check(request)
            answer = self._graph.answer(request) or self._routes.answer(request)
            return answer or json_response({"error": "not found"}, 404)
        except Refusal as refusal:
            return refusal.response
        except Exception as error:  # a mistake of ours must look like one, not like a fault of the network
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            _log.error("%s %s failed at %s: %s", request.method, request.path, where, type(error).__name__)
            return json_response({"error": "the sandbox itself failed; see its log"}, 500)


def _directory(config: SandboxConfig, clock: Clock) -> Directory:
    settings = config.tenant
    directory = load_directory(
        clock.utc(),
        tenant_id=settings.id,
        people_file=settings.people_file or PEOPLE_FILE,
        devices_file=settings.devices_file or DEVICES_FILE,
    )
    if settings.permissions is not None:
        tenant = directory.tenant
        broker = msgspec.structs.replace(tenant.broker, permissions=settings.permissions)
        directory.tenant = msgspec.structs.replace(tenant, broker=broker)
    return directory


def _approver(config: SandboxConfig, directory: Directory) -> str:
    if config.approve is None:
        return ""
    person = directory.find_person(config.approve)
    if person is None:
        known = ", ".join(clean(one.name, _LONGEST_NAME) for one in directory.people())
        reason = f"expected one of {known}; not {clean(config.approve, _LONGEST_NAME)}"
        raise ConfigError("sandbox", reason, key="approve")
    return person.oid


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
