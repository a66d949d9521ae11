"""The pause between device codes grows, across visits, and is forgiven with time."""

from __future__ import annotations

import os

import pytest

from kiosk.errors import SignInLimit
from kiosk.visit.code_pause import FORGIVEN_SECONDS, FREE, LONGEST_SECONDS, CodePause
from tests.support.clock import ManualClock


def pause_after(pause: CodePause, clock: ManualClock) -> float:
    """Return how long the next code has to wait, after waiting for it."""
    try:
        pause.take(clock)
    except SignInLimit as limit:
        wait = limit.retry_after or 0.0
        clock.advance(wait)
        pause.take(clock)
        return wait
    return 0.0


def test_each_code_in_a_row_takes_longer() -> None:
    pause, clock = CodePause(), ManualClock()
    waits = [pause_after(pause, clock) for _ in range(FREE + 8)]
    assert waits[: FREE + 4] == [0, 0, 0, 15, 30, 60, 120]
    assert waits[FREE + 4 :] == [240, LONGEST_SECONDS, LONGEST_SECONDS, LONGEST_SECONDS]


def test_time_without_new_codes_is_forgiven() -> None:
    pause, clock = CodePause(), ManualClock()
    for _ in range(FREE + 2):
        pause_after(pause, clock)
    clock.advance(2 * FORGIVEN_SECONDS)
    assert pause_after(pause, clock) == 0
    assert pause_after(pause, clock) == 30
    clock.advance(20 * FORGIVEN_SECONDS)
    assert [pause_after(pause, clock) for _ in range(FREE)] == [0] * FREE


def test_a_refused_try_makes_nothing_longer() -> None:
    pause, clock = CodePause(), ManualClock()
    for _ in range(FREE):
        pause.take(clock)
    for _ in range(10):
        with pytest.raises(SignInLimit) as refused:
            pause.take(clock)
        assert refused.value.retry_after == 15


def test_the_next_visit_and_the_supervisor_see_what_a_visit_used() -> None:
    pause, clock = CodePause(), ManualClock()
    child = os.fork()
    if child == 0:
        for _ in range(FREE):
            pause.take(clock)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(SignInLimit):
        pause.take(clock)
