"""The recovery key on the screen: six groups in large type and one plain line, drawn straight from wipeable memory."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from rich.cells import cached_cell_len
from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from kiosk.widgets.glyphs import HIDDEN, ROWS, WIDTH, glyph

if TYPE_CHECKING:
    from kiosk.secret import SecretBuffer

GROUPS = 6
GROUP_LENGTH = 4
KEY_LENGTH = GROUPS * GROUP_LENGTH + GROUPS - 1
_DASH = ord("-")
_IN_A_ROW = 3
_GROUP_CELLS = GROUP_LENGTH * (WIDTH + 1) - 1
_GAP = 4
_BLOCK_ROWS = ROWS + 1
CELLS = _IN_A_ROW * _GROUP_CELLS + (_IN_A_ROW - 1) * _GAP
LINES = 2 * _BLOCK_ROWS + 2


def forget_drawings() -> None:
    """Drop what Rich and Textual remember of earlier frames; the allocator overwrites what is freed."""
    # Keyed by text that was measured; lives as long as the process (rich 15).
    cached_cell_len.cache_clear()
    # Strips of replaced screens hang in reference cycles.
    gc.collect()


class KeyView(Widget):
    """Holds the key only while it is shown. Every character is its own segment, so no string of the key is made."""

    COMPONENT_CLASSES = {"key-view--letter", "key-view--digit", "key-view--number", "key-view--plain"}  # noqa: RUF012
    DEFAULT_CSS = f"""
    KeyView {{ width: {CELLS}; height: {LINES}; }}
    """

    def __init__(self) -> None:
        super().__init__()
        self._key: SecretBuffer | None = None
        self._only: int | None = None

    def show(self, key: SecretBuffer, *, masked: bool = False) -> None:
        """Draw the key; ``masked`` draws one group at a time, the others as dots."""
        self._key = key
        self._only = 0 if masked else None
        self.refresh()

    def turn(self, by: int) -> None:
        """Draw another group, when masked."""
        if self._only is not None:
            self._only = min(max(self._only + by, 0), GROUPS - 1)
            self.refresh()

    def _draws(self, group: int) -> bool:
        return self._key is not None and (self._only is None or self._only == group)

    def hide(self) -> None:
        """Overprint the key with dots and let nothing keep what was drawn."""
        self._key = None
        self._styles_cache.clear()
        self.refresh()
        self.call_after_refresh(forget_drawings)

    @property
    def usual(self) -> bool:
        """Whether what is shown has the form of a FileVault recovery key; anything else is drawn as one plain line."""
        key = self._key
        if key is None:
            return True
        dashes = all((key[place] == _DASH) == (place % 5 == GROUP_LENGTH) for place in range(len(key)))
        return len(key) == KEY_LENGTH and dashes

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return CELLS

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return LINES

    def render_line(self, y: int) -> Strip:
        if y == LINES - 1:
            segments = self._plain_line()
        elif y < 2 * _BLOCK_ROWS and self.usual:
            segments = self._group_row(y // _BLOCK_ROWS, y % _BLOCK_ROWS)
        else:
            segments = []
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)

    def _group_row(self, block: int, row: int) -> list[Segment]:
        segments: list[Segment] = []
        for column in range(_IN_A_ROW):
            group = block * _IN_A_ROW + column
            if column:
                segments.append(Segment(" " * _GAP, self.rich_style))
            if row == ROWS:
                number = str(group + 1).center(_GROUP_CELLS)
                segments.append(Segment(number, self.get_component_rich_style("key-view--number")))
            else:
                segments += self._glyph_row(group, row)
        return segments

    def _glyph_row(self, group: int, row: int) -> list[Segment]:
        segments: list[Segment] = []
        for place in range(GROUP_LENGTH):
            if place:
                segments.append(Segment(" ", self.rich_style))
            if self._key is None or not self._draws(group):
                segments.append(Segment(HIDDEN[row], self.get_component_rich_style("key-view--number")))
            else:
                character = chr(self._key[group * (GROUP_LENGTH + 1) + place])
                name = "key-view--digit" if character.isdigit() else "key-view--letter"
                segments.append(Segment(glyph(character)[row], self.get_component_rich_style(name)))
        return segments

    def _plain_line(self) -> list[Segment]:
        style = self.get_component_rich_style("key-view--plain")
        length = KEY_LENGTH if self._key is None else len(self._key)
        segments = [Segment(" " * max(0, (self.size.width - length) // 2), self.rich_style)]
        for place in range(length):
            if self._key is not None and self._draws(place // (GROUP_LENGTH + 1)):
                segments.append(Segment(chr(self._key[place]), style))
            else:
                segments.append(Segment("-" if place % 5 == GROUP_LENGTH else "·", style))
        return segments
