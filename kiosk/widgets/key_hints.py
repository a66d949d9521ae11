"""The last line of every screen: what each key does."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

KeyHint = tuple[str, str]
# Widest first; the first one with which all hints fit is used.
_GAPS = (4, 3, 2, 1)


class KeyHints(Widget):
    """Keys and what they do, the most important first; on two lines if one is too short."""

    COMPONENT_CLASSES = {"key-hints--key", "key-hints--label"}  # noqa: RUF012 - Textual's own declaration
    DEFAULT_CSS = """
    KeyHints { dock: bottom; height: auto; padding: 0 2; }
    """

    def __init__(self, key_hints: Sequence[KeyHint]) -> None:
        super().__init__()
        self._key_hints = tuple(key_hints)

    def show(self, key_hints: Sequence[KeyHint]) -> None:
        """Show other hints."""
        if tuple(key_hints) != self._key_hints:
            self._key_hints = tuple(key_hints)
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def _lines(self, width: int) -> list[tuple[KeyHint, ...]]:
        """Return the hints on one line if they fit, else on two lines of similar length."""
        if len(self._key_hints) < 2 or _cells(self._key_hints, _GAPS[-1]) <= width:
            return [self._key_hints]

        def longer(cut: int) -> int:
            return max(_cells(self._key_hints[:cut], _GAPS[-1]), _cells(self._key_hints[cut:], _GAPS[-1]))

        cut = min(range(1, len(self._key_hints)), key=longer)
        return [self._key_hints[:cut], self._key_hints[cut:]]

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        lines = self._lines(width)
        if y >= len(lines):
            return Strip.blank(width, self.rich_style)
        key_style = self.get_component_rich_style("key-hints--key")
        label_style = self.get_component_rich_style("key-hints--label")
        gap = next((gap for gap in _GAPS if all(_cells(line, gap) <= width for line in lines)), _GAPS[-1])
        segments: list[Segment] = []
        used = 0
        for key, label in lines[y]:
            cells = cell_len(key) + 3 + cell_len(label) + (gap if used else 0)
            if used + cells > width:
                break
            if used:
                segments.append(Segment(" " * gap, self.rich_style))
            segments += [Segment(f" {key} ", key_style), Segment(f" {label}", label_style)]
            used += cells
        return Strip(segments).extend_cell_length(width, self.rich_style)


def _cells(key_hints: Sequence[KeyHint], gap: int) -> int:
    """Return the cells that these hints need with this gap."""
    return sum(cell_len(key) + 3 + cell_len(label) + gap for key, label in key_hints) - gap
