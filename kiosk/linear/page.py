"""The page of linear mode: lines from the top of the screen down, and never more than the screen has.

A line that scrolls off the top goes into the history of the terminal or of a multiplexer, where nothing can erase it.
So a full page is erased, and the next line is the first one again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from kiosk.linear.speech import Speech, seconds
from kiosk.text import cell_width

# Focus reports on; the alternate screen where there is one; no colours, a visible cursor. No automatic wrapping: a
# character that a terminal draws wider than it was counted is cut off at the margin and scrolls nothing.
BEGIN: Final = "\x1b[?1004h\x1b[?1049h\x1b[m\x1b[?25h\x1b[?7l"
_HOME = "\x1b[H"
_ERASE_LINE = "\x1b[2K"
# Origin mode, margins and attributes off: the lines that follow are those of the screen.
_WHOLE_SCREEN = "\x1b[?6l\x1b[r\x1b[m"
_ERASE_SCREEN = "\x1b[2J"
_NEWLINE = "\r\n"
_SECRET_BYTES = 4096

# The parts of one word, each a constant.
Word = Sequence[str]


class Page:
    """Writes lines and counts the rows that they use."""

    def __init__(self, output: int, size: Callable[[], tuple[int, int]], speech: Speech) -> None:
        """``output`` is the terminal's descriptor; ``size`` returns its columns and rows."""
        self._output = output
        self._size = size
        self.speech = speech
        self._used = 0
        # Whether the page is empty.
        self.fresh = True
        # Whether a key, or a part of one, may be on the page.
        self.holds_secret = False

    @property
    def columns(self) -> int:
        """Usable columns. The last one stays free: terminals differ in what follows a character there."""
        return max(2, self._size()[0] - 1)

    @property
    def rows(self) -> int:
        """Rows of a whole page. The cursor waits on the row below them."""
        return max(1, self._size()[1] - 1)

    @property
    def room(self) -> int:
        """Rows that are left."""
        return self.rows - self._used

    def height(self, text: str) -> int:
        """Return how many rows a text needs."""
        return len(list(self._wrapped(text)))

    def begin(self) -> None:
        """Set the terminal up and erase it."""
        self.write(BEGIN)
        self._erase()

    def turn(self) -> None:
        """Start an empty page."""
        if self.holds_secret:
            self.wipe()
        else:
            self._erase()

    def wipe(self) -> None:
        """Erase a secret, in whatever state the terminal is.

        Nothing is printed over it, as on the full screen: screen readers say what is printed.
        """
        self.write(_WHOLE_SCREEN)
        self._erase()
        self.write(_ERASE_SCREEN)
        self.fresh, self.holds_secret = True, False

    def _erase(self) -> None:
        # Line by line: GNU screen and others move a screen that is erased at once into the history.
        lines = [_ERASE_LINE] * (self.rows + 1)
        self.write(_HOME + _NEWLINE.join(lines) + _HOME)
        self._used, self.fresh = 0, True

    def resized(self) -> None:
        """Start an empty page with the next line: nobody knows what the terminal did with the old ones."""
        if self.holds_secret:
            self.wipe()
        self._used = self.rows

    def line(self, text: str = "") -> None:
        """Write a text, wrapped between words."""
        self.speech.add(seconds(text))
        for row in self._wrapped(text):
            if self.room < 1:
                self.turn()
            self.write(row + _NEWLINE)
            self._used += 1

    def newline(self) -> None:
        """End the row of the cursor."""
        if self.room < 1:
            self.turn()
        else:
            self.write(_NEWLINE)
            self._used += 1

    def secret(self, lines: Iterable[Iterable[Word]]) -> None:
        """Write lines without keeping a copy, not even as one string: they go through a buffer that is zeroed.

        The caller makes sure that there is room for them, and notes how long they take to be spoken.
        """
        # Already loaded, see kiosk/process/preload.py; imported at the top it would delay the first page.
        from kiosk.secret import zero

        self.holds_secret = True
        buffer = bytearray(_SECRET_BYTES)
        try:
            for words in lines:
                length = self._lay(buffer, words)
                self._send(memoryview(buffer)[:length])
        finally:
            zero(buffer)

    def secret_height(self, lines: Iterable[Iterable[Word]]) -> int:
        """Return how many rows these lines need."""
        return sum(len(list(self._breaks(words))) + 1 for words in lines)

    def write(self, text: str) -> None:
        """Send text unchanged. Blocks while the terminal does not read, until the watchdog ends the process."""
        self._send(memoryview(text.encode("utf-8", "replace")))

    def _send(self, content: memoryview) -> None:
        self.fresh = False
        while content:
            content = content[os.write(self._output, content) :]

    def _lay(self, buffer: bytearray, words: Iterable[Word]) -> int:
        """Put the words of a line into the buffer; returns the number of bytes."""
        end = column = 0

        def put(part: str) -> None:
            nonlocal end
            for byte in part.encode():
                buffer[end] = byte
                end += 1

        for word in words:
            width = sum(map(cell_width, word))
            if column and column + 1 + width > self.columns:
                put(_NEWLINE)
                self._used += 1
                column = 0
            elif column:
                put(" ")
                column += 1
            for part in word:
                put(part)
            column += width
        put(_NEWLINE)
        self._used += 1
        return end

    def _breaks(self, words: Iterable[Word]) -> Iterator[int]:
        column = 0
        for place, word in enumerate(words):
            width = sum(map(cell_width, word))
            if column and column + 1 + width > self.columns:
                yield place
                column = width
            else:
                column += width + (1 if column else 0)

    def _wrapped(self, text: str) -> Iterator[str]:
        for paragraph in text.split("\n"):
            row = ""
            for word in paragraph.split():
                if row and cell_width(row) + 1 + cell_width(word) > self.columns:
                    yield row
                    row = ""
                row = f"{row} {word}" if row else word
                while cell_width(row) > self.columns:
                    head = self._head(row)
                    yield head
                    row = row[len(head) :]
            yield row

    def _head(self, text: str) -> str:
        """Return as much of the text as fits on a row."""
        end = 1
        while end < len(text) and cell_width(text[: end + 1]) <= self.columns:
            end += 1
        return text[:end]
