"""Every language has a word for every letter and digit, and no word stands for two."""

from __future__ import annotations

import unicodedata

import pytest
from rich.cells import cell_len

from kiosk.i18n import LANGUAGES
from kiosk.recovery_key.spelling import DIGITS, LETTERS, alphabet

# Letters that a language tells by their names. The letter itself always stands beside the word.
NAMED = {("fi", "X"): "Äksä", ("fi", "Z"): "Tseta", ("nb", "V"): "Enkelt-V", ("nb", "W"): "Dobbelt-V"}
# Four words side by side under the large characters of one group, and three columns of the whole key, in 76 cells.
MOST_CELLS = 17


def words(language: str) -> dict[str, str]:
    found = alphabet(language)
    return {character: found.word(character) for character in LETTERS + DIGITS}


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_letter_begins_its_word(language: str) -> None:
    for letter in LETTERS:
        word = words(language)[letter]
        first = unicodedata.normalize("NFD", word)[0]
        assert first == letter or NAMED[language, letter] == word


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_stands_for_two_characters(language: str) -> None:
    found = [word.casefold() for word in words(language).values()]
    assert len(set(found)) == len(LETTERS + DIGITS) == 36


@pytest.mark.parametrize("language", LANGUAGES)
def test_letters_are_names_and_digits_are_numerals(language: str) -> None:
    found = words(language)
    assert all(found[letter][0].isupper() for letter in LETTERS)
    assert all(found[digit].islower() for digit in DIGITS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_fit_their_place(language: str) -> None:
    sizes = {word: cell_len(word) for word in words(language).values()}
    assert max(sizes.values()) <= MOST_CELLS


def test_languages_have_alphabets_of_their_own() -> None:
    assert len({tuple(words(language).values()) for language in LANGUAGES}) == len(LANGUAGES)


def test_small_letters_are_spelled_and_other_characters_stand_for_themselves() -> None:
    found = alphabet("sv")
    assert (found.word("q"), found.word("7"), found.word("?")) == ("Quintus", "sju", "?")


def test_a_language_without_an_alphabet_spells_internationally() -> None:
    assert alphabet("eo").word("A") == "Alfa"
