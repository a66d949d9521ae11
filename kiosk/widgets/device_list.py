"""A list of Macs to choose from: arrows move, a mark and words show where one is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from kiosk.i18n import N_, _

_MARK = "▶ "
_NO_MARK = "  "
_GAP = "  "


@dataclass(frozen=True)
class Row:
    """One Mac as words; ``available`` tells whether a key can be asked for."""

    name: str
    model: str
    serial: str
    seen: str
    key: str
    available: bool

    def cells(self) -> tuple[str, ...]:
        return (self.name, self.model, self.serial, self.seen, self.key)


HEADINGS = (N_("Name"), N_("Model"), N_("Serial"), N_("Last seen"), N_("Key"))
# Serial, last seen and key have the room that their words need; what is left is shared by name and model.
_SHORTEST = 8
_LEAST_WIDTHS = (_SHORTEST, _SHORTEST, 6, 11, 10)


class DeviceList(Widget, can_focus=False, inherit_bindings=False):
    """Rows under headings; scrolls when there are more than fit."""

    COMPONENT_CLASSES = {"device-list--heading", "device-list--chosen", "device-list--dim"}  # noqa: RUF012
    DEFAULT_CSS = """
    DeviceList { height: 1fr; min-height: 4; }
    """

    class Moved(Message):
        """Another row was chosen."""

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__()
        self._rows = tuple(rows)
        self.chosen = 0
        self._headings = tuple(_(heading) for heading in HEADINGS)
        # Of all rows, and kept: columns that move while somebody types a filter are hard to read.
        lines = [self._headings, *(row.cells() for row in rows)]
        self._longest, self._models, *self._widths = (
            max(least, *(cell_len(cells[column]) for cells in lines)) for column, least in enumerate(_LEAST_WIDTHS)
        )

    def show(self, rows: Sequence[Row]) -> None:
        """Show other rows, the first one chosen. Only lines that change are drawn."""
        before = self._seen()
        self._rows = tuple(rows)
        self.chosen = 0
        changed = [y for y, (old, new) in enumerate(zip(before, self._seen(), strict=True)) if old != new]
        if changed:
            self.refresh(Region(0, changed[0] + 1, self.size.width, changed[-1] - changed[0] + 1))

    def _seen(self) -> list[tuple[bool, Row | None]]:
        """Each line under the headings: whether it is chosen, and what stands there."""
        places = range(self._first, self._first + self.page)
        return [(at == self.chosen, self._rows[at] if at < len(self._rows) else None) for at in places]

    def move(self, by: int) -> None:
        """Choose another row; stops at the ends."""
        chosen = min(max(self.chosen + by, 0), max(0, len(self._rows) - 1))
        if chosen != self.chosen:
            before, left = self._first, self.chosen
            self.chosen = chosen
            if self._first == before:
                self.refresh(*(Region(0, place - before + 1, self.size.width, 1) for place in (left, chosen)))
            else:
                self.refresh()
            self.post_message(self.Moved())

    @property
    def _first(self) -> int:
        """The row that stands right under the headings."""
        return max(0, min(self.chosen - self.page // 2, len(self._rows) - self.page))

    @property
    def page(self) -> int:
        """How many rows fit under the headings."""
        return max(1, self.size.height - 1)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            style = self.get_component_rich_style("device-list--heading")
            return self._strip(_NO_MARK, self._headings, width, style)
        place = self._first + y - 1
        if place >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        row = self._rows[place]
        if place == self.chosen:
            return self._strip(_MARK, row.cells(), width, self.get_component_rich_style("device-list--chosen"))
        style = self.rich_style if row.available else self.get_component_rich_style("device-list--dim")
        return self._strip(_NO_MARK, row.cells(), width, style)

    def _strip(self, mark: str, cells: Sequence[str], width: int, style: Style) -> Strip:
        widths = (*self._shared_widths(width), *self._widths)
        line = mark + _GAP.join(_fit(cell, room) for cell, room in zip(cells, widths, strict=True))
        return Strip([Segment(set_cell_size(line, width), style)])

    def _shared_widths(self, width: int) -> tuple[int, int]:
        """Room for name and model: the name has what it needs, up to half of what both have."""
        shared = width - len(_MARK) - sum(self._widths) - len(_GAP) * (len(HEADINGS) - 1)
        least = max(_SHORTEST, shared - self._models)
        name = min(self._longest, max(least, shared // 2))
        return name, max(_SHORTEST, shared - name)


def _fit(text: str, room: int) -> str:
    """Exactly ``room`` cells; what is cut ends in an ellipsis."""
    if cell_len(text) <= room:
        return set_cell_size(text, room)
    return set_cell_size(text, room - 1) + "…"
