"""Input that is typed unseen: kept in bytes that are zeroed, echoed as stars."""

from __future__ import annotations

from collections.abc import Callable

from kiosk.linear.entry import Entry
from kiosk.linear.keys import BACKSPACE
from kiosk.linear.page import Page
from kiosk.secret import zero


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
        zero(self._typed)
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
