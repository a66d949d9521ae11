"""Keys from bytes: what is typed counts; pastes, floods and nonsense do not, and hold up nothing that comes later."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from textual import events

from kiosk.fullscreen.keyboard import (
    BURST_CHARACTERS,
    CHARACTERS_PER_SECOND,
    FLOOD_QUIET_SECONDS,
    LONGEST_PASTE_SECONDS,
    MOST_WAITING,
    PASTE_QUIET_SECONDS,
    Keyboard,
)
from tests.support.clock import ManualClock
from tests.support.noise import grammar

PASTE, END = b"\x1b[200~", b"\x1b[201~"


class Typist:
    """Types on a keyboard whose events are all handled at once."""

    def __init__(self, waiting: Callable[[], int] = lambda: 0) -> None:
        self.clock = ManualClock()
        self.keyboard = Keyboard(self.clock, waiting)

    def type(self, data: bytes, *, then: float = 0.0) -> list[str]:
        """The keys that come of it, up to the end of a pause."""
        found = list(self.keyboard.typed(data))
        self.clock.advance(then)
        found += list(self.keyboard.tick())
        return [event.key for event in found if isinstance(event, events.Key)]


def test_what_is_typed_counts() -> None:
    typist = Typist()
    assert typist.type("aé€".encode()) == ["a", "é", "euro_sign"]
    assert typist.type(b"\x1b[A\x1bOP\r") == ["up", "f1", "enter"]
    assert [*typist.type(b"\x1b["), *typist.type(b"B")] == ["down"]
    assert [*typist.type(b"\xc3"), *typist.type(b"\xa9")] == ["é"]


@pytest.mark.parametrize("nonsense", [b"\xe9\xff", b"\x1b[1114112u", b"\x1b[1;:2R", b"\x1b[99999999999999999999;1u"])
def test_nonsense_takes_no_key_with_it(nonsense: bytes) -> None:
    typist = Typist()
    typist.type(nonsense, then=1)
    assert typist.type(b"a\r") == ["a", "enter"]


def test_a_paste_types_nothing() -> None:
    typist = Typist()
    assert typist.type(b"a" + PASTE + b"pasted\r\x1b[21~" + END + b"b") == ["a", "b"]
    whole = PASTE + b"pasted\r" + END
    for cut in range(1, len(whole)):
        assert typist.type(whole[:cut]) + typist.type(whole[cut:]) == []
    assert typist.type(b"c") == ["c"]


@pytest.mark.parametrize("pasted", [b"471093", b"471 093", b" 471-093\r\n"])
def test_six_digits_can_be_pasted(pasted: bytes) -> None:
    typist = Typist()
    assert typist.type(b"a" + PASTE + pasted + END + b"b") == ["a", *"471093", "b"]
    # In any pieces.
    whole = PASTE + pasted + END
    assert [key for byte in whole for key in typist.type(bytes([byte]))] == [*"471093"]


@pytest.mark.parametrize("pasted", [b"47109", b"4710933", b"4710a3", b"471093" + b" " * 20, b"\x1b[21~"])
def test_nothing_else_that_is_pasted_types_anything(pasted: bytes) -> None:
    assert Typist().type(PASTE + pasted + END + b"b") == ["b"]


def test_a_paste_without_an_end_is_given_up_in_the_next_silence() -> None:
    typist = Typist()
    assert typist.type(PASTE + b"pasted\r", then=PASTE_QUIET_SECONDS) == []
    assert typist.type(b"a\r") == ["a", "enter"]


def test_a_paste_that_never_ends_is_given_up_after_a_while() -> None:
    """Somebody who goes on typing would type into it for ever."""
    typist = Typist()
    typist.type(PASTE)
    presses = int((LONGEST_PASTE_SECONDS + 1) / 0.3)
    assert typist.type(b"a", then=0.3) == []
    assert [typist.type(b"a", then=0.3) for _ in range(presses)][-1] == ["a"]


def test_a_large_paste_over_a_slow_line_types_nothing() -> None:
    typist = Typist()
    assert typist.type(PASTE) == []
    for _ in range(int(LONGEST_PASTE_SECONDS / 0.2)):
        assert typist.type(b"x\r" * 2000, then=0.2) == []
    assert typist.type(END, then=1) == []
    assert typist.type(b"a") == ["a"]


@pytest.mark.parametrize("flood", [b"x", b"\x1b[A", b"\x1b", b"\x1b[<0;5;1M", b"\x1b[I"])
def test_a_flood_is_dropped_and_the_next_key_counts(flood: bytes) -> None:
    typist = Typist()
    chunk = (flood * 4096)[:4096]
    keys = sum(len(typist.type(chunk, then=0.001)) for _ in range(50))
    assert keys <= BURST_CHARACTERS
    assert typist.type(b"a") == []
    typist.clock.advance(FLOOD_QUIET_SECONDS)
    assert typist.type(b"a") == ["a"]


def test_a_held_key_is_no_flood() -> None:
    typist = Typist()
    repeats = [typist.type(b"\x1b[A", then=1 / 60) for _ in range(60 * 60)]
    assert repeats == [["up"]] * len(repeats)
    assert CHARACTERS_PER_SECOND > 3 * 60


def test_no_more_is_given_out_than_can_be_handled() -> None:
    waiting = 0
    typist = Typist(lambda: waiting)
    for waiting in range(MOST_WAITING):  # noqa: B007 - what the keyboard is told
        assert typist.type(b"a", then=0.03) == ["a"]
    waiting = MOST_WAITING
    assert typist.type(b"a", then=0.03) == []
    waiting = 0
    typist.clock.advance(FLOOD_QUIET_SECONDS)
    assert typist.type(b"b") == ["b"]


def test_escape_is_a_key_by_itself_when_nothing_follows() -> None:
    typist = Typist()
    assert typist.type(b"\x1b", then=0.05) == []
    assert typist.type(b"[A") == ["up"]
    assert typist.type(b"\x1b", then=0.1) == ["escape"]


def test_noise_that_is_all_read(pytestconfig: pytest.Config) -> None:
    """Slowly enough for none to be dropped as a flood."""
    typist = Typist()
    pieces = grammar(random.Random(1))
    sent = 0
    while sent < pytestconfig.getoption("--noise"):
        burst = b"".join(next(pieces) for _ in range(5))
        typist.type(burst, then=PASTE_QUIET_SECONDS)
        sent += len(burst)
    assert typist.type(b"a")[-1] == "a"
