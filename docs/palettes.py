"""Which colours real terminals make of what is written to them: a model of each, for pictures and tests."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from kiosk.look.themes import contrast

# Default palettes in the order of SGR 30 to 37 and 90 to 97: drivers/tty/vt/vt.c of Linux 6.18, and xterm 390.
LINUX = (
    *("#000000", "#aa0000", "#00aa00", "#aa5500", "#0000aa", "#aa00aa", "#00aaaa", "#aaaaaa"),
    *("#555555", "#ff5555", "#55ff55", "#ffff55", "#5555ff", "#ff55ff", "#55ffff", "#ffffff"),
)
XTERM = (
    *("#000000", "#cd0000", "#00cd00", "#cdcd00", "#0000ee", "#cd00cd", "#00cdcd", "#e5e5e5"),
    *("#7f7f7f", "#ff0000", "#00ff00", "#ffff00", "#5c5cff", "#ff00ff", "#00ffff", "#ffffff"),
)
# The console counts its colours with blue first, and draws underlined words in cyan.
_VGA = (0, 4, 2, 6, 1, 5, 3, 7)
_UNDERLINED = 3


@dataclass(frozen=True)
class Sgr:
    """What an SGR sequence sets. Colours: 0 to 15, or any as ``#rrggbb``."""

    text: int | str = 7
    behind: int | str = 0
    bold: bool = False
    underlined: bool = False


def written(style: Style | None, colours: ColorSystem) -> Sgr:
    """Return what the sequence sets that is written for a style. Raises ValueError for one that no model knows."""
    # A style keeps the sequence for the terminal that it was first written to; this makes it again.
    codes = [int(code) for code in Strip.render_ansi(style, colours).split(";") if code] if style else []
    sgr = Sgr()
    while codes:
        match codes.pop(0):
            case 1:
                sgr = replace(sgr, bold=True)
            case 4:
                sgr = replace(sgr, underlined=True)
            case code if code // 10 in {3, 9} and code % 10 < 8:
                sgr = replace(sgr, text=code % 10 + (8 if code > 89 else 0))
            case code if code // 10 in {4, 10} and code % 10 < 8:
                sgr = replace(sgr, behind=code % 10 + (8 if code > 99 else 0))
            case (38 | 48) as code if codes[:1] == [2]:
                colour = f"#{bytes(codes[1:4]).hex()}"
                del codes[:4]
                sgr = replace(sgr, text=colour) if code == 38 else replace(sgr, behind=colour)
            case code:
                raise ValueError(f"SGR {code}")
    return sgr


def attribute(sgr: Sgr) -> int:
    """Return what the kernel's console keeps of a character's colours, as in ``/dev/vcsa``.

    It has eight backgrounds; bold and bright are one bit, of the text only.
    """
    assert isinstance(sgr.text, int)
    assert isinstance(sgr.behind, int)
    low = _UNDERLINED if sgr.underlined else _VGA[sgr.text % 8]
    return _VGA[sgr.behind % 8] << 4 | (8 if sgr.bold or sgr.text > 7 else 0) | low


def console_colours(kept: int) -> tuple[int, int]:
    """Return which colours of its palette the console draws text and background in."""
    text, behind = ((part & 8) | _VGA.index(part & 7) for part in (kept & 15, kept >> 4))
    return text, behind


def on_console(sgr: Sgr) -> float:
    """Return the contrast on the kernel's console."""
    text, behind = console_colours(attribute(sgr))
    return contrast(LINUX[text], LINUX[behind])


def console_strips(strips: list[Strip]) -> list[Strip]:
    """Return the lines of a screen in the console's colours. It has no bold letters and draws no lines under words."""

    def style(drawn: Style | None) -> Style:
        text, behind = console_colours(attribute(written(drawn, ColorSystem.STANDARD)))
        return Style(color=LINUX[text], bgcolor=LINUX[behind])

    return [Strip([Segment(text, style(drawn)) for text, drawn, _ in strip]) for strip in strips]


def on_xterm(sgr: Sgr) -> float:
    """Return the contrast in xterm, where bold makes dim colours bright or does not: whichever is less."""
    behind = _in_xterm(sgr.behind)
    texts = {_in_xterm(sgr.text)}
    if sgr.bold and isinstance(sgr.text, int) and sgr.text < 8:
        texts.add(_in_xterm(sgr.text + 8))
    return min(contrast(text, behind) for text in texts)


def _in_xterm(colour: int | str) -> str:
    return XTERM[colour] if isinstance(colour, int) else colour
