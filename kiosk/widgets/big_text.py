"""A short code in large type, on one line where there is room, else on two."""

from __future__ import annotations

from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from kiosk.widgets.glyphs import Repertoire, face

_FACE = face(Repertoire.HALF_BLOCKS, large=False)
_STEP = _FACE.width + 1


class BigText(Widget):
    """Letters and digits, five cells wide and four rows high."""

    DEFAULT_CSS = """
    BigText { width: 100%; height: auto; }
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def _lines(self, width: int) -> list[str]:
        fitting = max(1, (width + 1) // _STEP)
        count = -(-len(self._text) // fitting)
        length = -(-len(self._text) // max(1, count))
        return [self._text[start : start + length] for start in range(0, len(self._text), max(1, length))]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width)) * _FACE.rows

    def render_line(self, y: int) -> Strip:
        lines = self._lines(self.size.width)
        if y >= len(lines) * _FACE.rows:
            return Strip.blank(self.size.width, self.rich_style)
        row = " ".join(_FACE.glyph(character)[y % _FACE.rows] for character in lines[y // _FACE.rows])
        return Strip([Segment(row, self.rich_style)]).extend_cell_length(self.size.width, self.rich_style)
