"""The time left in figures, as a bar and in words, whatever becomes of the deadline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from kiosk.clock import Deadline
from kiosk.widgets.countdown import Countdown, minutes
from tests.support.clock import ManualClock

MINUTE, SECONDS = "Less than a minute left", "Less than 20 seconds left"


class Holder(App[None]):
    """Nothing but a countdown."""

    def __init__(self, countdown: Countdown) -> None:
        super().__init__()
        self.countdown = countdown

    def compose(self) -> ComposeResult:
        yield self.countdown


@dataclass
class Line:
    """What stands on it."""

    clock: ManualClock
    app: Holder
    pilot: Pilot[None]

    async def after(self, seconds: float) -> str:
        self.clock.advance(seconds)
        self.app.countdown.tick()
        await self.pilot.pause()
        return self.app.screen._compositor.render_strips()[0].text


@asynccontextmanager
async def counting(seconds: float, *, columns: int = 80) -> AsyncIterator[Line]:
    clock = ManualClock()
    app = Holder(Countdown(Deadline.after(clock, seconds), "Time left {time}"))
    async with app.run_test(size=(columns, 3)) as pilot:
        yield Line(clock, app, pilot)


def bar(line: str) -> float:
    """How full it is."""
    return line.count("━") / (line.count("━") + line.count("─"))


async def test_words_say_when_the_time_grows_short() -> None:
    async with counting(300) as line:
        for seconds, figures, words in [
            (0, "5:00", ""),
            (239, "1:01", ""),
            (1, "1:00", MINUTE),
            (39, "0:21", MINUTE),
            (1, "0:20", SECONDS),
            (19, "0:01", SECONDS),
        ]:
            drawn = await line.after(seconds)
            assert f"Time left {figures}" in drawn
            assert drawn.rstrip("━─ ").endswith(words or figures)
            assert len(drawn) == 80


async def test_a_countdown_that_was_never_longer_needs_no_words() -> None:
    async with counting(20) as line:
        assert (MINUTE in await line.after(0), SECONDS in await line.after(5)) == (False, False)
    async with counting(60) as line:
        assert MINUTE not in await line.after(1)
        assert SECONDS in await line.after(39)


@pytest.mark.parametrize("columns", [20, 40, 50])
async def test_words_leave_room_for_the_bar(columns: int) -> None:
    async with counting(300, columns=columns) as line:
        drawn = await line.after(250)
        assert "0:50" in drawn
        assert MINUTE not in drawn


async def test_more_time_is_counted_from_the_new_deadline() -> None:
    async with counting(100) as line:
        drawn = await line.after(90)
        assert SECONDS in drawn
        assert bar(drawn) < 0.2
        assert line.app.countdown.has_class("-soon")
        line.app.countdown.extend_to(Deadline.after(line.clock, 100))
        drawn = await line.after(0)
        assert "1:40" in drawn
        assert bar(drawn) == 1
        assert SECONDS not in drawn
        assert not line.app.countdown.has_class("-soon")
        line.app.countdown.extend_to(Deadline.after(line.clock, 400))
        drawn = await line.after(200)
        assert "3:20" in drawn
        assert bar(drawn) == pytest.approx(0.5, abs=0.02)


async def test_the_same_deadline_again_changes_nothing() -> None:
    async with counting(100) as line:
        before = await line.after(50)
        line.app.countdown.extend_to(Deadline(line.clock, 1100.0))
        assert await line.after(0) == before


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0:00"), (0.01, "0:01"), (59.5, "1:00"), (300, "5:00"), (3600, "60:00")]
)
def test_a_begun_second_counts(seconds: float, said: str) -> None:
    assert minutes(seconds) == said
