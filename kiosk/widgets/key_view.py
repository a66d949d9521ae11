"""Draws the recovery key from wipeable memory: whole in large type, group by group, or spelled."""

from __future__ import annotations

import gc
from enum import Enum, auto
from typing import TYPE_CHECKING

from rich.cells import cached_cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from kiosk.i18n import language
from kiosk.look.glyphs import Charset, Typeface, typeface_for
from kiosk.recovery_key.format import GROUP_LENGTH, GROUPS, KEY_LENGTH, is_usual, position
from kiosk.recovery_key.spelling import Alphabet, alphabet

if TYPE_CHECKING:
    from kiosk.secret import SecretBuffer

_IN_A_ROW = 3
_GAP = 4
# On a lower screen large type would leave no room for the rest.
_LARGE_FROM_LINES = 34
# In the spelled table: the column of group numbers, and the gap between a character and its word.
_NUMBER_CELLS = 3
_WORD_GAP = 2


class KeyForm(Enum):
    """How the key is shown."""

    WHOLE = auto()
    # One group, large, with the word for each character.
    STEP = auto()
    # Each character with its word.
    SPELLED = auto()


def forget_drawings() -> None:
    """Drop what Rich and Textual cache of earlier frames; the allocator overwrites what is freed."""
    # Keyed by text that was measured or cut, in the order of drawing; they last as long as the process (rich 15).
    cached_cell_len.cache_clear()
    Segment._split_cells.cache_clear()
    # Strips of replaced screens hang in reference cycles.
    gc.collect()


class KeyView(Widget):
    """Holds the key only while it is visible.

    Every character and every word is a segment of its own, a constant, so that no string contains the key.
    """

    COMPONENT_CLASSES = {  # noqa: RUF012
        "key-view--letter", "key-view--digit", "key-view--number", "key-view--plain", "key-view--plain-digit",
        "key-view--word",
    }  # fmt: skip
    DEFAULT_CSS = """
    KeyView { width: auto; height: auto; }
    """

    def __init__(self, charset: Charset = Charset.HALF_BLOCKS, spelling: Alphabet | None = None) -> None:
        """``spelling`` defaults to the alphabet of the visit's language."""
        super().__init__()
        self._small, self._large = typeface_for(charset, large=False), typeface_for(charset, large=True)
        self._spelling = spelling or alphabet(language())
        self._key: SecretBuffer | None = None
        self._masked = False
        self._form = KeyForm.WHOLE
        self._group = 0

    def show(self, key: SecretBuffer, *, masked: bool = False) -> None:
        """Draw the key in the current form; ``masked`` draws one group at a time in every form."""
        self._key, self._masked = key, masked
        self.refresh()

    @property
    def form(self) -> KeyForm:
        return self._form

    @property
    def group(self) -> int:
        """The number of the current group, 1 to 6."""
        return self._group + 1

    def show_as(self, form: KeyForm) -> None:
        """Change the form. A key of unusual form has no groups and keeps its form."""
        if self.usual:
            self._form = form
            self.refresh()

    def spell_with(self, spelling: Alphabet) -> None:
        """Change the spelling alphabet."""
        self._spelling = spelling
        self.refresh()

    def turn(self, by: int) -> None:
        """Draw another group, where one is drawn at a time."""
        if self.one_at_a_time:
            self._group = min(max(self._group + by, 0), GROUPS - 1)
            self.refresh()

    def hide(self) -> None:
        """Draw dots in place of the key and clear every cache of what was drawn."""
        self._key = None
        self._styles_cache.clear()
        self.refresh()
        self.call_after_refresh(forget_drawings)

    @property
    def usual(self) -> bool:
        """Whether the key has the form of a FileVault recovery key; any other is drawn as one plain line."""
        return self._key is None or is_usual(self._key)

    @property
    def one_at_a_time(self) -> bool:
        """Whether only the current group is drawn."""
        return self._masked or self._form is KeyForm.STEP

    def _character(self, group: int, place: int) -> str | None:
        """Return one character, or None if it is not to be seen."""
        if self._key is None or (self.one_at_a_time and self._group != group):
            return None
        return chr(self._key[position(group, place)])

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return _cells(self._typeface(container.width, viewport.height))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return _lines(self._typeface(width, viewport.height))

    def _typeface(self, width: int, height: int) -> Typeface:
        roomy = width >= _cells(self._large) and height >= _LARGE_FROM_LINES
        return self._large if roomy else self._small

    def render_line(self, y: int) -> Strip:
        whole = self._typeface(self.size.width, self.app.size.height)
        last = _lines(whole) - 1
        if y == last:
            segments = self._plain_line()
        elif y > last or not self.usual:
            segments = []
        elif self._form is KeyForm.STEP:
            segments = self._step_row(y, last)
        elif self._form is KeyForm.SPELLED:
            segments = self._spelled_row(y)
        else:
            segments = self._row_of_groups(whole, y)
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)

    def _row_of_groups(self, whole: Typeface, y: int) -> list[Segment]:
        # A blank line between the rows of groups: a bar under a digit must not look like one above the next row.
        block, row = divmod(y, whole.rows + 2)
        if block >= GROUPS // _IN_A_ROW or row > whole.rows:
            return []
        segments: list[Segment] = []
        for column in range(_IN_A_ROW):
            group = block * _IN_A_ROW + column
            if column:
                segments.append(self._blank(_GAP))
            segments += self._below(whole, group) if row == whole.rows else self._glyph_row(whole, group, row)
        return segments

    def _glyph_row(self, whole: Typeface, group: int, row: int) -> list[Segment]:
        segments: list[Segment] = []
        for place in range(GROUP_LENGTH):
            if place:
                segments.append(self._blank(1))
            segments.append(self._glyph_cells(whole, self._character(group, place), row))
        return segments

    def _below(self, whole: Typeface, group: int) -> list[Segment]:
        """Return the line below a group: a bar under each digit, and the number of the group in its middle."""
        segments: list[Segment] = []
        for place in range(GROUP_LENGTH):
            if place == GROUP_LENGTH // 2:
                segments.append(Segment(str(group + 1), self._style("number")))
            elif place:
                segments.append(self._blank(1))
            segments.append(self._bar_cells(whole, self._character(group, place)))
        return segments

    def _step_row(self, y: int, last: int) -> list[Segment]:
        """Return a row of the form with one group: characters, bars, words; above the plain line, its number."""
        top = max(0, (last - 1 - (self._large.rows + 3)) // 2)
        row = y - top
        if y == last - 1:
            return self._which_group()
        if not 0 <= row <= self._large.rows + 1:
            return []
        segments: list[Segment] = []
        for place in range(GROUP_LENGTH):
            character = self._character(self._group, place)
            if row < self._large.rows:
                cell = self._glyph_cells(self._large, character, row)
            elif row == self._large.rows:
                cell = self._bar_cells(self._large, character)
            else:
                cell = self._word(character)
            segments += self._centred(cell, self.size.width // GROUP_LENGTH)
        return segments

    def _which_group(self) -> list[Segment]:
        segments = [self._blank(self._plain_margin())]
        for group in range(GROUPS):
            text = f"[{group + 1}]" if group == self._group else f" {group + 1} "
            segments += self._centred(Segment(text, self._style("number")), GROUP_LENGTH)
            segments.append(self._blank(1))
        return segments

    def _spelled_row(self, y: int) -> list[Segment]:
        block, place = divmod(y, GROUP_LENGTH + 1)
        if block >= GROUPS // _IN_A_ROW or place == GROUP_LENGTH:
            return []
        segments: list[Segment] = []
        for column in range(_IN_A_ROW):
            group = block * _IN_A_ROW + column
            character = self._character(group, place)
            number = "" if place else str(group + 1)
            segments.append(Segment(number.ljust(_NUMBER_CELLS), self._style("number")))
            segments.append(self._small_cell(character, "plain", "plain-digit"))
            segments.append(self._blank(_WORD_GAP))
            word = self._word(character)
            segments += [word, self._blank(self._column_cells() - _NUMBER_CELLS - 1 - _WORD_GAP - word.cell_length)]
        return segments

    def _column_cells(self) -> int:
        return self.size.width // _IN_A_ROW

    def _plain_margin(self) -> int:
        length = KEY_LENGTH if self._key is None else len(self._key)
        return max(0, (self.size.width - length) // 2)

    def _plain_line(self) -> list[Segment]:
        length = KEY_LENGTH if self._key is None else len(self._key)
        segments = [self._blank(self._plain_margin())]
        for index in range(length):
            group, place = divmod(index, GROUP_LENGTH + 1)
            character = self._character(group, place)
            if character is None and place == GROUP_LENGTH:
                segments.append(Segment("-", self._style("plain")))
            else:
                segments.append(self._small_cell(character, "plain", "plain-digit"))
        return segments

    def _glyph_cells(self, typeface: Typeface, character: str | None, row: int) -> Segment:
        if character is None:
            return Segment(typeface.hidden[row], self._style("number"))
        name = "digit" if character.isdigit() else "letter"
        return Segment(typeface.glyph(character)[row], self._style(name))

    def _bar_cells(self, typeface: Typeface, character: str | None) -> Segment:
        if character is not None and character.isdigit():
            return Segment(typeface.digit_bar, self._style("digit"))
        return self._blank(typeface.width)

    def _small_cell(self, character: str | None, letter: str, digit: str) -> Segment:
        if character is None:
            return Segment(self._small.dot, self._style("number"))
        return Segment(character, self._style(digit if character.isdigit() else letter))

    def _word(self, character: str | None) -> Segment:
        return Segment("" if character is None else self._spelling.word(character), self._style("word"))

    def _centred(self, segment: Segment, cells: int) -> list[Segment]:
        room = max(0, cells - segment.cell_length)
        return [self._blank(room // 2), segment, self._blank(room - room // 2)]

    def _blank(self, cells: int) -> Segment:
        return Segment(" " * max(0, cells), self.rich_style)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"key-view--{name}")


def _cells(whole: Typeface) -> int:
    """Return the width of three groups side by side."""
    return _IN_A_ROW * (GROUP_LENGTH * (whole.width + 1) - 1) + (_IN_A_ROW - 1) * _GAP


def _lines(whole: Typeface) -> int:
    """Return the height of two rows of groups, each with bars and a blank line below, and the plain line."""
    return GROUPS // _IN_A_ROW * (whole.rows + 2) + 1
