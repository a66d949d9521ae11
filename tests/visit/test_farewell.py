"""A visit always leaves and never leaves a token behind, whatever becomes of telling the broker."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import NoReturn

import pytest

from kiosk.models import Ending
from kiosk.process.exit_codes import EXIT_CRASH, EXIT_DONE
from kiosk.secret import SecretBuffer
from kiosk.visit import guard as guard_module
from kiosk.visit.context import VisitContext
from kiosk.visit.guard import GOODBYE_SECONDS, VisitGuard
from kiosk.visit.reveal import Reveal, Times
from kiosk.visit.visit import Visit
from tests.support.clock import ManualClock
from tests.support.linear_terminal import linear_kiosk
from tests.support.screen_app import CONFIG, KEY, ScreenApp, device

PATIENCE_SECONDS = 20
TOKEN = "ey.to.ken"

Telling = Callable[..., Awaitable[None]]


async def breaks(*_: object) -> None:
    raise ZeroDivisionError(TOKEN)


async def hangs(*_: object) -> None:
    await asyncio.Event().wait()


@pytest.fixture(params=[breaks, hangs])
def telling(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Telling:
    """What becomes of telling the broker how a reveal ended."""
    monkeypatch.setattr(guard_module, "_FAREWELL_SECONDS", 0.1)
    told: Telling = request.param
    return told


def visited(guard: VisitGuard, telling: Telling) -> Visit:
    """A signed-in visit with one reveal that has ended and one that has not."""
    guard.guarded = False
    visit = guard.begin()
    assert visit.device_code
    visit.device_code._token = TOKEN
    visit.broker.closed = telling  # type: ignore[assignment, method-assign]
    for name in ("ended", "open"):
        times = Times(300, 900, math.inf)
        reveal = Reveal(device(), name, lambda: SecretBuffer(bytes(bytearray(KEY))), times, guard.clock, visit._ended)
        visit._reveals[name] = reveal
    visit._reveals["ended"].finish(Ending.HIDDEN)
    return visit


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def signed_out(visit: Visit) -> bool:
    return visit.sign_in.authorization() == "Bearer "


async def test_the_token_is_dropped(telling: Telling, caplog: pytest.LogCaptureFixture) -> None:
    guard = VisitGuard(VisitContext(config=CONFIG, clock=ManualClock()), began=lambda: None, over=lambda _: None)
    visit = visited(guard, telling)
    await guard.farewell(Ending.LOCKED)
    assert signed_out(visit)
    assert TOKEN not in caplog.text
    assert ("ZeroDivisionError at test_farewell.py:" in caplog.text) is (telling is breaks)


async def test_a_session_that_cannot_be_ended_holds_nothing_up(telling: Telling) -> None:
    async def told(*_: object) -> None: ...

    guard = VisitGuard(VisitContext(config=CONFIG, clock=ManualClock()), began=lambda: None, over=lambda _: None)
    visit = visited(guard, told)
    visit.broker.end_session = telling  # type: ignore[assignment, method-assign]
    await guard.farewell(Ending.LOCKED)
    assert signed_out(visit)


async def test_what_breaks_while_a_visit_goes_on_is_logged_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    guard = VisitGuard(VisitContext(config=CONFIG, clock=ManualClock()), began=lambda: None, over=lambda _: None)
    visited(guard, breaks)
    await settled()
    assert "ZeroDivisionError at test_farewell.py:" in caplog.text
    assert TOKEN not in caplog.text
    assert guard.ending is None


async def test_the_full_screen_leaves(telling: Telling) -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        visit = visited(app.guard, telling)
        app.guard.end(Ending.LOCKED)
        await pilot.pause()
        app.hand.advance(GOODBYE_SECONDS)
        app.tick()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while app.return_code is None:
                await pilot.pause()
    assert app.return_code == EXIT_DONE
    assert signed_out(visit)


async def test_the_full_screen_leaves_when_the_goodbye_itself_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr("kiosk.fullscreen.app.GoodbyeScreen", broken)
    app = ScreenApp()

    async def visit() -> None:
        async with app.run_test(size=(80, 24)):
            app.guard.begin()
            app.guard.end(Ending.LOCKED)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await app._exception_event.wait()

    with pytest.raises(ZeroDivisionError):
        await visit()
    assert app.return_code == EXIT_CRASH


async def test_linear_mode_leaves(telling: Telling) -> None:
    clock = ManualClock()
    with linear_kiosk(clock) as (kiosk, _):
        running = asyncio.create_task(kiosk.run_visit())
        await settled()
        visit = visited(kiosk.guard, telling)
        kiosk.guard.end(Ending.LOCKED)
        await settled()
        clock.advance(kiosk.guard.goodbye_seconds)
        kiosk.tick()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await running == EXIT_DONE
    assert signed_out(visit)


async def test_linear_mode_leaves_when_the_goodbye_itself_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Ending) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr("kiosk.linear.app.goodbye", broken)
    with linear_kiosk(ManualClock()) as (kiosk, _):
        running = asyncio.create_task(kiosk.run_visit())
        await settled()
        kiosk.guard.guarded = False
        kiosk.guard.begin()
        kiosk.guard.end(Ending.LOCKED)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await running == EXIT_CRASH
