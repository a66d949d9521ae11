"""Says what an exception of a request is to the person who sent it."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from kiosk.errors import KioskError, RequestInvalid
from kiosk.process.logging import place_of


def as_kiosk_error(error: Exception) -> KioskError:
    """Return one of our errors for any exception. An unexpected one keeps its place in the code, never its text."""
    match error:
        case KioskError():
            return error
        case HTTPException():
            return RequestInvalid(f"{error.status_code}: {error.detail}")
        case ClientDisconnect():
            return RequestInvalid("the connection closed before the end of the body")
        case _:
            return KioskError(place_of(error))
