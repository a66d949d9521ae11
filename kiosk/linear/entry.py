"""A line of input: echoed at the cursor, corrected with Backspace, never repainted."""

from __future__ import annotations

from kiosk.linear.keys import BACKSPACE
from kiosk.linear.page import Page
from kiosk.linear.speech import seconds
from kiosk.text import cell_width


class Entry:
    """A prompt and what is typed after it; continues in the next row where a row is full."""

    def __init__(self, page: Page, prompt: str, text: str, limit: int) -> None:
        """``text`` is there from the start; ``limit`` is the most characters that it can become."""
        self._page = page
        self._prompt = prompt
        self.text = text[:limit]
        self._limit = limit
        self._column = 0
        self._full = False

    @property
    def height(self) -> int:
        """Rows that the entry needs if it is filled. (Wide characters need more, which turns the page.)"""
        return 1 + (cell_width(self._prompt) + self._limit) // self._page.columns

    def write(self) -> None:
        """Write prompt and text as they are now, for example after something else was said."""
        if self._page.room < self.height:
            self._page.turn()
        whole, self._column = self._prompt + self.text, 0
        self._page.speech.add(seconds(whole))
        if cell_width(whole) <= self._page.columns:
            self._page.write(whole)
            self._column = cell_width(whole)
            return
        for character in whole:
            self._echo(character)

    def press(self, key: str) -> None:
        """Handle a printable character or Backspace."""
        if key == BACKSPACE:
            self._erase()
        elif len(self.text) < self._limit:
            self.text += key
            self._echo(key)
        else:
            self.refuse()

    def refuse(self) -> None:
        """Beep: nothing more fits, or can be accepted."""
        if not self._full:
            # Once: a flood of keys must not cause a flood of output.
            self._full = True
            self._page.write("\a")

    def _echo(self, character: str) -> None:
        width = cell_width(character)
        if self._column + width > self._page.columns:
            self._page.newline()
            self._column = 0
        self._page.write(character)
        self._column += width

    def _erase(self) -> None:
        if not self.text:
            return
        self._full = False
        gone = self.text[-1]
        self.text = self.text[:-1]
        width = cell_width(gone)
        if width and width <= self._column:
            self._page.write("\b \b" * width)
            self._column -= width
        else:
            # The character is on the previous row or is a combining mark: rewrite the line below.
            self._page.newline()
            self.write()
