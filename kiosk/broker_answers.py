"""Turns what the broker answers instead of a result into a KioskError. For its two clients, kiosk and sign-in page."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import httpx
import msgspec

from kiosk.errors import (
    PROBLEM_TYPE,
    BrokerGarbled,
    BrokerUnreachable,
    BrokerUntrusted,
    KioskError,
    KioskNotKnown,
    TokenProofTime,
    from_code,
)
from kiosk.models import Problem
from kiosk.net.http import refused_certificate, untrusted
from kiosk.process.logging import place_of
from kiosk.text import clean

_LONGEST_CAUSE = 200
# A balancer's own page, when it finds no broker that answers.
_NO_BROKER = {502, 503, 504}
_MALFORMED = (httpx.DecodingError, msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@contextlib.asynccontextmanager
async def kiosk_errors_only(not_known: type[KioskError] = KioskNotKnown) -> AsyncIterator[None]:
    """Turn every failure of a request into a KioskError. Its cause never quotes the request, which holds secrets.

    ``not_known`` says that the broker did not accept our certificate.
    """
    try:
        yield
    except KioskError:
        raise
    except _MALFORMED as error:
        raise BrokerGarbled(f"{type(error).__name__}: {clean(str(error), _LONGEST_CAUSE)}") from None
    except (httpx.HTTPError, OSError) as error:
        if reason := untrusted(error):
            raise BrokerUntrusted(reason) from None
        if reason := refused_certificate(error):
            raise not_known(reason) from None
        raise BrokerUnreachable(type(error).__name__) from None
    except Exception as error:
        # The request could not be built or sent: a character that headers forbid, or a closed client.
        raise KioskError(place_of(error)) from None


def problem(status: int, content: bytes) -> KioskError:
    """Return the error of an answer with an error status: its problem document, if it has one."""
    try:
        document = msgspec.json.decode(content, type=Problem)
    except _MALFORMED:
        if status in _NO_BROKER:
            return BrokerUnreachable(f"status {status} from a balancer or proxy in front of the broker")
        return BrokerGarbled(f"status {status} without a problem document")
    error = from_code(
        document.type.removeprefix(PROBLEM_TYPE),
        cause=f"status {status}",
        reference=clean(document.reference, 40),
        retry_after=document.retry_after,
    )
    error.client_request_id = clean(document.client_request_id)
    error.request_id = clean(document.request_id)
    if isinstance(error, TokenProofTime):
        error.broker_time = document.time
    return error
