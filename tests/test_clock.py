"""Deadlines hold; sleepers of the manual clock wake when told."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from kiosk.clock import Deadline, SystemClock
from tests.support.broker import wait_for
from tests.support.clock import ManualClock


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


def test_a_thread_waits_for_its_time_or_for_news() -> None:
    clock, condition = ManualClock(), threading.Condition()
    news: list[str] = []
    answers: list[bool] = []

    def wait() -> None:
        with condition:
            answers.extend(clock.wait_for(condition, lambda: bool(news), 10) for _ in range(2))

    thread = threading.Thread(target=wait)
    thread.start()
    wait_for(lambda: clock.waiting() == 1)
    clock.advance(9)
    assert (answers, clock.waiting()) == ([], 1)
    clock.advance(1)
    wait_for(lambda: answers == [False] and clock.waiting() == 1)
    with condition:
        news.append("something")
        condition.notify_all()
    thread.join()
    assert (answers, clock.waiting()) == ([False, True], 0)


def test_a_thread_on_the_system_clock_waits_no_longer_than_it_says() -> None:
    condition = threading.Condition()
    with condition:
        assert not SystemClock().wait_for(condition, lambda: False, 0.01)
        assert SystemClock().wait_for(condition, lambda: True, 60)


def test_no_clock_change_moves_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock may jump, and a machine may sleep: only the clock that counts through both is asked."""
    asked: list[int] = []

    def clock_gettime(which: int) -> float:
        asked.append(which)
        return float(len(asked))

    monkeypatch.setattr(time, "clock_gettime", clock_gettime)
    for name in ("time", "monotonic", "perf_counter"):
        monkeypatch.delattr(time, name)
    deadline = Deadline.after(SystemClock(), 2)
    assert (deadline.passed(), deadline.passed()) == (False, True)
    assert set(asked) == {time.CLOCK_BOOTTIME}


async def test_a_limit_ends_what_outlasts_its_deadline() -> None:
    clock = ManualClock()
    reached: list[str] = []

    async def bounded() -> None:
        async with Deadline.after(clock, 10).limit():
            reached.append("body")
            await asyncio.Event().wait()

    task = asyncio.create_task(bounded())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    clock.advance(9)
    await asyncio.sleep(0)
    assert not task.done()
    clock.advance(1)
    with pytest.raises(TimeoutError):
        await task
    assert reached == ["body"]


async def test_a_limit_leaves_alone_what_ends_in_time() -> None:
    clock = ManualClock()
    async with Deadline.after(clock, 10).limit():
        await asyncio.sleep(0)
    clock.advance(20)
    await asyncio.sleep(0)
    with pytest.raises(KeyError):
        async with Deadline.after(clock, 10).limit():
            raise KeyError


async def test_a_limit_passes_a_cancellation_on() -> None:
    clock = ManualClock()

    async def bounded() -> None:
        async with Deadline.after(clock, 10).limit():
            await asyncio.Event().wait()

    task = asyncio.create_task(bounded())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_limit_that_has_passed_already_ends_the_first_wait() -> None:
    clock = ManualClock()
    deadline = Deadline.after(clock, 10)
    clock.advance(11)
    with pytest.raises(TimeoutError):
        async with deadline.limit():
            await asyncio.Event().wait()
