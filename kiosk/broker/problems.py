"""Turns every error into an RFC 9457 problem document: code, plain words and reference. The cause is only logged."""

from __future__ import annotations

import math

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from kiosk.broker import logs
from kiosk.errors import PROBLEM_TYPE, KioskError, RequestInvalid
from kiosk.models import Problem
from kiosk.process.logging import place_of

MEDIA_TYPE = "application/problem+json"
NO_STORE = {"cache-control": "no-store"}


def answer(request: Request, error: Exception) -> Response:
    """Log a request that failed, in one line, and return the response to it."""
    ours = _ours(error)
    status, headers = ours.status, dict(NO_STORE)
    if isinstance(error, HTTPException):
        status = error.status_code
        headers |= error.headers or {}
    if ours.retry_after is not None:
        headers["retry-after"] = str(math.ceil(ours.retry_after))
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    logs.refusal(f"{request.method} {request.scope['path']}", ours)
    return Response(msgspec.json.encode(document(ours, status)), status, headers, MEDIA_TYPE)


def document(error: KioskError, status: int) -> Problem:
    """Return the problem document for an error."""
    return Problem(
        type=PROBLEM_TYPE + error.code,
        title=error.title,
        status=status,
        detail=f"{error.sentence} {error.next_step}",
        reference=error.reference,
        retry_after=error.retry_after,
        client_request_id=error.client_request_id,
        request_id=error.request_id,
    )


def _ours(error: Exception) -> KioskError:
    match error:
        case KioskError():
            return error
        case HTTPException():
            return RequestInvalid(f"{error.status_code}: {error.detail}")
        case ClientDisconnect():
            return RequestInvalid("the connection closed before the end of the body")
        case _:
            return KioskError(place_of(error))
