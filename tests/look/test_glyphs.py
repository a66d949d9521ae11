"""Characters in large type cannot be taken for one another: in each form and size, without colour and without the bar.

The measure is the part of a character's cells that differ when two of them lie on each other.
"""

from __future__ import annotations

import itertools
import string

import pytest

from kiosk.look.glyphs import Charset, Typeface, typeface_for

CHARACTERS = string.ascii_uppercase + string.digits
# People write one for the other: of these at least a quarter of the cells differ.
LOOK_ALIKES = [
    *itertools.combinations("0OQD", 2), *itertools.combinations("1IL", 2),
    ("5", "S"), ("8", "B"), ("2", "Z"), ("6", "G"), ("U", "V"),
]  # fmt: skip
QUARTER = 0.25
# Of any two at least a tenth of the cells differ.
TENTH = 0.1
TYPEFACES = [(charset, large) for charset in Charset for large in (False, True)]
# Half blocks are missing in most console fonts of Debian; box lines of the Latin fonts and the kernel's own are these.
ALLOWED = {
    Charset.HALF_BLOCKS: set(" █▀▄·"),
    Charset.CONSOLE: set(" █▀▄·"),
    Charset.LINES: set(" █═·/\\│─┌┐└┘├┤┬┴┼"),
    Charset.ASCII: set(string.printable),
}

typefaces = pytest.mark.parametrize(("charset", "large"), TYPEFACES, ids=lambda value: getattr(value, "name", value))


def differing(found: Typeface, one: str, other: str) -> float:
    cells = [zip(*rows, strict=True) for rows in zip(found.glyph(one), found.glyph(other), strict=True)]
    pairs = [pair for row in cells for pair in row]
    return sum(first != second for first, second in pairs) / len(pairs)


@typefaces
@pytest.mark.parametrize(("one", "other"), LOOK_ALIKES, ids="".join)
def test_look_alikes_differ_in_a_quarter_of_their_cells(charset: Charset, large: bool, one: str, other: str) -> None:
    assert differing(typeface_for(charset, large=large), one, other) >= QUARTER


@typefaces
def test_any_two_characters_differ_clearly(charset: Charset, large: bool) -> None:
    found = typeface_for(charset, large=large)
    close = [pair for pair in itertools.combinations(CHARACTERS, 2) if differing(found, *pair) < TENTH]
    assert close == []


@typefaces
def test_each_character_has_a_form_of_the_same_size(charset: Charset, large: bool) -> None:
    found = typeface_for(charset, large=large)
    drawn = [*map(found.glyph, CHARACTERS), found.hidden, found.unknown]
    assert {len(rows) for rows in drawn} == {found.rows}
    assert {len(row) for rows in drawn for row in rows} == {found.width}
    assert len({*drawn}) == len(CHARACTERS) + 2


@typefaces
def test_only_what_the_terminal_can_draw_is_used(charset: Charset, large: bool) -> None:
    found = typeface_for(charset, large=large)
    drawn = [*map(found.glyph, CHARACTERS), found.hidden, found.unknown, (found.digit_bar, found.dot)]
    assert {character for rows in drawn for row in rows for character in row} <= ALLOWED[charset]


@typefaces
def test_what_has_no_form_is_a_filled_box(charset: Charset, large: bool) -> None:
    found = typeface_for(charset, large=large)
    assert found.glyph("?") == found.glyph("é") == found.unknown
    assert " " not in "".join(found.unknown)


@typefaces
def test_small_letters_are_drawn_as_capitals(charset: Charset, large: bool) -> None:
    found = typeface_for(charset, large=large)
    assert [found.glyph(letter) for letter in "abz"] == [found.glyph(letter) for letter in "ABZ"]


def test_the_zero_is_marked_and_the_one_has_a_foot() -> None:
    small = typeface_for(Charset.HALF_BLOCKS, large=False)
    assert [row[1:-1].strip() for row in small.glyph("O")[1:3]] == ["", ""]
    assert all(row.rstrip()[1:-1].strip() for row in small.glyph("0")[1:3])
    assert [len(row.strip()) for row in small.glyph("1")[2:]] == [1, 3]


@typefaces
def test_six_groups_fit_a_small_and_a_large_window(charset: Charset, large: bool) -> None:
    found = typeface_for(charset, large=large)
    three_groups = 3 * (4 * (found.width + 1) - 1) + 2 * 4
    assert three_groups <= (116 if large else 77)
