"""Deadlines hold; sleepers of the manual clock wake when told."""

from __future__ import annotations

import asyncio

from kiosk.clock import Deadline, ManualClock, SystemClock


def test_a_deadline_counts_down_and_stays_passed() -> None:
    clock = ManualClock()
    deadline = Deadline.after(clock, 10)
    assert deadline.left() == 10
    clock.advance(9.5)
    assert deadline.left() == 0.5
    assert not deadline.passed()
    clock.advance(0.5)
    assert deadline.passed()
    clock.advance(100)
    assert deadline.left() == 0


def test_the_system_clock_runs_forward_and_knows_its_zone() -> None:
    clock = SystemClock()
    first = clock.now()
    assert clock.now() >= first
    assert clock.utc().tzinfo is not None


async def test_sleepers_wake_in_their_time() -> None:
    clock = ManualClock()
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    tasks = [asyncio.create_task(sleeper("short", 1)), asyncio.create_task(sleeper("long", 5))]
    await asyncio.sleep(0)
    clock.advance(2)
    await tasks[0]
    assert woken == ["short"]
    tasks[1].cancel()
    clock.advance(10)
    assert woken == ["short"]
