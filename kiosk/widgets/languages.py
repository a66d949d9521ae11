"""The languages of the kiosk, each by its own name, with the current one marked."""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import set_cell_size
from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

_IN_A_ROW = 6
_CELLS = 12


class Languages(Widget):
    """Two rows of six. Brackets mark the current language, because colour alone is not enough."""

    COMPONENT_CLASSES = {"languages--chosen"}  # noqa: RUF012 - Textual's own declaration
    DEFAULT_CSS = """
    Languages { width: 100%; height: auto; }
    """

    def __init__(self, names: Mapping[str, str], chosen: str) -> None:
        """``names`` maps language codes to names."""
        super().__init__()
        self._names = dict(names)
        self._chosen = chosen

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return -(-len(self._names) // _IN_A_ROW)

    def render_line(self, y: int) -> Strip:
        segments: list[Segment] = []
        for code in list(self._names)[y * _IN_A_ROW : (y + 1) * _IN_A_ROW]:
            chosen = code == self._chosen
            style = self.get_component_rich_style("languages--chosen") if chosen else self.rich_style
            word = f"[{self._names[code]}]" if chosen else f" {self._names[code]} "
            segments.append(Segment(word, style))
            segments.append(Segment(set_cell_size("", max(0, _CELLS - len(word))), self.rich_style))
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)
