"""The sandbox as one ASGI application: its services behind Starlette's routes, with fault injection in front."""

from __future__ import annotations

import functools
import logging
import secrets

import msgspec
from cryptography import x509
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from kiosk.clock import Clock
from kiosk.errors import ConfigError
from kiosk.process.logging import place_of
from kiosk.sandbox.admin import Admin, AdminAuthentication, RequestLog, ShiftedClock
from kiosk.sandbox.authorize_pages import AuthorizePages
from kiosk.sandbox.certificates import Certificates
from kiosk.sandbox.entra.authorization import AuthorizationCodes
from kiosk.sandbox.entra.device_code import DeviceCodes
from kiosk.sandbox.entra.issuer import Issuer
from kiosk.sandbox.entra.routes import Entra
from kiosk.sandbox.entra.tokens import SigningKeys
from kiosk.sandbox.faults import Faults
from kiosk.sandbox.graph.rotation import Rotations
from kiosk.sandbox.graph.routes import Graph
from kiosk.sandbox.http import Refusal, call, json_response, read_body
from kiosk.sandbox.pages import Pages
from kiosk.sandbox.settings import SandboxConfig
from kiosk.sandbox.tenant.directory import DEVICES_FILE, PEOPLE_FILE, Directory, load_directory
from kiosk.sandbox.tenant.generate import grow
from kiosk.text import clean

_LARGEST_BODY = 1 << 20
_LONGEST_NAME = 160
_log = logging.getLogger(__name__)


class Sandbox:
    """A simulated tenant at the address ``base``. Raises ConfigError for invalid data.

    Faults need uvicorn's own ``send`` and whole requests, so this must be the outermost application.
    """

    def __init__(self, config: SandboxConfig, base: str, page: str, clock: Clock, certificates: Certificates) -> None:
        """``page`` is the address of the sign-in page."""
        self.clock = ShiftedClock(clock)
        self.admin_token = secrets.token_urlsafe(32)
        self.directory = _directory(config, page, self.clock)
        # Generated people can sign in, but a list of thousands helps nobody.
        listed = tuple(self.directory.people())
        grow(self.directory, config.tenant.devices, config.tenant.seed, self.clock.utc())
        self._faults = Faults(self.clock)
        for fault in config.fault:
            self._faults.arm(fault)
        self._requests = RequestLog()
        approver = _approver(config, self.directory)
        device_codes = DeviceCodes(
            self.clock,
            expires_seconds=config.device_code.expires_seconds,
            interval_seconds=config.device_code.interval_seconds,
            approve_oid=approver,
        )
        codes = AuthorizationCodes(self.clock)
        rotations = Rotations(
            self.clock,
            pending_seconds=config.graph.rotation_pending_seconds,
            active_seconds=config.graph.rotation_active_seconds,
        )
        for device in self.directory.devices():
            rotations.load(device)
        keys = SigningKeys()
        issuer = Issuer(base, self.directory, keys, self.clock)
        tenant = self.directory.tenant
        registered = {
            application.client_id: [x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())]
            for application, issued in ((tenant.broker, certificates.broker), (tenant.sign_in, certificates.sign_in))
        }
        self._app = Starlette(
            routes=[
                *Graph(base, self.directory, keys, rotations, self.clock, config.graph.page_size).routes(),
                *Entra(base, self.directory, issuer, device_codes, codes, self.clock, registered).routes(),
                *AuthorizePages(self.directory, codes, listed, self.clock, approver).routes(),
                *Pages(self.directory, device_codes, listed).routes(),
                *Admin(self.directory, issuer, self._faults, self._requests, self.clock).routes(),
            ],
            middleware=[Middleware(AdminAuthentication, token=self.admin_token)],
            exception_handlers={Refusal: self._refused, 404: _not_found, 405: _method_not_allowed},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            body = await read_body(request, _LARGEST_BODY)
        except ClientDisconnect:
            return
        if body is None:
            await Response(status_code=413, headers={"connection": "close"})(scope, receive, send)
            return
        if fault := self._faults.strike(request):
            self._requests.add(request, fault.logged_status(), fault.kind)
            answer = functools.partial(self._answer, request, body)
            await self._faults.play(fault, request, answer, receive, send)
            return
        response = await self._answer(request, body)
        self._requests.add(request, response.status_code)
        await response(scope, receive, send)

    async def _answer(self, request: Request, body: bytes) -> Response:
        """Return the true response to a request."""
        # A slash at the end makes no difference to the real services.
        scope = {**request.scope, "path": request["path"].rstrip("/") or "/"}
        try:
            return await call(self._app, scope, body)
        except Exception as error:  # a bug of ours must not look like a fault of the network
            _log.error("%s %s failed at %s: %s", request.method, request["path"], place_of(error), type(error).__name__)
            return json_response({"error": "the sandbox itself failed; see its log"}, 500)

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return error.response(request, self.clock.utc())


async def _not_found(request: Request, error: Exception) -> Response:
    return json_response({"error": "not found"}, 404)


async def _method_not_allowed(request: Request, error: Exception) -> Response:
    """Return 405 with the methods of all routes of this path; Starlette would name those of the first."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    methods = {method for route in routes if isinstance(route, Route) for method in route.methods or ()}
    return Response(status_code=405, headers={"allow": ", ".join(sorted(methods))})


def _directory(config: SandboxConfig, page: str, clock: Clock) -> Directory:
    settings = config.tenant
    directory = load_directory(
        clock.utc(),
        tenant_id=settings.id,
        people_file=settings.people_file or PEOPLE_FILE,
        devices_file=settings.devices_file or DEVICES_FILE,
    )
    tenant, broker = directory.tenant, directory.tenant.broker
    if settings.permissions is not None:
        broker = msgspec.structs.replace(broker, permissions=settings.permissions)
    sign_in = msgspec.structs.replace(
        tenant.sign_in,
        redirect_uris=(f"{page}/signed-in",),
        optional_claims=config.sign_in.optional_claims,
        contexts=config.sign_in.contexts,
    )
    directory.tenant = msgspec.structs.replace(tenant, broker=broker, sign_in=sign_in)
    return directory


def _approver(config: SandboxConfig, directory: Directory) -> str:
    """Return the object id of the person who approves every sign-in, or an empty string."""
    if config.approve is None:
        return ""
    person = directory.find_person(config.approve)
    if person is None:
        known = ", ".join(clean(one.name, _LONGEST_NAME) for one in directory.people())
        reason = f"expected one of {known}; not {clean(config.approve, _LONGEST_NAME)}"
        raise ConfigError("sandbox", reason, key="approve")
    return person.oid
