"""Input that is typed unseen: kept in bytes that are zeroed, echoed as stars."""

from __future__ import annotations

from collections.abc import Callable

from kiosk.linear.entry import Entry
from kiosk.linear.keys import BACKSPACE
from kiosk.linear.page import Page
from kiosk.secret import zero


class Hidden:
    """The characters that were typed, in bytes that are zeroed."""

    def __init__(self, most: int, may: Callable[[str], bool], ignored: Callable[[str], bool]) -> None:
        """Hold at most ``most`` characters. ``may`` says which are accepted, ``ignored`` which do not matter."""
        self._typed = bytearray(most)
        self._may = may
        self.ignored = ignored
        self.length = 0
        # Whether the last character was not accepted.
        self.refused = False

    def put(self, character: str) -> bool:
        """Add a character. Returns False if it was not added."""
        self.refused = self.refused or not self._may(character)
        if self.refused or self.length == len(self._typed):
            return False
        self._typed[self.length] = ord(character)
        self.length += 1
        return True

    def erase(self) -> bool:
        """Remove the last character. Returns False if nothing was removed."""
        if self.refused:
            # The refused character came last, and has no star.
            self.refused = False
            return False
        if not self.length:
            return False
        self.length -= 1
        self._typed[self.length] = 0
        return True

    def taken(self) -> bytearray:
        """Return what was typed, and keep nothing of it."""
        typed = self._typed[: self.length]
        self.wipe()
        return typed

    def wipe(self) -> None:
        """Zero what was typed."""
        zero(self._typed)
        self.length = 0
        self.refused = False


class HiddenEntry(Entry):
    """An entry that shows a star for each character."""

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
