"""A key that does nothing now says why, and no key hint names one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kiosk import i18n
from kiosk.errors import KeyNotEscrowed
from kiosk.screens.base import TOLD_SECONDS, KioskScreen
from kiosk.screens.confirm import ConfirmScreen
from kiosk.screens.device_code import DeviceCodeScreen
from kiosk.screens.devices import DevicesScreen
from kiosk.screens.reason import ReasonScreen
from kiosk.screens.reveal import RevealScreen
from kiosk.screens.trouble import TroubleScreen
from tests.support.scenes import SCENES
from tests.support.screen_app import CONFIG, PERSON, ScreenApp, device, rows, welcome

HELPDESK = CONFIG.organisation.helpdesk
UNUSUAL = b"35AJ-AC98-TI1H"
Make = Callable[[ScreenApp], KioskScreen[Any]]

# What is pressed, and what is said about the last key of it.
SAID: dict[str, tuple[Make, list[str], str]] = {
    "confirm": (lambda app: ConfirmScreen(PERSON, app.clock), ["f12"], "F12 has no use on this screen."),
    "view": (lambda app: ConfirmScreen(PERSON, app.clock), ["f2"], "F2 works only while a recovery key is shown."),
    "welcome": (welcome, ["f12"], "F12 has no use on this screen."),
    "phone": (
        lambda app: DeviceCodeScreen("ABCDEFGHJ", "https://x.example", app.deadline(60)),
        ["f9"],
        "F9 has no use on this screen.",
    ),
    "sign-in": (
        lambda app: DeviceCodeScreen("ABCDEFGHJ", "https://x.example", app.deadline(60)),
        ["enter"],
        "This screen continues automatically once you have signed in.",
    ),
    "ticket": (
        lambda _: TroubleScreen(KeyNotEscrowed(), CONFIG.organisation, leave="Finish"),
        ["f5"],
        "F5 has no use on this screen.",
    ),
    "reason": (lambda _: ReasonScreen(None, required=True), ["enter"], "Type a reason first."),
    "too early": (lambda app: RevealScreen(app.reveal()), ["f4"], "All of the time is still left."),
    "one alphabet": (
        lambda app: RevealScreen(app.reveal()), ["f3"], "This language has only one set of spelling words."
    ),
    "whole": (lambda app: RevealScreen(app.reveal()), ["right"], "All groups are on the screen. F2 changes the view."),
    "hidden": (
        lambda app: RevealScreen(app.reveal()), ["space", "f2"], "F2 works only while a recovery key is shown."
    ),
    "one view": (lambda app: RevealScreen(app.reveal(UNUSUAL)), ["f2"], "This recovery key has only one view."),
    "no groups": (lambda app: RevealScreen(app.reveal(UNUSUAL)), ["f6"], "A key of this form cannot be checked here."),
    "later": (
        lambda app: RevealScreen(app.reveal(seconds=0.4)), ["f4"], "Your organisation allows no more time for this key."
    ),
}  # fmt: skip


async def test_it_says_why_and_the_words_go_by_themselves_or_with_the_next_key() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        for name, (make, keys, said) in SAID.items():
            screen = make(app)
            shown = await app.put(screen, pilot)
            await pilot.press(*keys)
            await pilot.pause()
            assert said in "\n".join(rows(app)), name
            assert not shown.done()
            screen.untell()
            assert screen._told, name
            app.hand.advance(TOLD_SECONDS)
            screen.untell()
            await pilot.pause()
            assert said not in "\n".join(rows(app)), name
            await pilot.press("f7")
            await pilot.press("f8")
            await pilot.pause()
            assert "F7 has no use" not in "\n".join(rows(app)), name
            shown.cancel()


async def test_in_a_view_without_spelling_words_it_says_where_they_are() -> None:
    app = ScreenApp()
    i18n.use("de")
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(RevealScreen(app.reveal()), pilot)
        await pilot.press("f3")
        await pilot.pause()
        assert "F2 wechselt die Ansicht" in "\n".join(rows(app))
        shown.cancel()


async def test_what_is_typed_stays() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(ReasonScreen(None, required=True), pilot)
        assert "Enter" not in rows(app)[-1]
        await pilot.press(*"INC", "f12", *"42")
        await pilot.pause()
        assert "> INC42" in "\n".join(rows(app))
        assert "Enter  Continue" in rows(app)[-1]
        shown.cancel()


async def test_a_warning_goes_before_it() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = ConfirmScreen(PERSON, app.clock)
        shown = await app.put(screen, pilot)
        screen.warn("Are you still there?")
        await pilot.press("f12")
        await pilot.pause()
        assert "Are you still there?" in "\n".join(rows(app))
        assert "F12" not in "\n".join(rows(app))
        shown.cancel()


async def test_one_mac_is_not_moved_between() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(DevicesScreen([device()], HELPDESK, app.clock.utc()), pilot)
        assert "Move" not in rows(app)[-1]
        assert "Enter  Show key" in rows(app)[-1]
        shown.cancel()


@pytest.mark.parametrize(
    "name", ["welcome-demo", "phone-sign-in", "device-code", "devices", "reveal", "copy-check", "trouble"]
)
async def test_in_a_small_window_only_keys_that_act_are_named(name: str) -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = SCENES[name](app)
        assert isinstance(screen, KioskScreen)
        shown = await app.put(screen, pilot)
        before = rows(app)
        await pilot.resize_terminal(60, 20)
        await pilot.press("enter", "down", "f1", "f2", "f5", "f6", "x")
        await pilot.pause()
        assert not shown.done()
        assert app.screen is screen
        named = {
            word
            for word in " ".join(rows(app)[-2:]).split()
            if word in {"Enter", "Esc", "Space", "↑", "←"} or word[1:].isdigit()
        }
        assert named <= {"Esc", "F3", "F8", "F10", "F12"}
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert rows(app) == before
        shown.cancel()
