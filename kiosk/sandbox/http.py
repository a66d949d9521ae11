"""What the sandbox adds to Starlette's requests and responses: ids, forms, bearer tokens, JSON, refusals."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Scope

_REQUEST_ID = "sandbox.request_id"


class Refusal(Exception):
    """Base of all errors that a service answers with. Raised anywhere, turned into a response by the application."""

    def response(self, request: Request, now: dt.datetime) -> Response:
        """Return the error as its service words it."""
        raise NotImplementedError


def request_id(request: Request) -> str:
    """Return our own id for the request."""
    known: str = request.scope.setdefault(_REQUEST_ID, str(uuid.uuid4()))
    return known


def client_request_id(request: Request) -> str:
    """Return the client's id for the request, or ours if it sent none, as the real services do."""
    return request.headers.get("client-request-id") or request_id(request)


def bearer_token(request: Request) -> str:
    """Return the bearer token, or an empty string."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def form_fields(request: Request) -> dict[str, str]:
    """Return the fields of a URL-encoded form; none if the body is not text.

    Starlette's own parser needs python-multipart, a package that nothing else here uses.
    """
    try:
        return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
    except ValueError:
        return {}


async def read_body(request: Request, limit: int) -> bytes | None:
    """Return the whole body, or None if it is larger than ``limit``. Raises ClientDisconnect."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            return None
    return bytes(body)


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return ``value`` as JSON that no cache may keep."""
    fixed = {"content-type": "application/json; charset=utf-8", "cache-control": "no-store"}
    return Response(msgspec.json.encode(value), status, fixed | dict(headers or {}))


async def call(app: ASGIApp, scope: Scope, body: bytes) -> Response:
    """Send one request to ``app`` and return its whole response."""
    status, headers, received = 500, [], bytearray()

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message["headers"])
        else:
            received.extend(message.get("body", b""))

    await app(scope, receive, send)
    response = Response(bytes(received), status)
    response.raw_headers = headers
    return response
