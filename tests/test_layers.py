"""What must not be imported is not imported; names of ours do not collide with Textual's."""

from __future__ import annotations

import subprocess
import sys

import pytest
from textual.app import App
from textual.screen import Screen

from kiosk.fullscreen.app import KioskApp
from kiosk.screens.base import KioskScreen

# Overridden on purpose.
MEANT = {
    "BINDINGS", "COMMANDS", "CSS_PATH", "ALLOW_SELECT", "ENABLE_COMMAND_PALETTE", "AUTO_FOCUS",
    "get_default_screen", "on_event", "panic", "copy_to_clipboard", "compose", "can_focus",
    "can_focus_children", "get_line_filters",
}  # fmt: skip


@pytest.mark.parametrize("module", ["api", "identity", "models", "secret", "net", "visit", "config"])
def test_what_asks_does_not_draw(module: str) -> None:
    code = f"import sys, kiosk.{module}; sys.exit(bool('textual' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


def test_the_kiosk_does_not_load_the_broker() -> None:
    code = "import sys, kiosk.launcher; sys.exit(bool({'starlette', 'sqlalchemy', 'uvicorn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


@pytest.mark.parametrize(("ours", "theirs"), [(KioskApp, App), (KioskScreen, Screen)])
def test_no_name_of_textual_is_replaced_by_accident(ours: type, theirs: type) -> None:
    own = {name for name in vars(ours) if not name.startswith("_")}
    assert not (own & set(dir(theirs))) - MEANT


def test_a_visit_in_linear_mode_needs_no_textual() -> None:
    code = (
        "import sys, kiosk.linear.app, kiosk.launcher, kiosk.process.preload; kiosk.process.preload.load_linear();"
        "print({'textual', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=30, capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_of_textual_only_what_a_kiosk_uses_is_loaded() -> None:
    code = (
        "import sys, kiosk.fullscreen.app, platformdirs;"
        "assert platformdirs.__file__, 'the stand-in is for Textual alone';"
        "print({'textual.widgets._input', 'textual.fuzzy', 'textual.system_commands'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=30, capture_output=True, text=True)
    assert done.stdout == "set()\n"
