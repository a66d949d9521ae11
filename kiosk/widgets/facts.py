"""Names and values in two columns, such as whom to ask and what to quote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from textual.containers import Horizontal
from textual.widget import Widget

from kiosk.widgets.prose import Prose


class Facts(Widget):
    """Values that are too long go on under themselves, not under their names."""

    DEFAULT_CSS = """
    Facts { height: auto; layout: vertical; }
    Facts Horizontal { height: auto; }
    Facts .facts--name { width: 12; }
    Facts .facts--value { width: 1fr; }
    """

    def __init__(self, facts: Mapping[str, str]) -> None:
        """Names, and what stands beside them."""
        super().__init__()
        self._facts = facts

    def compose(self) -> Iterable[Widget]:
        for name, value in self._facts.items():
            with Horizontal():
                yield Prose(name, classes="facts--name")
                yield Prose(value, classes="facts--value")
