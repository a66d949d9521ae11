"""A list of Macs to choose from; a mark shows the chosen one."""

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
# The caption, an empty line, the headings.
_ABOVE = 3


@dataclass(frozen=True)
class Row:
    """One Mac in words; ``available`` says whether its key can be requested."""

    name: str
    model: str
    serial: str
    seen: str
    key: str
    available: bool

    def cells(self) -> tuple[str, ...]:
        return (self.name, self.model, self.serial, self.seen, self.key)


HEADINGS = (N_("Name"), N_("Model"), N_("Serial"), N_("Last seen"), N_("Key"))
# Serial, last seen and key get the room that they need; name and model share the rest.
_SHORTEST = 8
_LEAST_WIDTHS = (_SHORTEST, _SHORTEST, 6, 11, 10)


class DeviceList(Widget, can_focus=False, inherit_bindings=False):
    """A caption, headings and rows; scrolls when there are more rows than fit.

    It is one widget, so that a key press redraws everything at once.
    """

    COMPONENT_CLASSES = {  # noqa: RUF012
        "device-list--caption", "device-list--heading", "device-list--chosen", "device-list--dim"
    }  # fmt: skip
    DEFAULT_CSS = """
    DeviceList { height: 1fr; min-height: 6; }
    """

    class Moved(Message):
        """Another row was chosen. A message, so that the list, which people watch, is drawn before the details."""

    def __init__(self, caption: str, rows: Sequence[Row]) -> None:
        super().__init__()
        self._drawn_in: dict[str, Style] = {}
        self._caption = caption
        self._rows = tuple(rows)
        self.chosen = 0
        # What is said about a Mac follows its list, and stays where it is while a filter shortens the list.
        self.styles.max_height = _ABOVE + len(self._rows)
        self._headings = tuple(_(heading) for heading in HEADINGS)
        # Measured over all rows once: columns that move while somebody types a filter are hard to read.
        lines = [self._headings, *(row.cells() for row in rows)]
        self._longest, self._models, *self._widths = (
            max(least, *(cell_len(cells[column]) for cells in lines)) for column, least in enumerate(_LEAST_WIDTHS)
        )

    def show(self, caption: str, rows: Sequence[Row]) -> None:
        """Show other rows and choose the first. Redraws only the lines that change."""
        before = self._seen()
        self._caption = caption
        self._rows = tuple(rows)
        self.chosen = 0
        changed = [place for place, (old, new) in enumerate(zip(before, self._seen(), strict=True)) if old != new]
        lines = [0, *(_ABOVE + place for place in changed)]
        self.refresh(*(Region(0, y, self.size.width, 1) for y in lines))
        self.post_message(self.Moved())

    def _seen(self) -> list[tuple[bool, Row | None]]:
        """Return for each line under the headings whether it is chosen, and its row."""
        places = range(self._first, self._first + self.page)
        return [(at == self.chosen, self._rows[at] if at < len(self._rows) else None) for at in places]

    def move(self, by: int) -> None:
        """Choose another row; stops at the ends."""
        chosen = min(max(self.chosen + by, 0), max(0, len(self._rows) - 1))
        if chosen != self.chosen:
            before, left = self._first, self.chosen
            self.chosen = chosen
            if self._first == before:
                self.refresh(*(Region(0, _ABOVE + place - before, self.size.width, 1) for place in (left, chosen)))
            else:
                self.refresh()
            self.post_message(self.Moved())

    @property
    def _first(self) -> int:
        """The index of the row right under the headings."""
        return max(0, min(self.chosen - self.page // 2, len(self._rows) - self.page))

    @property
    def page(self) -> int:
        """How many rows fit under the headings."""
        return max(1, self.size.height - _ABOVE)

    def notify_style_update(self) -> None:
        self._drawn_in.clear()
        super().notify_style_update()

    def _style(self, part: str = "") -> Style:
        """Return the style of a part, or of a normal row. Cached: Textual would look it up for each line."""
        if part not in self._drawn_in:
            named = f"device-list--{part}"
            self._drawn_in[part] = self.get_component_rich_style(named) if part else self.rich_style
        return self._drawn_in[part]

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return Strip([Segment(_fit(self._caption, width, end=True), self._style("caption"))])
        if y == _ABOVE - 1:
            return self._strip(_NO_MARK, self._headings, width, self._style("heading"))
        place = self._first + y - _ABOVE
        if y < _ABOVE or place >= len(self._rows):
            return Strip.blank(width, self._style())
        row = self._rows[place]
        if place == self.chosen:
            return self._strip(_MARK, row.cells(), width, self._style("chosen"))
        style = self._style("" if row.available else "dim")
        return self._strip(_NO_MARK, row.cells(), width, style)

    def _strip(self, mark: str, cells: Sequence[str], width: int, style: Style) -> Strip:
        widths = (*self._shared_widths(width), *self._widths)
        line = mark + _GAP.join(_fit(cell, room) for cell, room in zip(cells, widths, strict=True))
        return Strip([Segment(set_cell_size(line, width), style)])

    def _shared_widths(self, width: int) -> tuple[int, int]:
        """Return the widths of name and model. The name gets what it needs, up to half if the model needs the rest."""
        shared = width - len(_MARK) - sum(self._widths) - len(_GAP) * (len(HEADINGS) - 1)
        least = max(_SHORTEST, shared - self._models)
        name = min(self._longest, max(least, shared // 2))
        return name, max(_SHORTEST, shared - name)


def _fit(text: str, room: int, *, end: bool = False) -> str:
    """Return text of exactly ``room`` cells, cut with an ellipsis. ``end`` keeps the end, where somebody types."""
    if cell_len(text) <= room:
        return set_cell_size(text, room)
    if not end:
        return set_cell_size(text, room - 1) + "…"
    while cell_len(text) >= room:
        text = text[1:]
    return set_cell_size(f"…{text}", room)
