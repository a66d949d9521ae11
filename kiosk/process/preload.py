"""Loads what visits need while nobody waits: behind the first screen, or before the next visit is forked."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from importlib import import_module

_NETWORK = ("msal.application", "kiosk.visit.visit")
_LINEAR = ("kiosk.linear.app", "kiosk.linear.copy_check", "wcwidth", *_NETWORK)
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
    # Textual itself loads these with the first widgets that it draws.
    "textual.layouts.factory",
    "textual.scrollbar",
    "segno",
    *_NETWORK,
)


def load_linear() -> None:
    """Load what a visit in linear mode needs."""
    _import(_LINEAR)


def load_full_screen() -> None:
    """Load what a visit on the full screen needs: all screens, the QR code, the network side."""
    _import(_FULL_SCREEN)


def skip_httpx_cli() -> None:
    """Keep httpx from loading its command line in this process. Must come before the first import of httpx.

    The command line loads Rich and a highlighter, 5 MiB. Without it httpx uses its own fallback.
    """
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]


def _import(names: Iterable[str]) -> None:
    try:
        for name in names:
            import_module(name)
    finally:
        # The launcher turned it off: what is loaded stays, and collecting would only look at it again.
        gc.enable()
