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
        """Show other words. Only those that take another number of lines have the whole screen laid out anew."""
        if text != self._text:
            self._text = text
            width, height = self.content_size
            # Without a width it has not been laid out yet.
            as_high = width > 0 and height == _height(text, width)
            self.update(Content(text), layout=not as_high or self.styles.is_auto_width)


def _height(text: str, width: int) -> int:
    return Content(text).get_height({}, width) if text else 0
