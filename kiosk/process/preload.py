"""Loads modules for visits while nobody waits: behind the first screen, or before the next fork."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from importlib import import_module

from kiosk.models import SignInMethod

_LINEAR = ("kiosk.linear.app", "kiosk.linear.copy_check", "wcwidth", "kiosk.visit.visit")
_FULL_SCREEN = (
    "kiosk.fullscreen.app",
    *(
        f"kiosk.screens.{name}"
        for name in (
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
    # Textual loads these only when it first draws a widget that needs them.
    "textual.layouts.factory",
    "textual.scrollbar",
    "segno",
    "kiosk.visit.visit",
)
# By the way to sign in.
_SIGN_IN = {
    SignInMethod.WEB: ("kiosk.identity.phone", "kiosk.visit.phone_sign_in"),
    SignInMethod.DEVICE_CODE: ("msal.application", "kiosk.identity.device_code", "kiosk.visit.device_code_sign_in"),
}
_SIGN_IN_LINEAR = {
    SignInMethod.WEB: ("kiosk.linear.phone_sign_in",),
    SignInMethod.DEVICE_CODE: ("kiosk.linear.device_code",),
}
_SIGN_IN_SCREENS = {
    SignInMethod.WEB: ("kiosk.screens.phone_sign_in", "kiosk.screens.digits"),
    SignInMethod.DEVICE_CODE: ("kiosk.screens.device_code",),
}


def load_linear(method: SignInMethod) -> None:
    """Load the modules that a visit in linear mode needs."""
    _import((*_LINEAR, *_SIGN_IN[method], *_SIGN_IN_LINEAR[method]))


def load_full_screen(method: SignInMethod) -> None:
    """Load the modules that a visit on the full screen needs: all screens, the QR code, the network."""
    _import((*_FULL_SCREEN, *_SIGN_IN[method], *_SIGN_IN_SCREENS[method]))


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
        # The launcher disabled it for the imports: modules stay loaded, so a collection would find no garbage.
        gc.enable()
