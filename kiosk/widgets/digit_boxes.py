"""A box for each digit of a confirmation code, in two groups as the phone shows them."""

from __future__ import annotations

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from kiosk.sign_in_messages import DIGITS

_EMPTY = "·"
_INNER_CELLS = 3
_GAP, _WIDE_GAP = " ", "   "


class DigitBoxes(Widget):
    """Draws the boxes; the next one to fill is highlighted."""

    COMPONENT_CLASSES = {"digit-boxes--next", "digit-boxes--digit"}  # noqa: RUF012
    DEFAULT_CSS = """
    DigitBoxes { width: 100%; height: 3; }
    """

    def __init__(self, typed: bytearray) -> None:
        """``typed`` is the buffer with the digits, which the screen fills and zeroes."""
        super().__init__()
        self._typed = typed
        self._length = 0

    def show(self, length: int) -> None:
        """Draw this many digits of the buffer."""
        self._length = length
        self.refresh()

    def render_line(self, y: int) -> Strip:
        segments = []
        for place in range(DIGITS):
            filled = place < self._length
            text = self._row(chr(self._typed[place]) if filled else _EMPTY, y)
            name = "digit" if filled else "next" if place == self._length else ""
            style = self.get_component_rich_style(f"digit-boxes--{name}") if name else self.rich_style
            segments += [
                Segment(text, style),
                Segment(_WIDE_GAP if place == DIGITS // 2 - 1 else _GAP, self.rich_style),
            ]
        return Strip(segments[:-1]).adjust_cell_length(self.size.width, self.rich_style)

    @staticmethod
    def _row(character: str, y: int) -> str:
        if y == 1:
            return f"│{character.center(_INNER_CELLS)}│"
        return f"┌{'─' * _INNER_CELLS}┐" if y == 0 else f"└{'─' * _INNER_CELLS}┘"
