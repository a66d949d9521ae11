"""What a visit needs after its first screen: loaded when nobody waits for it."""

from __future__ import annotations

from importlib import import_module

_LATER = (
    *(f"kiosk.screens.{name}" for name in ("sign_in", "working", "confirm", "devices", "reason", "reveal", "trouble")),
    # What Textual itself loads with the first widgets that it draws.
    "textual.layouts.factory",
    "textual.scrollbar",
    "msal.application",
    "segno",
    "kiosk.visit",
)


def load() -> None:
    """Import the other screens, the network side and the QR code: what would otherwise delay the first paint."""
    for name in _LATER:
        import_module(name)
