"""A line that is being typed: echoed where the cursor stands, mended with Backspace, never repainted."""

from __future__ import annotations

from collections.abc import Callable

from kiosk.linear.keys import BACKSPACE
from kiosk.linear.page import Page
from kiosk.text import cell_width


class Entry:
    """Begins with a prompt. What is longer than a row goes on in the next one."""

    def __init__(self, page: Page, prompt: str, text: str, limit: int) -> None:
        """``text`` is there from the start; ``limit`` is how many characters it can become."""
        self._page = page
        self._prompt = prompt
        self.text = text[:limit]
        self._limit = limit
        self._column = 0
        self._full = False

    @property
    def height(self) -> int:
        """Rows that it may come to take, if all of it is typed. (Wide characters take more: that turns the page.)"""
        return 1 + (cell_width(self._prompt) + self._limit) // self._page.columns

    def write(self) -> None:
        """Prompt and text, as they are now; also after something else was said in between."""
        if self._page.room < self.height:
            self._page.turn()
        whole, self._column = self._prompt + self.text, 0
        if cell_width(whole) <= self._page.columns:
            self._page.write(whole)
            self._column = cell_width(whole)
            return
        for character in whole:
            self._echo(character)

    def press(self, key: str) -> None:
        """A printable character or Backspace."""
        if key == BACKSPACE:
            self._erase()
        elif len(self.text) < self._limit:
            self.text += key
            self._echo(key)
        else:
            self.refuse()

    def refuse(self) -> None:
        """Nothing more fits, or can be taken."""
        if not self._full:
            # Once: a flood must not make a flood.
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
            # It stands in the row above, or is a mark on the character before: said anew rather than painted over.
            self._page.newline()
            self.write()


class Hidden:
    """What is typed unseen, in bytes that are zeroed."""

    def __init__(self, most: int, may: Callable[[str], bool], ignored: Callable[[str], bool]) -> None:
        """At most so many characters; ``may`` tells which can be taken, ``ignored`` which do not matter."""
        self._typed = bytearray(most)
        self._may = may
        self.ignored = ignored
        self.length = 0
        # Whether something was typed that cannot be taken.
        self.refused = False

    def put(self, character: str) -> bool:
        """Take a character; False if it is not one more."""
        self.refused = self.refused or not self._may(character)
        if self.refused or self.length == len(self._typed):
            return False
        self._typed[self.length] = ord(character)
        self.length += 1
        return True

    def erase(self) -> bool:
        """Take the last one back; False if there is none that was taken."""
        if self.refused:
            # What cannot be taken came last, and no star stands for it.
            self.refused = False
            return False
        if not self.length:
            return False
        self.length -= 1
        self._typed[self.length] = 0
        return True

    def taken(self) -> bytearray:
        """What was typed; nothing of it is kept here."""
        typed = self._typed[: self.length]
        self.wipe()
        return typed

    def wipe(self) -> None:
        """Zero it."""
        self._typed[:] = bytes(len(self._typed))
        self.length = 0
        self.refused = False


class HiddenEntry(Entry):
    """Shows a star for each character."""

    def __init__(self, page: Page, prompt: str, hidden: Hidden) -> None:
        super().__init__(page, prompt, "", 0)
        self._hidden = hidden

    def press(self, key: str) -> None:
        if key == BACKSPACE:
            self._full = False
            if self._hidden.erase():
                self.text = "*" * (self._hidden.length + 1)
                self._erase()
        elif self._hidden.ignored(key):
            return
        elif self._hidden.put(key):
            self.text += "*"
            self._echo("*")
        else:
            self.refuse()
