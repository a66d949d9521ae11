"""What somebody copies into a ticket when something went wrong: enough to find it again in every log, and no secret."""

from __future__ import annotations

from datetime import UTC, datetime

from kiosk.errors import KioskError, SignInError
from kiosk.i18n import _
from kiosk.models import Device


def ticket(error: KioskError, *, at: datetime, kiosk: str, device: Device | None = None, sign_in: str = "") -> str:
    """One fact on a line; what is not known is left out.

    ``at`` is when it happened, ``kiosk`` is the place's own name, ``sign_in`` the correlation id of the visit's
    sign-in. The code, the time, the ids and the names of the places where they are looked for stay as they are in every
    language.
    """
    microsoft = error.support if isinstance(error, SignInError) else ""
    facts = (
        (_("Problem"), error.code),
        (_("Reference"), error.reference),
        (_("Time"), at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")),
        (_("Kiosk"), kiosk),
        (_("Mac"), device.name if device else ""),
        (_("Model"), device.model if device else ""),
        (_("Serial number"), device.serial if device else ""),
        ("Microsoft", microsoft),
        ("Entra correlation-id", error.correlation_id or sign_in),
        ("Graph request-id", error.request_id),
        ("Graph client-request-id", error.client_request_id),
    )
    return "\n".join(f"{label}: {value}" for label, value in facts if value)
