"""The broker's interface in HTTP: JSON under ``/v1``, a bearer token, problem documents for errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from litestar import Litestar, Request, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import ResponseHeader, State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.params import FromPath, JSONBody, SkipValidation

from kiosk import __version__
from kiosk.broker import logs, problems
from kiosk.broker.service import Service
from kiosk.broker.visitor import SignedIn
from kiosk.models import Devices, Health, Problem, Release, ReleaseChecked, ReleaseClosed, ReleaseRequest, Session
from kiosk.text import clean

LARGEST_BODY = 64 * 1024
TERMINAL_HEADER = "X-Kiosk-Terminal"
VISIT_HEADER = "X-Visit-Key"
_VISIT_IN_LOG = 16

_Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]
_Served: TypeAlias = NamedDependency[SkipValidation[Service]]
_By: TypeAlias = NamedDependency[SkipValidation[SignedIn]]


def _problems(*statuses: int) -> dict[int, ResponseSpec]:
    words = "A problem document; its type ends in a stable code."
    spec = ResponseSpec(Problem, generate_examples=False, description=words, media_type=problems.MEDIA_TYPE)
    return dict.fromkeys(statuses, spec)


async def signed_in(connection: _Connection, _: BaseRouteHandler) -> None:
    await _authenticate(connection, fresh=True)


async def signed_in_before(connection: _Connection, _: BaseRouteHandler) -> None:
    """For the end of a reveal, which may come when the sign-in is no longer fresh."""
    await _authenticate(connection, fresh=False)


async def _authenticate(connection: _Connection, *, fresh: bool) -> None:
    service: Service = connection.app.state.service
    headers = connection.headers
    terminal, visit_key = headers.get(TERMINAL_HEADER), headers.get(VISIT_HEADER)
    logs.bind(terminal=clean(terminal), visit=clean(visit_key)[:_VISIT_IN_LOG])
    connection.state.visitor = await service.authenticate(
        headers.get("authorization"), terminal, visit_key, fresh=fresh
    )


async def sends_json(connection: _Connection, _: BaseRouteHandler) -> None:
    if connection.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException("expected application/json", status_code=415)


@get("/v1/session", guards=[signed_in], responses=_problems(400, 401, 403, 503), tags=["visit"])
async def session(service: _Served, visitor: _By) -> Session:
    """Who am I, and which rules will I meet."""
    return await service.session(visitor)


@get("/v1/devices", guards=[signed_in], responses=_problems(400, 401, 403, 502, 503), tags=["visit"])
async def devices(service: _Served, visitor: _By) -> Devices:
    """My Macs, with the reason where a key cannot be had."""
    return await service.devices(visitor)


@post(
    "/v1/devices/{device_id:str}/release",
    guards=[signed_in, sends_json],
    status_code=200,
    responses=_problems(400, 401, 403, 404, 413, 415, 422, 429, 502, 503),
    tags=["release"],
)
async def release(service: _Served, visitor: _By, device_id: FromPath[str], data: JSONBody[ReleaseRequest]) -> Release:
    """The recovery key of one of my Macs, sealed to the public key of this visit."""
    return await service.release(visitor, device_id, data)


@post(
    "/v1/releases/{release_id:str}/closed",
    guards=[signed_in_before, sends_json],
    status_code=204,
    responses=_problems(400, 401, 404, 413, 415, 503),
    tags=["release"],
)
async def closed(service: _Served, visitor: _By, release_id: FromPath[str], data: JSONBody[ReleaseClosed]) -> None:
    """How the reveal ended. Only the first word on a release is kept."""
    await service.closed(visitor, release_id, data)


@post(
    "/v1/releases/{release_id:str}/checked",
    guards=[signed_in_before, sends_json],
    status_code=204,
    responses=_problems(400, 401, 404, 413, 415, 503),
    tags=["release"],
)
async def checked(service: _Served, visitor: _By, release_id: FromPath[str], data: JSONBody[ReleaseChecked]) -> None:
    """How the check of a copy of the key went. Only the first word on a release is kept."""
    await service.checked(visitor, release_id, data)


@post(
    "/v1/releases/{release_id:str}/lost",
    guards=[sends_json],
    status_code=204,
    responses=_problems(400, 404, 413, 415, 503),
    tags=["release"],
    security=[{}],
)
async def lost(
    request: Request[Any, Any, State], service: _Served, release_id: FromPath[str], data: JSONBody[ReleaseClosed]
) -> None:
    """That a reveal ended with the process that showed it. The token is gone with it: the id is the proof."""
    await service.lost(request.headers.get(TERMINAL_HEADER), release_id, data)


@get("/healthz", tags=["operation"], security=[{}])
async def healthz() -> Health:
    """The broker runs."""
    return Health(version=__version__)


@get("/readyz", responses=_problems(503), tags=["operation"], security=[{}])
async def readyz(service: _Served) -> Health:
    """The record can be written and sign-ins can be checked."""
    await service.ready()
    return Health(version=__version__)


HANDLERS: Sequence[Any] = (session, devices, release, closed, checked, lost, healthz, readyz)


def create_app(service: Service, *, openapi: OpenAPIConfig | None = None) -> Litestar:
    """The ASGI application around a service. Serves no pages of its own; ``openapi`` is for writing the description."""

    def visitor(request: Request[Any, Any, State]) -> SignedIn:
        found = request.state.visitor
        assert isinstance(found, SignedIn)
        return found

    async def finish() -> None:
        await service.close()

    return Litestar(
        route_handlers=HANDLERS,
        dependencies={
            "service": Provide(lambda: service, sync_to_thread=False),
            "visitor": Provide(visitor, sync_to_thread=False),
        },
        state=State({"service": service}),
        exception_handlers={Exception: problems.answer},
        response_headers=[ResponseHeader(name=name, value=value) for name, value in problems.NO_STORE.items()],
        request_max_body_size=LARGEST_BODY,
        on_shutdown=[finish],
        openapi_config=openapi,
        logging_config=None,
        debug=False,
    )
