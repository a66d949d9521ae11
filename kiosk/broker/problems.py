"""Turns every error into an RFC 9457 problem document: code, plain words and reference. The cause is only logged."""

from __future__ import annotations

import logging
import math

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from kiosk.broker import logs
from kiosk.broker.metrics import Metrics
from kiosk.clock import Clock
from kiosk.errors import PROBLEM_TYPE, KioskError, TokenProofTime
from kiosk.models import Problem
from kiosk.net.log_limit import LogLimit
from kiosk.process.request_errors import as_kiosk_error

MEDIA_TYPE = "application/problem+json"
NO_STORE = {"cache-control": "no-store"}
# In a minute, for each code.
_LINES = 30


class Problems:
    """Answers requests that failed, counts them, and logs each in one line.

    Anybody can send requests without a token, so of these only so many lines are written in a minute, and then a count.
    """

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._metrics = metrics
        self._limit = LogLimit(clock, _report, _LINES)

    def answer(self, request: Request, error: Exception, route: str, *, signed_in: bool) -> Response:
        """Count and log a request that failed, and return the response to it."""
        ours = as_kiosk_error(error)
        self._metrics.refusal(route, ours.code)
        if not ours.counted and (signed_in or self._limit.admits(ours.code)):
            logs.refusal(f"{request.method} {request.scope['path']}", ours)
        return _response(ours, error)

    def flush(self, *, now: bool = False) -> None:
        """Log the counts of a minute that is over or, with ``now``, of this one."""
        self._limit.flush(now=now)


def _report(code: str, count: int) -> None:
    logs.event("refused.counted", logging.WARNING, code=code, cause=f"{count} more without a token")


def _response(ours: KioskError, error: Exception) -> Response:
    status, headers = ours.status, dict(NO_STORE)
    if isinstance(error, HTTPException):
        status = error.status_code
        headers |= error.headers or {}
    if ours.retry_after is not None:
        headers["retry-after"] = str(math.ceil(ours.retry_after))
    if status == 401:
        headers["www-authenticate"] = "Bearer"
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
        time=error.broker_time if isinstance(error, TokenProofTime) else None,
    )
