"""The first line of every screen: the organisation, and the step of the visit."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from kiosk.i18n import _
from kiosk.look.themes import WITHOUT_ACCENT, legible_on
from kiosk.wording import STEPS


def step_words(step: int) -> str:
    """Return the step of the visit in words; ``step`` counts from 1."""
    place = _("{step} of {steps}").format(step=step, steps=len(STEPS))
    return f"{place}  {_(STEPS[step - 1])}"


class TopLine(Widget):
    """The organisation on the left; a note and the step on the right."""

    COMPONENT_CLASSES = {"top-line--name", "top-line--step", "top-line--note"}  # noqa: RUF012
    DEFAULT_CSS = """
    TopLine { dock: top; height: 1; padding: 0 2; }
    """

    def __init__(self, organisation: str, *, step: int = 0, note: str = "", band: str = "") -> None:
        """``step`` counts from 1; 0 for none. ``band`` is the organisation's colour, drawn behind its name."""
        super().__init__()
        self._band = band
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
        segments = self._organisation_cells(left)
        segments += [Segment(text, style) for text, style in right if text]
        return Strip(segments)

    def _organisation_cells(self, room: int) -> list[Segment]:
        style = self.get_component_rich_style("top-line--name")
        if not self._band or self.app.theme in WITHOUT_ACCENT:
            return [Segment(set_cell_size(self._organisation, room), style)]
        label = f" {self._organisation} "
        label = label if cell_len(label) <= room else set_cell_size(label, room)
        own = Style(color=legible_on(self._band), bgcolor=self._band, bold=True)
        return [Segment(label, own), Segment(" " * (room - cell_len(label)), self.rich_style)]
