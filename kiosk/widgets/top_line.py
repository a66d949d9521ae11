"""The first line of every screen: whose desk this is, and how far the person has come."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from kiosk.i18n import _
from kiosk.words import STEPS


def step_words(step: int) -> str:
    """How far the person has come; ``step`` counts from 1."""
    place = _("{step} of {steps}").format(step=step, steps=len(STEPS))
    return f"{place}  {_(STEPS[step - 1])}"


class TopLine(Widget):
    """Organisation on the left; on the right the step, in words and as dots, or a note."""

    COMPONENT_CLASSES = {"top-line--name", "top-line--step", "top-line--note"}  # noqa: RUF012
    DEFAULT_CSS = """
    TopLine { dock: top; height: 1; padding: 0 2; }
    """

    def __init__(self, organisation: str, *, step: int = 0, note: str = "") -> None:
        """``step`` counts from 1; 0 stands for none."""
        super().__init__()
        self._organisation = organisation
        self._note = note
        self._step = step_words(step) if step else ""

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        right = [
            (self._note, self.get_component_rich_style("top-line--note")),
            ("   " if self._note and self._step else "", self.rich_style),
            (self._step, self.get_component_rich_style("top-line--step")),
        ]
        left = max(0, width - sum(cell_len(text) for text, _ in right))
        name = set_cell_size(self._organisation, left)
        segments = [Segment(name, self.get_component_rich_style("top-line--name"))]
        segments += [Segment(text, style) for text, style in right if text]
        return Strip(segments)
