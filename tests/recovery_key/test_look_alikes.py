"""Hints are true of the key that they are shown with, whatever the key, and say no more than they have to."""

from __future__ import annotations

import itertools

import pytest
from rich.cells import cell_len

from kiosk.recovery_key.look_alikes import LOOK_ALIKES, MOST_SENTENCES, LookAlikePair, Present, look_alikes, sentences
from kiosk.secret import SecretBuffer

ONE_LINE = 76
ZERO = "This key has no zero: every round character is the letter O."


def of(text: str) -> list[LookAlikePair]:
    return look_alikes(SecretBuffer(bytes(bytearray(text.encode()))))


def present(text: str) -> dict[str, Present]:
    return {pair.letter + pair.digit: pair.present for pair in of(text)}


def test_each_pair_is_looked_for() -> None:
    assert present("HO4W-7QX8-MNPR-K2LB-9YTG-DFAA") == {
        "O0": Present.LETTER,
        "I1": Present.NEITHER,
        "S5": Present.NEITHER,
        "B8": Present.BOTH,
        "Z2": Present.DIGIT,
        "G6": Present.LETTER,
    }


@pytest.mark.parametrize(("letter", "digit"), LOOK_ALIKES)
def test_nothing_is_taken_for_granted(letter: str, digit: str) -> None:
    """No alphabet is assumed: a zero, a one, an I or an S counts where it stands."""
    for text, expected in [
        (f"AAA{letter}", Present.LETTER),
        (f"AAA{letter.lower()}", Present.LETTER),
        (f"{digit}AAA", Present.DIGIT),
        (f"{digit}AA{letter}", Present.BOTH),
        ("AAAA-7777", Present.NEITHER),
    ]:
        assert present(text)[letter + digit] is expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("OAAA", [ZERO]),
        ("0AAA", ["This key has no letter O: every round character is a zero."]),
        ("0OAA", ["This key has both: O/0. Digits are underlined."]),
        ("8BG6", ["This key has both: B/8, G/6. Digits are underlined."]),
        ("5ZAA", ["Not in this key: S, 2. Read 5, Z instead."]),
        ("OB8A", [ZERO, "This key has both: B/8. Digits are underlined."]),
        ("OB85", [ZERO, "This key has both: B/8. Digits are underlined."]),
        ("O5AA", [ZERO, "Not in this key: S. Read 5 instead."]),
        ("AAAA-7777", []),
        ("", []),
    ],
)
def test_the_most_useful_is_said(text: str, said: list[str]) -> None:
    assert sentences(of(text)) == said


def test_whatever_the_key_the_words_fit_and_are_few() -> None:
    for choice in itertools.product(Present, repeat=len(LOOK_ALIKES)):
        pairs = zip(LOOK_ALIKES, choice, strict=True)
        said = sentences(LookAlikePair(letter, digit, which) for (letter, digit), which in pairs)
        assert len(said) <= MOST_SENTENCES
        assert all(cell_len(sentence) <= ONE_LINE for sentence in said)
        assert bool(said) is (set(choice) != {Present.NEITHER})


def test_a_hint_is_about_look_alikes_alone() -> None:
    """Two keys with the same look-alikes get the same hints."""
    assert of("HO4W-7QX8-MNPR-K2LB-9YTG-DFAA") == of("O8B2-GGGG-CCCC-EEEE-FFFF-7777")
