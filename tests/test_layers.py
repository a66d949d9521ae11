"""Modules that must not be imported are not; our names do not collide with Textual's."""

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
    "can_focus_children", "get_line_filters", "check_action",
}  # fmt: skip


@pytest.mark.parametrize("module", ["api", "identity", "models", "secret", "net", "visit", "config"])
def test_what_asks_does_not_draw(module: str) -> None:
    code = f"import sys, kiosk.{module}; sys.exit(bool('textual' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


def test_the_kiosk_does_not_load_the_broker() -> None:
    brokers = {"starlette", "sqlalchemy", "uvicorn", "re2"}
    code = f"import sys, kiosk.launcher; sys.exit(bool({brokers} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


@pytest.mark.parametrize(("ours", "theirs"), [(KioskApp, App), (KioskScreen, Screen)])
def test_no_name_of_textual_is_replaced_by_accident(ours: type, theirs: type) -> None:
    own = {name for name in vars(ours) if not name.startswith("_")}
    assert not (own & set(dir(theirs))) - MEANT


def test_a_visit_in_linear_mode_needs_no_textual() -> None:
    code = (
        "import sys, kiosk.launcher, kiosk.process.preload as preload;"
        "from kiosk.models import SignInMethod as Method;"
        "kiosk.launcher.launch(None, linear=True); preload.load_linear(Method.WEB);"
        "assert 'msal' not in sys.modules, 'only device codes need it';"
        "preload.load_linear(Method.DEVICE_CODE);"
        "assert {'kiosk.linear.app', 'httpx'} < set(sys.modules);"
        "print({'textual', 'rich', 're2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=30, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_of_textual_and_httpx_only_what_a_kiosk_uses_is_loaded() -> None:
    """Launching puts the stubs in place first of all, even where it then finds no terminal."""
    code = (
        "import sys, kiosk.launcher;"
        "kiosk.launcher.launch(None, linear=False);"
        "assert not {'textual', 'rich', 'httpx'} & set(sys.modules), 'nothing is loaded before it is needed';"
        "import kiosk.process.preload as preload; from kiosk.models import SignInMethod as Method;"
        "preload.load_full_screen(Method.WEB); preload.load_full_screen(Method.DEVICE_CODE);"
        "assert {'textual.app', 'httpx'} < set(sys.modules);"
        "print({'textual.widgets._input', 'textual.fuzzy', 'textual.system_commands', 'pygments'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=30, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_importing_a_package_changes_no_module_of_others() -> None:
    """Stubs are called for, so that an import alone never replaces anything."""
    code = (
        "import sys, kiosk.linear.app, kiosk.fullscreen.app, kiosk.fullscreen.textual_stubs, httpx, platformdirs;"
        "print(sys.modules['httpx._main'] is not None, bool(sys.modules['textual.command'].__file__),"
        " bool(platformdirs.__file__))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=30, capture_output=True, text=True)
    assert done.stdout == "True True True\n"
