"""The key in each of its forms: what is drawn, what is not, and that no string of it is made."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from kiosk.i18n import LANGUAGES
from kiosk.look.glyphs import Charset, typeface_for
from kiosk.recovery_key.spelling import DIGITS, LETTERS, Alphabet, alphabet
from kiosk.secret import SecretBuffer
from kiosk.widgets.key_view import KeyForm, KeyView

# Every digit and nearly every letter, look-alikes side by side.
KEY = "0OQD-1IL7-5S8B-2Z6G-UV39-4XWM"
GROUPS = KEY.split("-")
SMALL, LARGE = (80, 24), (120, 40)
# Blanks, bars under digits, and the number of a group.
FILLING = re.compile(r"[ ▀]*|\[?[1-6]\]?| [1-6] |[1-6] +")


class Holder(App[None]):
    """Nothing but a key."""

    def __init__(self, view: KeyView) -> None:
        super().__init__()
        self.view = view

    def compose(self) -> ComposeResult:
        yield self.view

    def rows(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        return "\n".join(self.rows())


@asynccontextmanager
async def shown(
    view: KeyView, key: str = KEY, size: tuple[int, int] = SMALL, *, masked: bool = False
) -> AsyncIterator[tuple[Holder, Pilot[None]]]:
    app = Holder(view)
    async with app.run_test(size=size) as pilot:
        view.show(SecretBuffer(bytes(bytearray(key.encode()))), masked=masked)
        await pilot.pause()
        yield app, pilot


def spelled(group: str, words: Alphabet) -> list[str]:
    return [words.word(character) for character in group]


@pytest.mark.parametrize("charset", Charset, ids=lambda charset: charset.name)
@pytest.mark.parametrize(("size", "large"), [(SMALL, False), (LARGE, True), ((120, 30), False), ((112, 40), False)])
async def test_the_type_is_as_large_as_there_is_room(charset: Charset, size: tuple[int, int], large: bool) -> None:
    typeface = typeface_for(charset, large=large)
    async with shown(KeyView(charset), size=size) as (app, _):
        first = [row[: 4 * (typeface.width + 1)].ljust(4 * (typeface.width + 1)) for row in app.rows()]
        for row in range(typeface.rows):
            assert first[row] == "".join(typeface.glyph(character)[row] + " " for character in GROUPS[0])
        assert KEY in app.text
        assert [row for row in app.rows() if row][-1].strip() == KEY


@pytest.mark.parametrize("charset", Charset, ids=lambda charset: charset.name)
async def test_a_bar_is_under_each_digit_and_under_no_letter(charset: Charset) -> None:
    typeface = typeface_for(charset, large=False)
    async with shown(KeyView(charset)) as (app, _):
        below = [app.rows()[typeface.rows].ljust(80), app.rows()[2 * typeface.rows + 2].ljust(80)]
    for number, group in enumerate(GROUPS):
        left = number % 3 * (4 * (typeface.width + 1) - 1 + 4)
        line = below[number // 3]
        for place, character in enumerate(group):
            start = left + place * (typeface.width + 1)
            beneath = line[start : start + typeface.width]
            assert (beneath == typeface.digit_bar) is character.isdigit(), character
        assert line[left + 2 * (typeface.width + 1) - 1] == str(number + 1)


async def test_plain_ascii_is_nothing_else() -> None:
    for form in KeyForm:
        async with shown(KeyView(Charset.ASCII)) as (app, pilot):
            app.view.show_as(form)
            await pilot.pause()
            assert app.text.isascii()
            app.view.hide()
            await pilot.pause()
            assert app.text.isascii()


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_step_by_step_one_group_is_exposed_with_its_words(size: tuple[int, int]) -> None:
    words = alphabet("en")
    async with shown(KeyView(spelling=words), size=size) as (app, pilot):
        app.view.show_as(KeyForm.STEP)
        for number, group in enumerate(GROUPS, 1):
            await pilot.pause()
            assert app.view.group == number
            assert f"[{number}]" in app.text
            dots = ["····"] * 6
            dots[number - 1] = group
            assert "-".join(dots) in app.text
            (line,) = [row for row in app.rows() if words.word(group[0]) in row.split()]
            assert line.split() == spelled(group, words)
            app.view.turn(1)
        await pilot.pause()
        assert app.view.group == 6
        app.view.turn(-99)
        assert app.view.group == 1


@pytest.mark.parametrize("language", LANGUAGES)
async def test_all_characters_with_their_words_fit_a_small_window(language: str) -> None:
    words = alphabet(language)
    key = "HNNN-QQWW-VVYY-XXGG-7980-DDSS"
    async with shown(KeyView(spelling=words), key) as (app, pilot):
        app.view.show_as(KeyForm.SPELLED)
        await pilot.pause()
        rows = [row for row in app.rows() if row]
        assert len(rows) <= 16
        assert max(map(len, rows)) <= 77
        for block in range(2):
            for place in range(4):
                line = rows[block * 4 + place].split()
                entries = [key.split("-")[block * 3 + column][place] for column in range(3)]
                expected = [part for entry in entries for part in (entry, words.word(entry))]
                assert [part for part in line if part not in "123456" or part in entries] == expected
        assert rows[-1].strip() == key


@pytest.mark.parametrize("form", KeyForm)
async def test_masked_no_form_shows_more_than_one_group(form: KeyForm) -> None:
    words = alphabet("en")
    async with shown(KeyView(spelling=words), "ABCD-EFGH-JKLM-NOPQ-RSTU-VWXY", masked=True) as (app, pilot):
        app.view.show_as(form)
        app.view.turn(2)
        await pilot.pause()
        assert "····-····-JKLM-····-····-····" in app.text
        seen = {letter for letter in LETTERS if words.word(letter) in app.text}
        assert seen == (set() if form is KeyForm.WHOLE else set("JKLM"))


@pytest.mark.parametrize("form", KeyForm)
async def test_what_is_hidden_leaves_nothing_on_the_screen(form: KeyForm) -> None:
    words = alphabet("en")
    async with shown(KeyView(spelling=words)) as (app, pilot):
        app.view.show_as(form)
        app.view.turn(3)
        await pilot.pause()
        app.view.hide()
        await pilot.pause()
        assert "····-····-····-····-····-····" in app.text
        assert not [character for character in LETTERS + DIGITS if words.word(character) in app.text]
        assert not set(app.text) & set("█▀")


async def test_an_unusual_key_stays_a_plain_line() -> None:
    async with shown(KeyView(), "35AJ-AC98") as (app, pilot):
        for form in KeyForm:
            app.view.show_as(form)
            await pilot.pause()
            assert app.view.form is KeyForm.WHOLE
            assert app.text.split() == ["35AJ-AC98"]


@pytest.mark.parametrize("form", KeyForm)
async def test_every_piece_is_a_constant_or_one_character(form: KeyForm) -> None:
    """A piece that was put together from the key would be a string of it."""
    words = alphabet("sv")
    small, large = (typeface_for(Charset.HALF_BLOCKS, large=size) for size in (False, True))
    constants = {id(words.word(character)) for character in LETTERS + DIGITS}
    constants |= {id(row) for whole in (small, large) for rows in whole.glyphs.values() for row in rows}
    async with shown(KeyView(spelling=words)) as (app, pilot):
        app.view.show_as(form)
        await pilot.pause()
        for piece in pieces(app.view):
            assert len(piece) <= 1 or id(piece) in constants or FILLING.fullmatch(piece)


def pieces(view: KeyView) -> Iterator[str]:
    for y in range(view.size.height):
        yield from (segment.text for segment in view.render_line(y))
