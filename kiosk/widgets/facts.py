"""Labels and values in two columns, such as whom to ask and what to quote."""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.content import Content
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

_NAME_CELLS = 12
_GAP = 2


class Facts(Widget):
    """Long values wrap within their column. One widget for all facts, because every widget costs start-up time."""

    COMPONENT_CLASSES = {"facts--value"}  # noqa: RUF012 - Textual's own declaration
    DEFAULT_CSS = """
    Facts { width: 100%; height: auto; }
    """

    def __init__(self, facts: Mapping[str, str], *, least: int = _NAME_CELLS) -> None:
        """``facts`` maps labels to values; ``least`` is the smallest width of the column of labels."""
        super().__init__()
        self._facts = dict(facts)
        # As wide as the longest label in any language; with short labels all screens look alike.
        self._name_cells = max(least, *(cell_len(name) + _GAP for name in self._facts))
        self._wrapped: tuple[int, list[tuple[str, str]]] = (0, [])

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render_line(self, y: int) -> Strip:
        lines = self._lines(self.size.width)
        if y >= len(lines):
            return Strip.blank(self.size.width, self.rich_style)
        name, value = lines[y]
        segments = [
            Segment(set_cell_size(name, self._name_cells), self.rich_style),
            Segment(value, self.get_component_rich_style("facts--value")),
        ]
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)

    def _lines(self, width: int) -> list[tuple[str, str]]:
        if self._wrapped[0] != width:
            room = max(1, width - self._name_cells)
            lines = []
            for name, value in self._facts.items():
                values = [line.plain for line in Content(value).wrap(room)] or [""]
                lines += [("" if at else name, line) for at, line in enumerate(values)]
            self._wrapped = width, lines
        return self._wrapped[1]
