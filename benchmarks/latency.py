"""Measure the time from a key press to the frame that answers it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figures import Figure, Topic
from benchmarks.program import BACKSPACE, DOWN, SPACE, WIPING, Program, kiosk, minimal_app
from benchmarks.services import SECOND

PRESSES = 80
# The pause varies, so that key presses do not align with the frame rate.
_PAUSE_SECONDS = (0.03, 0.07)
_chance = random.Random(0)


def measure(kiosk_toml: Path, presses: int = PRESSES) -> Iterator[Topic]:
    """Press each key in turn."""
    bare, wiping = Figure("minimal app, its key", "ms"), Figure("minimal app that wipes what it frees", "ms")
    arrow, letter = Figure("kiosk, arrow in a list of 24 Macs", "ms"), Figure("kiosk, letter in the filter", "ms")
    with ExitStack() as stack:
        plain = stack.enter_context(minimal_app())
        slower = stack.enter_context(minimal_app(WIPING))
        program = stack.enter_context(kiosk(kiosk_toml))
        program.walk_to_devices()
        for count in range(1, presses + 1):
            bare.values.append(_answer(plain, SPACE, f"pressed {count} times"))
            arrow.values.append(_answer(program, DOWN, f"▶ {SECOND}"))
            wiping.values.append(_answer(slower, SPACE, f"pressed {count} times"))
            letter.values.append(_answer(program, b"m", "Filter: m"))
            _answer(program, BACKSPACE, "Macs are registered")
    yield Topic("Key press to frame", (bare, wiping, arrow, letter))


def _answer(program: Program, key: bytes, words: str) -> float:
    """Return the milliseconds from a key press to these words on the screen."""
    program.settle(_chance.uniform(*_PAUSE_SECONDS))
    pressed = program.press(key)
    return (program.painted(words.encode()) - pressed) * 1000
