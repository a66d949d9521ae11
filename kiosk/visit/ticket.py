"""The text that people copy into a ticket about an error: enough to find it in every log, and no secret."""

from __future__ import annotations

from datetime import UTC, datetime

from kiosk.errors import KioskError, SignInError
from kiosk.i18n import _
from kiosk.models import Device


def ticket(error: KioskError, *, at: datetime, kiosk: str, device: Device | None = None, sign_in: str = "") -> str:
    """Return the known facts, one on each line.

    ``at`` is the time of the error, ``kiosk`` the name of the terminal, ``sign_in`` the correlation id of the sign-in.
    Not translated: code, time, ids, and the names of the services in which ids are looked up.
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
