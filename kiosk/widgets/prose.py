"""Plain text. The only widget for text, so that markup in a foreign string is never interpreted."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import Reactive
from textual.widgets import Static


class Prose(Static):
    """Text that is drawn literally."""

    DEFAULT_CSS = """
    Prose { width: 100%; height: auto; }
    """
    # Text must not become a link.
    auto_links = Reactive(False)

    def __init__(self, text: str = "", *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(Content(text), id=id, classes=classes, markup=False)
        self._text = text

    def say(self, text: str) -> None:
        """Show another text. Lays the screen out again only if the number of lines changes."""
        if text != self._text:
            self._text = text
            content = Content(text)
            width, lines = self.content_size
            # Without a width there is no layout yet.
            as_high = width > 0 and lines == _height(content, width)
            self.update(content, layout=not as_high or self.styles.is_auto_width)


def height(text: str, width: int) -> int:
    """Return how many lines a text takes at this width."""
    return _height(Content(text), width)


def _height(content: Content, width: int) -> int:
    """Return the height of a text at this width, without wrapping what fits on one line."""
    if "\n" not in content.plain and content.cell_length <= width:
        return int(bool(content))
    return content.get_height({}, width)
