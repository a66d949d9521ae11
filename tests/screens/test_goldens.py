"""Every screen as text, at the sizes that matter. Written anew with --update-goldens and read in review."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kiosk.errors import DevicePersonal, KeyNotEscrowed, LimitReached, SignInUnreachable
from kiosk.models import Ending
from kiosk.screens.base import KioskScreen
from kiosk.screens.confirm import ConfirmScreen
from kiosk.screens.devices import DevicesScreen
from kiosk.screens.goodbye import GoodbyeScreen
from kiosk.screens.reason import ReasonScreen
from kiosk.screens.reveal import RevealScreen
from kiosk.screens.sign_in import SignInScreen
from kiosk.screens.trouble import TroubleScreen
from kiosk.screens.working import WorkingScreen
from tests.support.stage import CONFIG, PERSON, Stage, device, rows, welcome

GOLDENS = Path(__file__).parent / "goldens"
HELPDESK, PORTAL = CONFIG.organisation.helpdesk, CONFIG.organisation.portal

DEVICES = [
    device(),
    device("Lab iMac", id="d2", model="iMac", serial="C02ZZ9PLQ05N", last_seen=None, refusal="key_not_escrowed"),
    device("عمر MacBook Air", id="d3", model="MacBook Air", refusal="device_personal"),
    device("倉庫 Mac mini 東京オフィス 第二会議室用", id="d4", model="Mac mini", serial=""),
    device("Mac with an old key", id="d6", warning="key_rotated"),
    device("[@click=app.quit]x[/]", id="d5", model="", last_seen=datetime(2025, 1, 2, tzinfo=UTC)),
]

SCREENS: dict[str, Callable[[Stage], KioskScreen[Any]]] = {
    "welcome": welcome,
    "sign-in": lambda app: SignInScreen("FJC3RTFRG", "https://microsoft.com/devicelogin", app.deadline(290)),
    "confirm": lambda app: ConfirmScreen(PERSON, app.clock),
    "devices": lambda app: DevicesScreen(DEVICES, HELPDESK, app.clock.utc()),
    "devices-none": lambda app: DevicesScreen([], HELPDESK, app.clock.utc()),
    "reveal": lambda app: RevealScreen(app.showing()),
    "reveal-unusual": lambda app: RevealScreen(app.showing(b"35AJ-AC98-TI1H")),
    "reason": lambda _: ReasonScreen(None, required=False, typed="INC0042"),
    "trouble": lambda _: TroubleScreen(
        SignInUnreachable(reference="1A2B3C4D"), CONFIG.organisation, leave="Finish", step=1
    ),
    "trouble-device": lambda _: TroubleScreen(
        KeyNotEscrowed(reference="1A2B3C4D"),
        CONFIG.organisation,
        leave="",
        step=4,
        device=device(),
        ticket="Problem: key_not_escrowed",
    ),
    "trouble-personal": lambda _: TroubleScreen(
        DevicePersonal(reference="1A2B3C4D"),
        CONFIG.organisation,
        leave="",
        step=4,
        device=device(),
        ticket="Problem: device_personal",
    ),
    "trouble-limit": lambda _: TroubleScreen(
        LimitReached(reference="1A2B3C4D", retry_after=1250), CONFIG.organisation, leave="Back to the list", step=4
    ),
    "working": lambda _: WorkingScreen("Fetching the recovery key", step=4),
    "goodbye": lambda app: GoodbyeScreen(Ending.IDLE, app.deadline(4)),
}
SIZES = [(80, 24), (120, 40), (60, 20)]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", SCREENS)
async def test_screen(name: str, size: tuple[int, int], request: pytest.FixtureRequest) -> None:
    app = Stage()
    async with app.run_test(size=size) as pilot:
        shown = await app.put(SCREENS[name](app), pilot)
        app.tick()
        await pilot.pause()
        drawn = "\n".join(rows(app)) + "\n"
        shown.cancel()
    golden = GOLDENS / f"{name}-{size[0]}x{size[1]}.txt"
    if request.config.getoption("--update-goldens"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(drawn)
    assert drawn == golden.read_text()


@pytest.mark.parametrize("name", ["sign-in", "reveal"])
async def test_a_window_that_is_too_small_shows_nothing_cut_in_half(name: str) -> None:
    """Neither a part of the code nor a part of the key; it comes back whole when there is room."""
    app = Stage()
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(SCREENS[name](app), pilot)
        whole = rows(app)
        for small in [(79, 24), (80, 23), (30, 10)]:
            await pilot.resize_terminal(*small)
            await pilot.pause()
            text = "\n".join(rows(app))
            assert "too small" in text
            assert "HJ4W" not in text
            assert "F J C" not in text
            assert "█" not in text
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert rows(app) == whole
        shown.cancel()
