"""Measure the time from process start to first frame, the time between two visits, and memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figures import Figure, Topic
from benchmarks.program import ENTER, ENVIRONMENT, ESCAPE, F1, F10, HELP, WELCOME, WIPING, Program, kiosk, minimal_app
from benchmarks.resources import memory

ROUNDS = 10
_SETTLE_SECONDS = 0.4
_STABLE_MIB = 0.1


def measure(kiosk_toml: Path, rounds: int = ROUNDS) -> Iterator[Topic]:
    """Start every program once per round, one after the other, after an uncounted round."""
    bare, wiping = Figure("minimal app, cold start", "ms"), Figure("minimal app that wipes what it frees", "ms")
    cold, twice = Figure("kiosk, by its launcher", "ms"), Figure("kiosk that makes its environment itself", "ms")
    following = Figure("next visit after a lock", "ms")
    answered = Figure("next visit: a key pressed at once is answered", "ms")
    sizes = _Sizes()
    with ExitStack() as stack:
        for _ in range(2):
            # To warm the machine's caches.
            stack.enter_context(minimal_app())
            running = stack.enter_context(kiosk(kiosk_toml))
        for _ in range(rounds):
            with minimal_app() as program:
                bare.values.append(program.first_frame * 1000)
                sizes.add_minimal(program)
            with minimal_app(WIPING) as program:
                wiping.values.append(program.first_frame * 1000)
            with kiosk(kiosk_toml) as program:
                cold.values.append(program.first_frame * 1000)
                sizes.add_kiosk(program)
            with kiosk(kiosk_toml, ENVIRONMENT) as program:
                twice.values.append(program.first_frame * 1000)
            for figure, seconds in zip((following, answered), _next_visit(running), strict=True):
                figure.values.append(seconds * 1000)
            sizes.add_next_visit(running)
    yield Topic("First frame", (bare, wiping, cold, twice))
    yield Topic("First frame of the next visit", (cold, following, answered))
    yield Topic("Resident memory (RSS)", sizes.resident)
    yield Topic("Proportional memory (PSS)", sizes.proportional)
    yield Topic("Unique memory (USS)", sizes.unique)


def _next_visit(program: Program) -> tuple[float, float]:
    """Return the seconds from the key that ends a visit to the next welcome, and to the help requested at once.

    In between, a process ends, the terminal is cleaned, a process forks, and the kept first frame is shown.
    """
    program.press(ENTER)
    program.painted(b"Code valid for")
    program.settle(0.2)
    program.press(F10)
    program.painted(b"You are signed out")
    program.settle(0.2)
    pressed = program.press(ENTER)
    painted = program.painted(WELCOME) - pressed
    program.press(F1)
    answered = program.painted(HELP) - pressed
    program.press(ESCAPE)
    program.painted(WELCOME)
    return painted, answered


class _Sizes:
    def __init__(self) -> None:
        names = (
            "minimal app",
            "kiosk, first visit",
            "kiosk, first visit and supervisor",
            "kiosk, next visit and supervisor",
        )
        self.resident, self.proportional, self.unique = ([Figure(name, "MiB") for name in names] for _ in range(3))

    def add_minimal(self, program: Program) -> None:
        self._add(0, program, program.processes())

    def add_kiosk(self, program: Program) -> None:
        supervisor, *visit = program.processes()
        self._add(1, program, visit)
        self._add(2, program, [supervisor, *visit])

    def add_next_visit(self, program: Program) -> None:
        self._add(3, program, program.processes())

    def _add(self, place: int, program: Program, pids: list[int]) -> None:
        before, found = None, memory(pids)
        # The kiosk may still load modules behind its first screen.
        while before is None or found.unique > before.unique + _STABLE_MIB:
            program.settle(_SETTLE_SECONDS)
            before, found = found, memory(pids)
        for figures, value in zip((self.resident, self.proportional, self.unique), found, strict=True):
            figures[place].values.append(value)
