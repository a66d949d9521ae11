"""The words of the sign-in can be told apart in every language."""

from __future__ import annotations

from hashlib import sha256
from itertools import combinations

import pytest

from kiosk import i18n
from kiosk.i18n import LANGUAGES, SOURCE, _
from kiosk.sign_in_words import WORDS

LONGEST = 14
# Letters that have to change before one word is another.
APART = 3


@pytest.fixture(params=LANGUAGES)
def words(request: pytest.FixtureRequest) -> list[str]:
    language: str = request.param
    try:
        i18n.use(language)
        return [_(word) for word in WORDS]
    finally:
        i18n.use(SOURCE)


def distance(one: str, other: str) -> int:
    """Levenshtein's."""
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        last, row = row, [at]
        for column, other_letter in enumerate(other, 1):
            row.append(min(last[column] + 1, row[-1] + 1, last[column - 1] + (letter != other_letter)))
    return row[-1]


def test_their_order_never_changes() -> None:
    """They are sent as numbers: kiosk, broker and page of two versions must mean the same."""
    assert len(WORDS) == 64
    assert sha256("\n".join(WORDS).encode()).hexdigest()[:16] == "08b70832925c8015"


def test_each_is_one_short_word(words: list[str]) -> None:
    assert [word for word in words if not (word.isalpha() and 3 < len(word) <= LONGEST)] == []
    # German writes nouns with a capital.
    assert len({word[0].isupper() for word in words}) == 1
    assert all(word[1:].islower() for word in words)


def test_no_two_are_alike(words: list[str]) -> None:
    spelled = [word.casefold() for word in words]
    alike = [pair for pair in combinations(spelled, 2) if distance(*pair) < APART]
    assert alike == []
