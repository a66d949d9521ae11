"""From the start of the process to the first frame, from one visit to the next, and the memory that it takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figures import Figure, Topic
from benchmarks.program import ENTER, F10, WELCOME, WIPING, Program, kiosk, minimal_app
from benchmarks.resources import memory

ROUNDS = 10
_SETTLE_SECONDS = 0.5


def measure(kiosk_toml: Path, rounds: int = ROUNDS) -> Iterator[Topic]:
    """Each round starts everything once, one after the other; what came before the first round is not counted."""
    bare, wiping = Figure("minimal app, cold start", "ms"), Figure("minimal app that wipes what it frees", "ms")
    cold, following = Figure("kiosk, cold start", "ms"), Figure("kiosk, next visit after a lock", "ms")
    sizes = _Sizes()
    with ExitStack() as stack:
        for _ in range(2):
            # For the caches of the machine.
            stack.enter_context(minimal_app())
            desk = stack.enter_context(kiosk(kiosk_toml))
        for _ in range(rounds):
            with minimal_app() as program:
                bare.values.append(program.first_frame * 1000)
                sizes.add_minimal(program)
            with minimal_app(WIPING) as program:
                wiping.values.append(program.first_frame * 1000)
            with kiosk(kiosk_toml) as program:
                cold.values.append(program.first_frame * 1000)
                sizes.add_kiosk(program)
            following.values.append(_next_visit(desk) * 1000)
    yield Topic("First frame", (bare, wiping, cold, following))
    yield Topic("Resident memory (RSS)", sizes.resident)
    yield Topic("Proportional memory (PSS)", sizes.proportional)
    yield Topic("Unique memory (USS)", sizes.unique)


def _next_visit(desk: Program) -> float:
    """Seconds from the key that ends the goodbye to the next welcome: end of a process, cleaning, fork, first frame."""
    desk.press(ENTER)
    desk.painted(b"Code valid for")
    desk.settle(0.2)
    desk.press(F10)
    desk.painted(b"You are signed out")
    desk.settle(0.2)
    pressed = desk.press(ENTER)
    return desk.painted(WELCOME) - pressed


class _Sizes:
    def __init__(self) -> None:
        self.resident, self.proportional, self.unique = (
            (Figure("minimal app", "MiB"), Figure("kiosk, the visit", "MiB"), Figure("kiosk with supervisor", "MiB"))
            for _ in range(3)
        )

    def add_minimal(self, program: Program) -> None:
        program.settle(_SETTLE_SECONDS)
        self._add(0, program.processes())

    def add_kiosk(self, program: Program) -> None:
        program.settle(_SETTLE_SECONDS)
        supervisor, *visit = program.processes()
        self._add(1, visit)
        self._add(2, [supervisor, *visit])

    def _add(self, place: int, pids: list[int]) -> None:
        found = memory(pids)
        self.resident[place].values.append(found.resident)
        self.proportional[place].values.append(found.proportional)
        self.unique[place].values.append(found.unique)
