"""Names and values in two columns, such as whom to ask and what to quote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.cells import cell_len
from textual.containers import Horizontal
from textual.widget import Widget

from kiosk.widgets.prose import Prose

_NAME_CELLS = 12
_GAP = 2


class Facts(Widget):
    """Values that are too long go on under themselves, not under their names."""

    DEFAULT_CSS = """
    Facts { height: auto; layout: vertical; }
    Facts Horizontal { height: auto; }
    Facts .facts--value { width: 1fr; }
    """

    def __init__(self, facts: Mapping[str, str]) -> None:
        """Names, and what stands beside them."""
        super().__init__()
        self._facts = facts

    def compose(self) -> Iterable[Widget]:
        # As wide as the longest name, in any language; short ones stand alike on all screens.
        width = max(_NAME_CELLS, *(cell_len(name) + _GAP for name in self._facts))
        for name, value in self._facts.items():
            with Horizontal():
                label = Prose(name, classes="facts--name")
                label.styles.width = width
                yield label
                yield Prose(value, classes="facts--value")
