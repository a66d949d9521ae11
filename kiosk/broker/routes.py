"""The broker's HTTP interface: JSON under ``/v1``, a bearer token, problem documents for errors.

``OPERATIONS`` lists it. The signature of a handler says what the request must bring: a ``SignedIn`` visitor a token and
a proof, one ``AtKiosk`` a proof, one ``AtPage`` the connection of the sign-in page, a ``body`` JSON of that type.
``openapi.py`` describes the interface from the same list.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from kiosk import __version__
from kiosk.broker import logs, problems
from kiosk.broker.service import Asked, Service
from kiosk.broker.sign_ins.parties import name_of_peer
from kiosk.broker.visitor import AtKiosk, AtPage, SignedIn, Visitor
from kiosk.clock import Clock
from kiosk.errors import RequestInvalid, RouteUnknown
from kiosk.models import (
    PROOF_HEADER,
    TERMINAL_HEADER,
    Devices,
    Health,
    Message,
    Release,
    ReleaseChecked,
    ReleaseClosed,
    ReleaseRequest,
    Session,
)
from kiosk.net.connections import trust
from kiosk.net.peer import peer_of
from kiosk.secret import overwrite, zero
from kiosk.sign_in_messages import (
    BeginSignIn,
    ChooseWords,
    Confirm,
    Confirmed,
    EndAtPhone,
    HandOver,
    OpenLink,
    PhoneRequest,
    PhoneView,
    Secretive,
    SignInBegun,
    SignInView,
)

LARGEST_BODY = 64 * 1024
JSON = "application/json"
_VISIT_IN_LOG = 16
_FLUSH_SECONDS = 5.0
_SIGNED_IN = "kiosk.signed_in"
# In metrics, an address that there is not. Not the path itself: anybody can invent more.
_OTHER = "other"

_Handler = TypeVar("_Handler", bound=Callable[..., Awaitable[Message | None]])


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    ``fresh`` means that the sign-in must be recent. ``visitor``, ``body`` and ``returns`` are the types of the
    handler's parameters of that name and of its result; None where it has none.
    """

    method: str
    path: str
    handler: Callable[..., Awaitable[Message | None]]
    tag: str
    problems: tuple[int, ...]
    fresh: bool
    visitor: type[Visitor] | None
    body: type[Message] | None
    returns: type[Message] | None

    @property
    def needs_token(self) -> bool:
        return self.visitor is SignedIn

    @property
    def needs_proof(self) -> bool:
        return self.visitor in {SignedIn, AtKiosk}

    @property
    def status(self) -> int:
        """The status of a response without an error."""
        return 200 if self.returns else 204


OPERATIONS: list[Operation] = []


def _operation(method: str, path: str, *problems: int, tag: str, fresh: bool = True) -> Callable[[_Handler], _Handler]:
    """Add a handler to ``OPERATIONS``; ``problems`` are the statuses of its errors."""

    def add(handler: _Handler) -> _Handler:
        types = get_type_hints(handler)
        returns = None if types["return"] is type(None) else types["return"]
        OPERATIONS.append(
            Operation(method, path, handler, tag, problems, fresh, types.get("visitor"), types.get("body"), returns)
        )
        return handler

    return add


@_operation("POST", "/v1/sign-ins", 400, 401, 403, 413, 415, 422, 429, 503, tag="sign-in")
async def begin_sign_in(service: Service, visitor: AtKiosk, body: BeginSignIn) -> SignInBegun:
    """Begin a sign-in on a phone. The one before at the same terminal ends."""
    return await service.sign_ins.begin(visitor, body)


@_operation("GET", "/v1/sign-ins/{sign_in_id}", 400, 401, 403, 404, 429, 503, tag="sign-in")
async def view_sign_in(service: Service, visitor: AtKiosk, sign_in_id: str) -> SignInView:
    """Return how far a sign-in is. Only the visit that began it learns that."""
    return await service.sign_ins.view(visitor, sign_in_id)


@_operation("POST", "/v1/sign-ins/{sign_in_id}/confirm", 400, 401, 403, 404, 413, 415, 422, 429, 503, tag="sign-in")
async def confirm_sign_in(service: Service, visitor: AtKiosk, sign_in_id: str, body: Confirm) -> Confirmed:
    """Confirm a sign-in with the digits on the phone. The answer has the token, sealed to the public key of the visit.

    From then on the token serves this visit and no other.
    """
    return await service.sign_ins.confirm(visitor, sign_in_id, body)


@_operation("DELETE", "/v1/sign-ins/{sign_in_id}", 400, 401, 403, 404, 429, 503, tag="sign-in")
async def cancel_sign_in(service: Service, visitor: AtKiosk, sign_in_id: str) -> None:
    """End a sign-in at the kiosk."""
    await service.sign_ins.cancel(visitor, sign_in_id)


@_operation("POST", "/v1/page/alive", 400, 403, 413, 415, 503, tag="page")
async def page_alive(service: Service, visitor: AtPage) -> None:
    """Report that the sign-in page works. Without such a report for a minute, no sign-in begins."""
    await service.sign_ins.alive()


@_operation("POST", "/v1/page/open", 400, 403, 404, 413, 415, 503, tag="page")
async def page_open(service: Service, visitor: AtPage, body: OpenLink) -> PhoneView:
    """Open a link for a phone, which burns it. The answer has the secret of this phone."""
    return await service.sign_ins.open(visitor, body)


@_operation("POST", "/v1/page/words", 400, 403, 404, 413, 415, 503, tag="page")
async def page_words(service: Service, visitor: AtPage, body: ChooseWords) -> PhoneView:
    """Take the answer to which words are on the kiosk's screen. Any but the right one ends the sign-in."""
    return await service.sign_ins.words(body)


@_operation("POST", "/v1/page/tokens", 400, 403, 404, 413, 415, 503, tag="page")
async def page_tokens(service: Service, visitor: AtPage, body: HandOver) -> PhoneView:
    """Take the tokens that Entra ID gave to the page, and return the digits if they are good."""
    return await service.sign_ins.tokens(body)


@_operation("POST", "/v1/page/view", 400, 403, 404, 413, 415, 503, tag="page")
async def page_view(service: Service, visitor: AtPage, body: PhoneRequest) -> PhoneView:
    """Return what the page shows on a phone."""
    return await service.sign_ins.phone(body)


@_operation("POST", "/v1/page/end", 400, 403, 404, 413, 415, 503, tag="page")
async def page_end(service: Service, visitor: AtPage, body: EndAtPhone) -> PhoneView:
    """End a sign-in on the phone."""
    return await service.sign_ins.end(body)


@_operation("GET", "/v1/session", 400, 401, 403, 429, 503, tag="visit")
async def session(service: Service, visitor: SignedIn) -> Session:
    """Return the person that the token names, and the rules for them."""
    return await service.session(visitor)


# A visit may end when the sign-in is no longer fresh.
@_operation("DELETE", "/v1/session", 400, 401, 429, 503, tag="visit", fresh=False)
async def ended(service: Service, visitor: SignedIn) -> None:
    """End the visit. From then on its token is refused by every broker on this record."""
    await service.ended(visitor)


@_operation("GET", "/v1/devices", 400, 401, 403, 429, 502, 503, tag="visit")
async def devices(service: Service, visitor: SignedIn) -> Devices:
    """List the person's Macs, each with a refusal if its key cannot be released."""
    return await service.devices(visitor)


@_operation("POST", "/v1/devices/{device_id}/release", 400, 401, 403, 404, 413, 415, 422, 429, 502, 503, tag="release")
async def release(service: Service, visitor: SignedIn, device_id: str, body: ReleaseRequest) -> Release:
    """Release the recovery key of one of the person's Macs, sealed to the public key of this visit."""
    return await service.releases.release(visitor, device_id, body)


# A reveal may end when the sign-in is no longer fresh.
@_operation("POST", "/v1/releases/{release_id}/closed", 400, 401, 404, 413, 415, 429, 503, tag="release", fresh=False)
async def closed(service: Service, visitor: SignedIn, release_id: str, body: ReleaseClosed) -> None:
    """Report how the reveal ended. Only the first report on a release counts."""
    await service.closed(visitor, release_id, body)


@_operation("POST", "/v1/releases/{release_id}/checked", 400, 401, 404, 413, 415, 429, 503, tag="release", fresh=False)
async def checked(service: Service, visitor: SignedIn, release_id: str, body: ReleaseChecked) -> None:
    """Report how the check of a copy of the key went. Only the first report on a release counts."""
    await service.checked(visitor, release_id, body)


@_operation("POST", "/v1/releases/{release_id}/lost", 400, 404, 413, 415, 503, tag="release")
async def lost(service: Service, visitor: Visitor, release_id: str, body: ReleaseClosed) -> None:
    """Report that a reveal ended with the process that showed it.

    Needs no token, which is gone with the process: anyone who knows the id of the release can report it.
    """
    await service.lost(visitor, release_id, body)


@_operation("GET", "/healthz", 503, tag="operation")
async def healthz(service: Service) -> Health:
    """Confirm that this broker runs and is not about to stop.

    Depends on nothing that brokers share: a balancer that asks here never takes all of them out at once.
    """
    return Health(healthy=not service.draining, version=__version__)


@_operation("GET", "/readyz", 503, tag="operation")
async def readyz(service: Service) -> Health:
    """Confirm that the record can be written and sign-ins can be checked, as seen in the last seconds."""
    await service.ready()
    return Health(healthy=not service.draining, version=__version__)


def create_app(service: Service) -> ASGIApp:
    """Return the ASGI application around a service, which it closes at the end."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        counting = asyncio.create_task(_flush(answers, service.clock))
        sweeping = asyncio.create_task(service.sign_ins.keep_sweeping())
        try:
            yield
        finally:
            counting.cancel()
            sweeping.cancel()
            answers.flush(now=True)
            await service.close()

    answers = problems.Problems(service.clock, service.metrics)
    paths: dict[str, list[Operation]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, []).append(operation)
    for path in (*paths, _OTHER):
        service.metrics.expect(path)
    routes = [Route(path, _Resource(service, path, operations, answers)) for path, operations in paths.items()]
    unknown = _Resource(service, _OTHER, (), answers)
    router = Router(routes, redirect_slashes=False, default=unknown, lifespan=lifespan)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            # A superfluous slash, as in //readyz or /readyz/, makes no difference.
            scope["path"] = "/" + "/".join(filter(None, scope["path"].split("/")))
        await router(scope, receive, send)

    return app


async def _flush(answers: problems.Problems, clock: Clock) -> None:
    while True:
        await clock.sleep(_FLUSH_SECONDS)
        answers.flush()


class _Resource:
    """The ASGI application at one path, or, without operations, at all paths that are unknown."""

    def __init__(
        self, service: Service, path: str, operations: Sequence[Operation], answers: problems.Problems
    ) -> None:
        self._service = service
        self._path = path
        self._answers = answers
        self._operations = {operation.method: operation for operation in operations}
        self._allow = {"allow": ", ".join((*self._operations, "OPTIONS"))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._response(request)
        except Exception as error:
            response = self._answers.answer(request, error, self._path, signed_in=_is_signed_in(scope))
        if self._service.draining or not _is_signed_in(scope):
            # Each request without a good token costs a connection, and connections are limited.
            response.headers["connection"] = "close"
        await response(scope, receive, send)

    async def _response(self, request: Request) -> Response:
        if not self._operations:
            raise RouteUnknown("no such route")
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=problems.NO_STORE | self._allow)
        operation = self._operations.get(request.method)
        if operation is None:
            raise HTTPException(405, headers=self._allow)
        given: dict[str, Any] = dict(request.path_params)
        visitor = await _visitor(self._service, request, operation) if operation.visitor else None
        content = await _content(request) if operation.body else b""
        if isinstance(visitor, SignedIn | AtKiosk):
            await self._service.expect_body(visitor, content)
        if visitor:
            given["visitor"] = visitor
        if operation.body:
            given["body"] = _message(content, operation.body)
            if issubclass(operation.body, Secretive):
                overwrite(content)
        returned = await operation.handler(self._service, **given)
        if isinstance(visitor, AtKiosk):
            # It has a sign-in, and asks for it each second.
            _keep(request.scope)
        answer = None if returned is None else msgspec.json.encode(returned)
        status = 503 if isinstance(returned, Health) and not returned.healthy else operation.status
        return Response(answer, status, problems.NO_STORE, JSON if answer else None)


def _is_signed_in(scope: Scope) -> bool:
    """Whether the request proved who sends it, with a token in most cases."""
    return scope.get(_SIGNED_IN, False) is True


async def _visitor(service: Service, request: Request, operation: Operation) -> Visitor:
    """Return who sends the request. Raises TokenRefused, RequestLimit, KioskNotKnown or SignInPageNotKnown."""
    peer = peer_of(request.scope)
    if operation.visitor is AtPage:
        await service.sign_ins.expect_page(peer)
        _keep(request.scope)
        return AtPage(None, "", page=name_of_peer(peer))
    await service.sign_ins.expect_kiosk(peer)
    terminal = service.sign_ins.parties.terminal_of(peer, request.headers.get(TERMINAL_HEADER))
    logs.bind(terminal=terminal)
    if not operation.needs_proof:
        return Visitor(None, terminal)
    asked = Asked(
        request.method,
        _target(request.scope),
        request.headers.get("authorization"),
        # Two proofs make none.
        ",".join(request.headers.getlist(PROOF_HEADER)),
    )
    visitor: SignedIn | AtKiosk
    if operation.needs_token:
        visitor = await service.authenticate(asked, terminal, fresh=operation.fresh)
        _keep(request.scope)
    else:
        visitor = await service.at_kiosk(asked, terminal, name_of_peer(peer))
    logs.bind(visit=visitor.visit[:_VISIT_IN_LOG])
    return visitor


def _keep(scope: Scope) -> None:
    """Let the connection stay open: the request proved who sends it."""
    scope[_SIGNED_IN] = True
    trust(scope)


def _target(scope: Scope) -> str:
    """Return path and query of a request, as they were sent."""
    path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


async def _content(request: Request) -> bytes:
    """Return the body of a request. Raises HTTPException."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise HTTPException(415, f"expected {JSON}")
    if int(request.headers.get("content-length", 0)) > LARGEST_BODY:
        raise HTTPException(413)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise HTTPException(413)
    content = bytes(body)
    zero(body)
    return content


def _message(body: bytes, kind: type[Message]) -> Message:
    """Decode the body of a request. Raises RequestInvalid."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        # Only the place of a wrong value: the message may quote the value.
        raise RequestInvalid(f"{kind.__name__}: {str(error).rpartition(' - at ')[2]}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestInvalid(f"{kind.__name__}: {type(error).__name__}: {error}") from None
