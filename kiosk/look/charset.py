"""What a terminal can draw, and what stands for the rest: nobody sees the box that a font has in its place."""

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
# Made before Unicode, or by the description of such a one.
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
    """The configured one, or the one that suits a terminal of this name."""
    if wanted != AUTO:
        return Charset(wanted)
    if terminal == "linux":
        return Charset.CONSOLE
    return Charset.ASCII if _ASCII_TERMINAL.fullmatch(terminal) else Charset.HALF_BLOCKS


@cache
def _instead(charset: Charset, character: str) -> str:
    """As wide as the character that it stands for."""
    found = _INSTEAD[charset].get(character, character)
    if charset is not Charset.ASCII or found.isascii():
        return found
    bare = unicodedata.normalize("NFKD", character)[:1]
    return bare if bare.isascii() else "?" * cell_len(character)


class Substitutes(LineFilter):
    """Draws every line with what the terminal has."""

    def __init__(self, charset: Charset) -> None:
        super().__init__(enabled=charset in _INSTEAD)
        self._charset = charset

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same line; a piece that needs no substitute stays the same object, so that no copy of it is made."""
        return [
            segment
            if segment.text.isascii()
            else Segment("".join(_instead(self._charset, each) for each in segment.text), segment.style)
            for segment in segments
        ]
