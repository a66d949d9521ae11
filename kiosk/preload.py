"""What a visit needs after its first screen: loaded when nobody waits for it."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

_ALWAYS = ("msal.application", "kiosk.visit", "kiosk.linear.check")
_FULL_SCREEN = (
    *(
        f"kiosk.screens.{name}"
        for name in ("sign_in", "working", "confirm", "devices", "reason", "reveal", "read_back", "what_now", "trouble")
    ),
    # What Textual itself loads with the first widgets that it draws.
    "textual.layouts.factory",
    "textual.scrollbar",
    "segno",
)


def load() -> None:
    """Import the network side: what would otherwise delay the first screen."""
    _import(_ALWAYS)


def load_full_screen() -> None:
    """The other screens and the QR code, too."""
    _import((*_FULL_SCREEN, *_ALWAYS))


def _import(names: Iterable[str]) -> None:
    for name in names:
        import_module(name)
