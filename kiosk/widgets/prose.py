"""Plain words. The one widget for text, so that markup in a foreign string is never obeyed."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class Prose(Static):
    """Text that is drawn as it stands."""

    DEFAULT_CSS = """
    Prose { width: 100%; height: auto; }
    """

    def __init__(self, text: str = "", *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(Content(text), id=id, classes=classes, markup=False)
        self._text = text

    def say(self, text: str) -> None:
        """Show other words. The same again costs nothing: an update lays out the whole screen anew."""
        if text != self._text:
            self._text = text
            self.update(Content(text))
