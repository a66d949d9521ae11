"""The watchdog ends a visit whose event loop is stuck, and no other."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from kiosk.process.watchdog import LOOK_SECONDS, STUCK_SECONDS, Watchdog
from tests.support.clock import ManualClock

LATE_SECONDS = 2.0


class Watched:
    """A watchdog with one deadline, that many seconds from now."""

    def __init__(self, deadline: float) -> None:
        self.clock = ManualClock()
        self.moments = [self.clock.now() + deadline]
        self.dog = Watchdog(self.clock, lambda: self.moments, lambda _why: None)

    def late(self, seconds: float, *, beats: bool) -> str:
        """Let time pass, with or without the event loop; returns what the watchdog says in the end."""
        for _ in range(round(seconds / LOOK_SECONDS)):
            self.clock.advance(LOOK_SECONDS)
            if beats:
                self.dog.beat()
            self.dog.late()
        return self.dog.late()

    def sleep(self, seconds: float) -> str:
        """Let the machine sleep; the watchdog wakes before the event loop."""
        self.clock.advance(seconds)
        return self.dog.late()


@pytest.mark.parametrize(
    ("beats", "deadline", "why"),
    [(True, 1000.0, ""), (True, 8.0, "a deadline has passed"), (False, 1000.0, "the event loop does not run")],
    ids=["in time", "missed", "silent"],
)
def test_it_knows_when_the_loop_is_late(*, beats: bool, deadline: float, why: str) -> None:
    assert Watched(deadline).late(10, beats=beats) == why


def test_a_machine_that_has_slept_is_no_loop_that_is_stuck() -> None:
    watched = Watched(1000)
    assert not watched.late(1, beats=True)
    assert not watched.sleep(60)
    assert not watched.late(10, beats=True)


def test_a_deadline_that_passes_in_sleep_is_left_to_the_loop() -> None:
    watched = Watched(30)
    assert not watched.late(1, beats=True)
    assert not watched.sleep(60)
    # The first thing that the loop does is to end what is over.
    watched.moments.clear()
    assert not watched.late(10, beats=True)


def test_a_process_that_runs_only_now_and_then_is_slow_and_not_stuck() -> None:
    """As on a machine with far too much to do: each time, the loop runs after the watchdog."""
    watched = Watched(1000)
    for _ in range(20):
        assert not watched.sleep(STUCK_SECONDS + 1)
        watched.dog.beat()


@pytest.mark.parametrize("deadline", [30.0, 1000.0], ids=["deadline", "silent"])
def test_a_loop_that_does_not_run_after_sleep_is_stuck(deadline: float) -> None:
    watched = Watched(deadline)
    assert not watched.late(1, beats=True)
    watched.sleep(60)
    assert watched.late(LATE_SECONDS if deadline < 60 else STUCK_SECONDS, beats=False)


@pytest.mark.parametrize(
    "stuck", ["time.sleep(60)", "os.read(os.pipe()[0], 1)"], ids=["asleep", "waiting for a peer that is silent"]
)
def test_where_the_loop_is_stuck_is_told(stuck: str) -> None:
    """The whole thing in a process of its own: it ends by itself, and the cause comes through the pipe."""
    code = f"""
import os, time
from kiosk.process import watchdog
from kiosk.visit.context import VisitContext, VisitStart
from kiosk.visit.guard import VisitGuard
from kiosk.visit.open_reveals import OpenReveals
from tests.support.screen_app import CONFIG
from kiosk.clock import SystemClock

watchdog.STUCK_SECONDS = 0.5
pipe = OpenReveals()
child = os.fork()
if not child:
    context = VisitContext(config=CONFIG, clock=SystemClock(), start=VisitStart(open_reveals=pipe))
    VisitGuard(context, began=list, over=list).begin()
    {stuck}
_, status = os.waitpid(child, 0)
pipe.left_open()
print(os.waitstatus_to_exitcode(status), pipe.cause)
"""
    ran = subprocess.run([sys.executable, "-c", code], check=True, timeout=30, capture_output=True, text=True)
    assert re.fullmatch(r"75 the event loop does not run: <string>:16\n", ran.stdout), ran.stdout
