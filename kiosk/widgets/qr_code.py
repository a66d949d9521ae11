"""A QR code drawn in half blocks, made on this machine."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

# The standard requires a quiet zone of four modules; two work well on a screen and save room at 80x24.
_QUIET = 2
# Dark on light in every theme: many readers reject inverted codes.
_INK = Style(color="#000000", bgcolor="#ffffff")
_HALVES = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


class QrCode(Widget):
    """An address for a phone's camera."""

    DEFAULT_CSS = """
    QrCode { width: auto; height: auto; }
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._rows: list[str] = []
        self.encode(text)

    def encode(self, text: str) -> None:
        """Draw another address."""
        # Already loaded, see kiosk/process/preload.py; imported at the top it would delay the first screen.
        import segno

        before = len(self._rows)
        matrix = [list(row) for row in segno.make(text, error="l", micro=False).matrix_iter(border=_QUIET)]
        if len(matrix) % 2:
            matrix.append([0] * len(matrix[0]))
        self._rows = [
            "".join(_HALVES[bool(upper), bool(lower)] for upper, lower in zip(matrix[y], matrix[y + 1], strict=True))
            for y in range(0, len(matrix), 2)
        ]
        if before:
            self.refresh(layout=before != len(self._rows))

    @property
    def cells(self) -> int:
        """The width of the code, with its quiet zone."""
        return len(self._rows[0])

    @property
    def lines(self) -> int:
        """The height of the code, with its quiet zone."""
        return len(self._rows)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return self.cells

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self.lines

    def render_line(self, y: int) -> Strip:
        if y >= len(self._rows):
            return Strip.blank(self.size.width, self.rich_style)
        return Strip([Segment(self._rows[y], _INK)]).extend_cell_length(self.size.width, self.rich_style)
