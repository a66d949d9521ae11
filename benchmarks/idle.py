"""Measure the processor time and wake-ups of a program while nobody presses a key."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figures import Figure, Topic
from benchmarks.program import Program, kiosk, minimal_app
from benchmarks.resources import activity

ROUNDS = 3
SECONDS = 8
_SETTLE_SECONDS = 2


def measure(kiosk_toml: Path, rounds: int = ROUNDS, seconds: float = SECONDS) -> Iterator[Topic]:
    """Measure kiosk and minimal app during the same seconds."""
    with ExitStack() as stack:
        programs = stack.enter_context(minimal_app()), stack.enter_context(kiosk(kiosk_toml))
        names = "minimal app", "kiosk at its welcome screen"
        times = [Figure(name, "ms per minute") for name in names]
        wakeups = [Figure(name, "per minute") for name in names]
        for program in programs:
            program.settle(_SETTLE_SECONDS)
        for _ in range(rounds):
            for place, (cpu, woken) in enumerate(_wait(programs, seconds)):
                times[place].values.append(cpu)
                wakeups[place].values.append(woken)
    yield Topic("Waiting: processor time", times)
    yield Topic("Waiting: wake-ups", wakeups)


def _wait(programs: tuple[Program, ...], seconds: float) -> Iterator[tuple[float, float]]:
    before = [activity(program.processes()) for program in programs]
    begun = time.perf_counter()
    time.sleep(seconds)
    per_minute = 60 / (time.perf_counter() - begun)
    for program, start in zip(programs, before, strict=True):
        spent = activity(program.processes()).since(start)
        yield spent.cpu_seconds * 1000 * per_minute, spent.wakeups * per_minute
