"""Text from outside that wants to act, on every screen that shows any: it stands there, and nothing happens."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from rich.cells import cell_len

from kiosk.errors import SignInError
from kiosk.models import Person
from kiosk.screens.base import KioskScreen
from kiosk.screens.confirm import ConfirmScreen
from kiosk.screens.device_code import DeviceCodeScreen
from kiosk.screens.devices import DevicesScreen
from kiosk.screens.reveal import RevealScreen
from kiosk.screens.trouble import TroubleScreen
from kiosk.text import clean
from tests.support.screen_app import CONFIG, ScreenApp, device, rows

PAYLOADS = {
    "escape sequences": "A\x1b[2J\x1b]52;c;QQ==\x07\x1b]0;title\x1b\\\x9b31mB",
    "markup": "[bold red]A[/bold red][/x][reverse]",
    "actions in markup": "[@click=app.quit]A[/][@click=app.lock]B[/]",
    "bidi": "A\u202eB\u2066C\u2069\u200fD",
    "zero-width": "A\u200bB\u200cC\u200dD\ufeffE\u2060",
    "combining floods": "A" + "\u0301\u0489" * 5000,
    "100,000 characters": "W" * 100_000,
    "lines": "A\r\nB\x0bC\x85D\u2028E",
}


def confirm(app: ScreenApp, text: str) -> KioskScreen[Any]:
    return ConfirmScreen(Person(tid="t", oid="o", name=text, address=text), app.clock)


def devices(app: ScreenApp, text: str) -> KioskScreen[Any]:
    ours = [device(text, model=text, serial=text, os=text, os_version=text), device("Honest", id="d2")]
    return DevicesScreen(ours, CONFIG.organisation.helpdesk, app.clock.utc())


def reveal(app: ScreenApp, text: str) -> KioskScreen[Any]:
    return RevealScreen(app.reveal(name=text, serial=text, model=text))


def sign_in(app: ScreenApp, text: str) -> KioskScreen[Any]:
    return DeviceCodeScreen(text[:24], text, app.deadline(290))


def trouble(_app: ScreenApp, text: str) -> KioskScreen[Any]:
    error = SignInError(text, support=text, reference=text)
    return TroubleScreen(error, CONFIG.organisation, leave="Finish", step=1)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("screen", [confirm, devices, reveal, sign_in, trouble])
async def test_hostile_text_is_inert(screen: Callable[[ScreenApp, str], KioskScreen[Any]], payload: str) -> None:
    """Cleaned as it is where it comes in, drawn as it stands."""
    text = clean(PAYLOADS[payload])
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(screen(app, text), pilot)
        app.tick()
        await pilot.pause()
        before, drawn = app.screen, rows(app)
        assert len(drawn) == 24
        assert all(cell_len(row) <= 80 for row in drawn)
        assert not [character for character in "".join(drawn) if unicodedata.category(character)[0] == "C"]
        if "[" in text:
            assert text[:10] in "\n".join(drawn)
        await pilot.click(offset=(10, 5))
        await pilot.pause()
        assert app.screen is before
        assert not shown.done()
        assert app._exit is False
        shown.cancel()
