"""Six boxes for the groups of a copy: how many characters were typed, never which, and whether they are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from kiosk.i18n import N_, _
from kiosk.recovery_key.format import GROUP_LENGTH, GROUPS

_TYPED, _EMPTY = "●", "·"
_INNER_CELLS = 2 * GROUP_LENGTH + 1
_CELLS = _INNER_CELLS + 2
# From this height on the boxes have empty lines inside.
_ROOMY_FROM_LINES = 30


class Mark(Enum):
    """The state of a group, as a sign and a word: colour alone is not enough."""

    # Translators: the word stands under a box and has room for nine characters
    OPEN = ("", "")
    RIGHT = ("✓", N_("right"))
    WRONG = ("×", N_("wrong"))
    SPENT = ("×", N_("0 left"))

    def __init__(self, sign: str, word: str) -> None:
        self.sign = sign
        self.word = word


@dataclass(frozen=True)
class Box:
    """One group: the number of typed characters, and its state."""

    typed: int = 0
    mark: Mark = Mark.OPEN


class GroupBoxes(Widget):
    """Draws the boxes; the current one has its number in brackets."""

    COMPONENT_CLASSES = {"group-boxes--chosen", "group-boxes--right", "group-boxes--wrong"}  # noqa: RUF012
    DEFAULT_CSS = """
    GroupBoxes { width: 100%; height: auto; }
    """

    def __init__(self, boxes: Sequence[Box], chosen: int) -> None:
        """``chosen`` is the current box, from 1; 0 for none."""
        super().__init__()
        self._boxes = tuple(boxes)
        self._chosen = chosen

    def show(self, boxes: Sequence[Box], chosen: int) -> None:
        """Draw other states."""
        self._boxes, self._chosen = tuple(boxes), chosen
        self.refresh()

    @property
    def _air(self) -> int:
        return 1 if self.app.size.height >= _ROOMY_FROM_LINES else 0

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return 4 + 2 * self._air

    def render_line(self, y: int) -> Strip:
        segments = []
        gap = " " * max(0, (self.size.width - GROUPS * _CELLS) // (GROUPS - 1))
        for number, box in enumerate(self._boxes, 1):
            text = self._row(number, box, y)
            segments += [Segment(text, self._style(number, box)), Segment(gap, self.rich_style)]
        return Strip(segments[:-1]).adjust_cell_length(self.size.width, self.rich_style)

    def _row(self, number: int, box: Box, y: int) -> str:
        middle, bottom = 1 + self._air, 2 + 2 * self._air
        if y == 0:
            name = f"[{number}]" if number == self._chosen else f" {number} "
            return f"┌{name.center(_INNER_CELLS, '─')}┐"
        if y == middle:
            marks = [_TYPED] * box.typed + [_EMPTY] * (GROUP_LENGTH - box.typed)
            return f"│{' '.join(marks).center(_INNER_CELLS)}│"
        if y < bottom:
            return f"│{' ' * _INNER_CELLS}│"
        if y == bottom:
            return f"└{'─' * _INNER_CELLS}┘"
        return f"{box.mark.sign} {_(box.mark.word)}".strip().center(_CELLS)[:_CELLS]

    def _style(self, number: int, box: Box) -> Style:
        if box.mark is Mark.RIGHT:
            return self.get_component_rich_style("group-boxes--right")
        if number == self._chosen:
            return self.get_component_rich_style("group-boxes--chosen")
        return self.rich_style if box.mark is Mark.OPEN else self.get_component_rich_style("group-boxes--wrong")
