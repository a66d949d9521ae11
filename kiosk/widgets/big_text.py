"""A short code in large type, on one line if there is room, else on two."""

from __future__ import annotations

from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from kiosk.look.glyphs import Charset, typeface_for


class BigText(Widget):
    """Letters and digits, five cells wide and four rows high in every charset."""

    DEFAULT_CSS = """
    BigText { width: 100%; height: auto; }
    """

    def __init__(self, text: str, charset: Charset = Charset.HALF_BLOCKS) -> None:
        super().__init__()
        self._text = text
        self._typeface = typeface_for(charset, large=False)

    def _lines(self, width: int) -> list[str]:
        fitting = max(1, (width + 1) // (self._typeface.width + 1))
        count = -(-len(self._text) // fitting)
        length = -(-len(self._text) // max(1, count))
        return [self._text[start : start + length] for start in range(0, len(self._text), max(1, length))]

    def lines(self, width: int) -> int:
        """Return how many lines of the screen the text takes at this width."""
        return len(self._lines(width)) * self._typeface.rows

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self.lines(width)

    def render_line(self, y: int) -> Strip:
        lines = self._lines(self.size.width)
        if y >= len(lines) * self._typeface.rows:
            return Strip.blank(self.size.width, self.rich_style)
        row = " ".join(
            self._typeface.glyph(character)[y % self._typeface.rows] for character in lines[y // self._typeface.rows]
        )
        return Strip([Segment(row, self.rich_style)]).extend_cell_length(self.size.width, self.rich_style)
