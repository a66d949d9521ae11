"""What visits need: loaded when nobody waits for it, behind the first screen or before the next visit is forked."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from importlib import import_module

_NETWORK = ("msal.application", "kiosk.visit.visit")
_LINEAR = ("kiosk.linear.app", "kiosk.linear.copy_check", *_NETWORK)
_FULL_SCREEN = (
    "kiosk.fullscreen.app",
    *(
        f"kiosk.screens.{name}"
        for name in (
            "sign_in",
            "working",
            "confirm",
            "devices",
            "reason",
            "reveal",
            "copy_check",
            "what_now",
            "trouble",
        )
    ),
    # What Textual itself loads with the first widgets that it draws.
    "textual.layouts.factory",
    "textual.scrollbar",
    "segno",
    *_NETWORK,
)


def load_linear() -> None:
    """What a visit in plain lines needs."""
    _import(_LINEAR)


def load_full_screen() -> None:
    """All screens and the QR code, too."""
    _import(_FULL_SCREEN)


def _import(names: Iterable[str]) -> None:
    try:
        for name in names:
            import_module(name)
    finally:
        # It was off while so much was made that stays.
        gc.enable()
