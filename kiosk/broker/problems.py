"""Every error as an RFC 9457 problem document: code, plain words and reference; the cause goes to the log only."""

from __future__ import annotations

import math

from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, NotFoundException

from kiosk.broker import logs
from kiosk.errors import PROBLEM_TYPE, KioskError, RequestInvalid, RouteUnknown
from kiosk.models import Problem

MEDIA_TYPE = "application/problem+json"
NO_STORE = {"cache-control": "no-store"}


def answer(request: Request[object, object, State], error: Exception) -> Response[Problem]:
    """The answer to a request that ended in any error at all; one line of log goes with it."""
    ours = _ours(error)
    status = error.status_code if isinstance(error, HTTPException) else ours.status
    logs.refusal(f"{request.method} {request.url.path}", ours)
    headers = dict(NO_STORE)
    if ours.retry_after is not None:
        headers["retry-after"] = str(math.ceil(ours.retry_after))
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, HTTPException):
        headers |= error.headers or {}
    return Response(document(ours, status), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def document(error: KioskError, status: int) -> Problem:
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
        case NotFoundException():
            return RouteUnknown("no such route")
        case HTTPException() if error.status_code < 500:
            return RequestInvalid(f"{error.status_code}: {error.detail}")
        case RecursionError():
            # Nothing of ours goes that deep; what somebody has sent does.
            return RequestInvalid("nested too deeply")
        case _:
            return KioskError(logs.place(error))
