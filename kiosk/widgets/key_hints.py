"""The last line of every screen: what each key does here."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

Hint = tuple[str, str]
# The widest with which all hints fit.
_GAPS = (4, 3, 2, 1)


class KeyHints(Widget):
    """Keys and what they do, the most important first; what does not fit is left out whole."""

    COMPONENT_CLASSES = {"key-hints--key", "key-hints--label"}  # noqa: RUF012 - Textual's own declaration
    DEFAULT_CSS = """
    KeyHints { dock: bottom; height: 1; padding: 0 2; }
    """

    def __init__(self, hints: Sequence[Hint]) -> None:
        super().__init__()
        self._hints = tuple(hints)

    def show(self, hints: Sequence[Hint]) -> None:
        """Show other hints."""
        self._hints = tuple(hints)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        key_style = self.get_component_rich_style("key-hints--key")
        label_style = self.get_component_rich_style("key-hints--label")
        gap = next((gap for gap in _GAPS if self._cells(gap) <= width), _GAPS[-1])
        segments: list[Segment] = []
        used = 0
        for key, label in self._hints:
            cells = cell_len(key) + 3 + cell_len(label) + (gap if used else 0)
            if used + cells > width:
                break
            if used:
                segments.append(Segment(" " * gap, self.rich_style))
            segments += [Segment(f" {key} ", key_style), Segment(f" {label}", label_style)]
            used += cells
        return Strip(segments).extend_cell_length(width, self.rich_style)

    def _cells(self, gap: int) -> int:
        """What all hints take with this much room between them."""
        return sum(cell_len(key) + 3 + cell_len(label) + gap for key, label in self._hints) - gap
