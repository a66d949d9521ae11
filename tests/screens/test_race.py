"""A change of screens that is overtaken by events is carried out whole, and the kiosk stays up."""

from __future__ import annotations

import asyncio

import pytest

from kiosk.models import Ending
from kiosk.recovery_key.copy_check import Verdict
from kiosk.screens.goodbye import GoodbyeScreen
from kiosk.screens.welcome import WelcomeScreen
from kiosk.screens.working import WorkingScreen
from kiosk.visit.flow import Flow
from kiosk.visit.requests import _BUSY_AFTER_SECONDS, Requests
from kiosk.visit.reveal import Reveal
from tests.support.screen_app import ScreenApp, welcome


@pytest.mark.parametrize("late", [0.0, 0.001, 0.002, 0.005, 0.01, 0.02])
async def test_an_answer_that_comes_as_one_moment_please_is_put_up(late: float) -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.put(welcome(app), pilot)
        requests = Requests(app._ui, app.guard)

        async def answer() -> int:
            await asyncio.sleep(_BUSY_AFTER_SECONDS + late)
            return 7

        assert await requests.busy("Asking", 1, answer()) == 7
        await app.put(welcome(app), pilot)
        assert isinstance(app.screen, WelcomeScreen)
    assert app.return_code is None


@pytest.mark.parametrize("steps", range(8))
async def test_a_lock_in_the_middle_of_a_change_of_screens_still_locks(steps: int) -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.put(welcome(app), pilot)
        app.guard.begin()
        reveal = asyncio.create_task(app.show(WorkingScreen("Asking", step=1)))
        for _ in range(steps):
            await asyncio.sleep(0)
        reveal.cancel()
        app.action_lock()
        await pilot.pause()
        assert isinstance(app.screen, GoodbyeScreen)
        await pilot.press("enter")
        await pilot.pause()
    assert app.return_code == 0


async def test_enter_does_nothing_that_cannot_be_seen() -> None:
    app = ScreenApp()
    async with app.run_test(size=(70, 20)) as pilot:
        shown = await app.put(welcome(app), pilot)
        await pilot.press("enter")
        assert not shown.done()
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        await pilot.press("enter")
        await shown


async def test_a_key_that_came_too_late_is_forgotten_whole() -> None:
    app = ScreenApp()
    late: asyncio.Future[Reveal] = asyncio.get_running_loop().create_future()
    late.set_result(app.reveal())
    Flow._discard_late(late)
    assert app.endings == [Ending.NOT_SHOWN]
    check = late.result().copy_check
    assert check
    assert check.check(1, bytearray(b"AAAA")) is Verdict.FORGOTTEN
