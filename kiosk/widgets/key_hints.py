"""The last line of every screen: what each key does here."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

Hint = tuple[str, str]
_GAP = 4


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
        segments: list[Segment] = []
        used = 0
        for key, label in self._hints:
            cells = len(key) + 3 + len(label) + (_GAP if used else 0)
            if used + cells > width:
                break
            if used:
                segments.append(Segment(" " * _GAP, self.rich_style))
            segments += [Segment(f" {key} ", key_style), Segment(f" {label}", label_style)]
            used += cells
        return Strip(segments).extend_cell_length(width, self.rich_style)
