"""Idle lock, visit limit and lock key: they hold on every screen, and a key that comes too late only locks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from textual.events import AppBlur, AppFocus
from textual.pilot import Pilot

from kiosk.fullscreen.driver import KioskDriver
from kiosk.process.exit_codes import EXIT_CRASH
from kiosk.screens.base import KioskScreen
from kiosk.screens.devices import DevicesScreen
from kiosk.screens.goodbye import GoodbyeScreen
from kiosk.screens.reveal import RevealScreen
from kiosk.screens.welcome import WelcomeScreen
from kiosk.visit.guard import GOODBYE_SECONDS
from kiosk.visit.open_reveals import OpenReveals
from kiosk.visit.reveal import Reveal
from kiosk.visit.visit import Visit
from tests.support.screen_app import CONFIG, KEY, ScreenApp, device, rows, welcome
from tests.support.time_limit import TimeLimit

IDLE = CONFIG.visit.idle_seconds
VISIT = CONFIG.visit.visit_seconds


def devices(app: ScreenApp) -> KioskScreen[Any]:
    return DevicesScreen([device()], "desk", app.clock.utc())


def opened(reveal: Reveal, visit: Visit) -> Reveal:
    """As if the broker had released it to this visit."""
    visit._reveals[reveal.release_id] = reveal
    return reveal


async def pass_time(app: ScreenApp, pilot: Pilot[None], seconds: float) -> None:
    app.hand.advance(seconds)
    app.tick()
    await pilot.pause()


async def test_an_unattended_visit_warns_then_locks_then_ends() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.guard.begin()
        await app.put(devices(app), pilot)
        await pass_time(app, pilot, IDLE - 20)
        assert "Are you still there?" not in "\n".join(rows(app))
        await pass_time(app, pilot, 10)
        assert "locks in 11 s" in "\n".join(rows(app))
        await pass_time(app, pilot, 10)
        assert isinstance(app.screen, GoodbyeScreen)
        await pass_time(app, pilot, GOODBYE_SECONDS)
        limit = TimeLimit(10)
        while app.return_code is None and not limit.passed():
            await pilot.pause()
    assert app.return_code == 0


async def test_any_key_takes_the_warning_away() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.guard.begin()
        await app.put(devices(app), pilot)
        await pass_time(app, pilot, IDLE - 5)
        assert "Are you still there?" in "\n".join(rows(app))
        await pilot.press("down")
        await pass_time(app, pilot, 1)
        assert "Are you still there?" not in "\n".join(rows(app))
        await pass_time(app, pilot, IDLE - 2)
        assert not isinstance(app.screen, GoodbyeScreen)


async def test_a_key_after_the_limit_only_locks() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.guard.begin()
        shown = await app.put(devices(app), pilot)
        app.hand.advance(IDLE)
        await pilot.press("enter")
        assert not shown.done()
        assert isinstance(app.screen, GoodbyeScreen)


async def test_somebody_who_copies_a_key_is_not_idle_but_is_when_it_is_gone() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        visit = app.guard.begin()
        await app.put(RevealScreen(opened(app.reveal(), visit)), pilot)
        await pass_time(app, pilot, 299)
        assert KEY.decode() in "\n".join(rows(app))
        await pass_time(app, pilot, 1)
        assert "no longer shown" in "\n".join(rows(app))
        await pass_time(app, pilot, IDLE - 2)
        assert not isinstance(app.screen, GoodbyeScreen)
        await pass_time(app, pilot, 3)
        assert isinstance(app.screen, GoodbyeScreen)


async def test_a_key_is_hidden_when_the_terminal_loses_the_focus_and_nobody_counts_as_there() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        reveal = opened(app.reveal(seconds=600), app.guard.begin())
        await app.put(RevealScreen(reveal), pilot)
        for report in (AppBlur(), AppFocus()):
            app.post_message(report)
            await pilot.pause()
            assert not reveal.visible
            assert not [group for group in KEY.decode().split("-") if group in "\n".join(rows(app))]
        await pilot.press("enter")
        assert reveal.visible
        await pass_time(app, pilot, 1)
        for _ in range(IDLE + 2):
            app.post_message(AppBlur())
            await pass_time(app, pilot, 1)
        assert isinstance(app.screen, GoodbyeScreen)


async def test_the_visit_limit_ends_even_a_busy_visit_and_wipes() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        reveal = opened(app.reveal(seconds=3000), app.guard.begin())
        await app.put(RevealScreen(reveal), pilot)
        for _ in range(VISIT // 60):
            app.hand.advance(60)
            await pilot.press("a")
        assert isinstance(app.screen, GoodbyeScreen)
        assert not [group for group in KEY.decode().split("-") if group in "\n".join(rows(app))]
        assert reveal.over


async def test_f10_locks_from_anywhere_in_a_visit() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.guard.begin()
        await app.put(devices(app), pilot)
        await pilot.press("f1", "f10")
        await pilot.pause()
        assert isinstance(app.screen, GoodbyeScreen)
        await pilot.press("enter")
        await pilot.pause()
    assert app.return_code == 0


async def test_nothing_ticks_on_the_welcome_screen() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.put(welcome(app), pilot)
        assert not list(app._timers)
        app.hand.advance(10 * VISIT)
        await pilot.press("a")
        assert isinstance(app.screen, WelcomeScreen)


KEYS = [
    *(f"ctrl+{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"),
    *(f"f{number}" for number in range(2, 21) if number != 10),
    *("ctrl+@", "ctrl+backslash", "ctrl+underscore", "ctrl+right_square_bracket", "shift+tab", "tab", "delete"),
    *("insert", "ctrl+home", "ctrl+end", "shift+up", "alt+x", "super+c", "left", "right"),
]


@pytest.mark.parametrize("screen", [devices, welcome])
async def test_no_way_out(screen: Any) -> None:
    """No key opens a palette, copies, quits, or shows anything but the screen that was there."""
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(screen(app), pilot)
        before, depth = app.screen, len(app.screen_stack)
        # Ctrl+M is Enter; F3 gives the next visit the other UI, which the terminal tests follow.
        await pilot.press(*(key for key in KEYS if key not in {"ctrl+m", "f3"}))
        assert app.screen is before
        assert len(app.screen_stack) == depth
        assert not shown.done()
        assert app.clipboard == ""
        assert app._exit is False
        shown.cancel()


async def test_a_crash_shows_nothing_and_wipes(capsys: pytest.CaptureFixture[str]) -> None:
    app = ScreenApp()
    reveal = app.reveal()
    secret = reveal.key
    assert secret is not None
    boom = ZeroDivisionError(KEY.decode())

    def explode() -> None:
        local_copy = KEY.decode()
        assert local_copy
        raise boom

    async def crash() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await app.put(RevealScreen(opened(reveal, app.guard.begin())), pilot)
            app.call_later(explode)
            await pilot.pause()

    with pytest.raises(ZeroDivisionError):
        await crash()
    assert app.return_code == EXIT_CRASH
    assert len(secret) == 0
    said = capsys.readouterr()
    assert not [group for group in KEY.decode().split("-") if group in said.out + said.err]
    assert "Traceback" not in said.out + said.err


async def test_when_no_key_can_be_read_any_more_the_visit_ends_and_tells_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_driver: KioskDriver) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(KioskDriver, "run_input_thread", broken)
    app = ScreenApp()
    app.guard._open_reveals = pipe = OpenReveals()

    async def crash() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            visit = app.guard.begin()
            reveal = opened(app.reveal(), visit)
            await asyncio.to_thread(KioskDriver(app)._run_input_thread)
            await pilot.pause()
            assert reveal.over

    with pytest.raises(ZeroDivisionError):
        await crash()
    assert app.return_code == EXIT_CRASH
    pipe.left_open()
    assert pipe.cause.startswith("ZeroDivisionError at test_limits.py:")
    assert pipe.cause in caplog.text
    assert "secret" not in caplog.text


async def test_a_tick_in_the_middle_of_a_change_of_screens_breaks_nothing() -> None:
    """The clock may strike between a screen's arrival on the stack and the making of its widgets."""
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.guard.begin()
        await app.put(devices(app), pilot)
        reveal = app.reveal()
        coming = RevealScreen(reveal)
        switching = app.switch_screen(coming)
        app.tick()
        await switching
        await pilot.pause()
        assert reveal.visible
    assert app.return_code is None
