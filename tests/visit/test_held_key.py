"""A key that is held speaks for nobody after a while; typing does."""

from __future__ import annotations

from kiosk.visit.held_key import PATIENCE_SECONDS, HeldKey
from tests.support.clock import ManualClock


def presses(keys: list[tuple[str, float]]) -> list[bool]:
    clock = ManualClock()
    held = HeldKey(clock)
    answers = []
    for key, pause in keys:
        clock.advance(pause)
        answers.append(held.down(key))
    return answers


def test_a_held_key_is_noticed_after_its_time() -> None:
    answers = presses([("a", 0.05)] * int((PATIENCE_SECONDS + 2) / 0.05))
    assert not any(answers[: int(PATIENCE_SECONDS / 0.05) - 1])
    assert all(answers[-20:])


def test_another_key_or_a_pause_is_a_person() -> None:
    held = [("a", 0.05)] * 400
    assert presses([*held, ("b", 0.05)])[-1] is False
    assert presses([*held, ("a", 2.0)])[-1] is False


def test_a_repeat_is_told_from_a_press() -> None:
    clock = ManualClock()
    held = HeldKey(clock)
    said = []
    # A keyboard waits up to 0.7 s before it begins to repeat.
    for key, pause in [("a", 0), ("a", 0.7), ("a", 0.05), ("b", 0.05), ("b", 0.05), ("b", 1.1), ("b", 0.05)]:
        clock.advance(pause)
        held.down(key)
        said.append(held.repeats)
    assert said == [False, True, True, False, True, False, True]


def test_a_patient_person_is_never_taken_for_a_book() -> None:
    assert not any(presses([("down", 1.2)] * 100))
