"""Compare the text that a screen draws with the text that its widgets hold, widget by widget."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from kiosk.fullscreen.app import KioskApp
from kiosk.i18n import _
from kiosk.widgets.countdown import Countdown
from kiosk.widgets.device_list import HEADINGS, DeviceList
from kiosk.widgets.group_boxes import GroupBoxes
from kiosk.widgets.key_hints import KeyHints
from kiosk.widgets.prose import Prose
from kiosk.widgets.top_line import TopLine

SPEAKING = (Prose, KeyHints, TopLine, Countdown, DeviceList, GroupBoxes)
_SHORTEST_BAR = 8


def _plain(text: str) -> str:
    return " ".join(text.split())


def unfit(app: KioskApp, kinds: tuple[type[Widget], ...] = SPEAKING) -> Iterator[str]:
    """Yield every text on the screen that is cut off, covered, or outside the visible area."""
    lines = [Strip(list(line)) for line in app.screen._compositor.render_strips()]

    def drawn(region: Region) -> str:
        return _plain(" ".join(line.crop(region.x, region.right).text for line in lines[region.y : region.bottom]))

    for widget in _visible(app, kinds):
        place = app.screen._compositor.full_map[widget]
        if not place.clip.contains_region(place.region):
            yield f"{type(widget).__name__} is pushed off the screen: {_meant(widget)}"
            continue
        seen = drawn(place.region)
        for words in _meant(widget):
            if _plain(words) not in seen:
                yield f"{words!r} is drawn as {seen!r}"
        if widget.has_class("facts--name") and cell_len(_meant(widget)[0]) >= place.region.width:
            yield f"{_meant(widget)[0]!r} touches its neighbour"
        if isinstance(widget, Countdown) and seen.count("━") + seen.count("─") < _SHORTEST_BAR:
            yield f"no room for the bar beside {_meant(widget)}"


def _visible(app: KioskApp, kinds: tuple[type[Widget], ...]) -> Iterator[Widget]:
    for widget in app.screen.walk_children(Widget, with_self=False):
        shown = widget.visible and all(node.display for node in widget.ancestors_with_self)
        if shown and isinstance(widget, kinds):
            yield widget


def _meant(widget: Widget) -> list[str]:
    """Return the texts that must be visible in full."""
    if isinstance(widget, Prose):
        return [str(widget.content)]
    if isinstance(widget, KeyHints):
        return [f"{key} {label}" for key, label in widget._key_hints]
    if isinstance(widget, TopLine):
        return [widget._organisation, widget._note, widget._step]
    if isinstance(widget, DeviceList):
        shown = (cell for row in widget._rows for cell in row.cells()[2:])
        return [widget._caption, *(_(heading) for heading in HEADINGS), *shown]
    if isinstance(widget, Countdown):
        return [widget._words.partition("{")[0], widget.warning]
    if isinstance(widget, GroupBoxes):
        return [f"{box.mark.sign} {_(box.mark.word)}" for box in widget._boxes if box.mark.word]
    return []
