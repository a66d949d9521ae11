"""Plain words. The one widget for text, so that markup in a foreign string is never obeyed."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import Reactive
from textual.widgets import Static


class Prose(Static):
    """Text that is drawn as it stands."""

    DEFAULT_CSS = """
    Prose { width: 100%; height: auto; }
    """
    # Nothing that is said here leads anywhere.
    auto_links = Reactive(False)

    def __init__(self, text: str = "", *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(Content(text), id=id, classes=classes, markup=False)
        self._text = text

    def say(self, text: str) -> None:
        """Show other words. Only those that take another number of lines have the whole screen laid out anew."""
        if text != self._text:
            self._text = text
            content = Content(text)
            width, height = self.content_size
            # Without a width it has not been laid out yet.
            as_high = width > 0 and height == _height(content, width)
            self.update(content, layout=not as_high or self.styles.is_auto_width)


def _height(content: Content, width: int) -> int:
    """Lines of this width. Words that fit on one are not wrapped to find that out."""
    if "\n" not in content.plain and content.cell_length <= width:
        return int(bool(content))
    return content.get_height({}, width)
