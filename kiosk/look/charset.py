"""Chooses the charset of a terminal, and replaces characters that the terminal cannot draw."""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from kiosk.look.drawable import AUTO, Drawable
from kiosk.look.glyphs import Charset

# Terminals from before Unicode, and those that are described like one.
_ASCII_TERMINAL = re.compile(r"(vt[1-5][0-9]{2}|ansi|dumb)\b.*")

# Debian's console fonts draw heavy and double lines like single ones, and have no ellipsis.
_CONSOLE = {"━": "■", "▏": "│", "…": "~", "✓": "√"}
_LINES = {**_CONSOLE, "▌": "│", "▐": "│", "▀": "■", "▄": "■", "✓": "+"}
_ASCII = {
    **dict.fromkeys("─–—‐‑", "-"),
    **dict.fromkeys("│▏▌▐", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼", "+"),
    **dict.fromkeys("═━", "="),
    **dict.fromkeys("█■▀▄", "#"),
    **dict.fromkeys("’‘", "'"),
    **dict.fromkeys("“”„«»", '"'),
    "←": "<",
    "→": ">",
    "↑": "^",
    "↓": "v",
    "▶": ">",
    "·": ".",
    "●": "*",
    "…": "~",
    "✓": "+",
    "×": "x",
    "\u00a0": " ",
    "ß": "s",
    "ø": "o",
    "Ø": "O",
    "æ": "a",
    "Æ": "A",
    "ł": "l",
    "Ł": "L",
}
_INSTEAD = {Charset.CONSOLE: _CONSOLE, Charset.LINES: _LINES, Charset.ASCII: _ASCII}


def choose(wanted: str, terminal: str, drawable: Drawable) -> Charset:
    """Return the configured charset, or the one that the terminal can draw. Its name decides what it does not say."""
    if wanted != AUTO:
        return Charset(wanted)
    utf8 = not _ASCII_TERMINAL.fullmatch(terminal) if drawable.utf8 is None else drawable.utf8
    if not utf8:
        return Charset.ASCII
    if drawable.font is not None:
        if drawable.font_has_half_blocks:
            return Charset.CONSOLE
        return Charset.LINES if drawable.font_has_lines else Charset.ASCII
    # A console at the other end of a connection tells nothing of its font.
    return Charset.LINES if terminal == "linux" else Charset.HALF_BLOCKS


class Substitutes(LineFilter):
    """Draws every line with characters that the terminal has."""

    def __init__(self, charset: Charset, drawable: Drawable) -> None:
        super().__init__(enabled=charset in _INSTEAD)
        self._instead = _INSTEAD.get(charset, {})
        font = {} if charset is Charset.ASCII else drawable.font
        # None if everything can be drawn that is not in the table.
        self._has = None if font is None else frozenset(font)
        # Of single characters, so nothing that can be read stays here.
        self._drawn: dict[str, str] = {}

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the line with substitutes. A segment without any stays the same object, so that no copy is made."""
        return [
            segment if segment.text.isascii() else Segment("".join(map(self._draw, segment.text)), segment.style)
            for segment in segments
        ]

    def _draw(self, character: str) -> str:
        """Return the character or a substitute of the same width."""
        if character not in self._drawn:
            self._drawn[character] = self._substitute(character)
        return self._drawn[character]

    def _substitute(self, character: str) -> str:
        found = self._instead.get(character, character)
        if found.isascii() or self._has is None or found in self._has:
            return found
        bare = _ASCII.get(character) or unicodedata.normalize("NFKD", character)[:1]
        return bare if bare.isascii() else "?" * cell_len(character)
