"""Chooses the charset of a terminal, and replaces characters that the terminal cannot draw."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from kiosk.look.glyphs import Charset

AUTO = "auto"
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


def choose(wanted: str, terminal: str) -> Charset:
    """Return the configured charset, or the one that suits a terminal of this name."""
    if wanted != AUTO:
        return Charset(wanted)
    if terminal == "linux":
        return Charset.CONSOLE
    return Charset.ASCII if _ASCII_TERMINAL.fullmatch(terminal) else Charset.HALF_BLOCKS


@cache
def _instead(charset: Charset, character: str) -> str:
    """Return a substitute of the same width."""
    found = _INSTEAD[charset].get(character, character)
    if charset is not Charset.ASCII or found.isascii():
        return found
    bare = unicodedata.normalize("NFKD", character)[:1]
    return bare if bare.isascii() else "?" * cell_len(character)


class Substitutes(LineFilter):
    """Draws every line with characters that the terminal has."""

    def __init__(self, charset: Charset) -> None:
        super().__init__(enabled=charset in _INSTEAD)
        self._charset = charset

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the line with substitutes. A segment without any stays the same object, so that no copy is made."""
        return [
            segment
            if segment.text.isascii()
            else Segment("".join(_instead(self._charset, each) for each in segment.text), segment.style)
            for segment in segments
        ]
