"""Draws the lines of a screen as SVG that loads nothing and works with any font.

Blocks, rules and the list's mark are shapes. Every word is fitted to the cells that it has on a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple
from xml.sax.saxutils import escape

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from kiosk.look.themes import DARK

TITLE = "recovery-kiosk"

# The size of a cell and of the frame around the screen, in units of the drawing.
_WIDTH, _HEIGHT = 10, 20
_BASELINE, _UNDERLINE = 15, 18
_FONT_SIZE = 16.5
_FONTS = "ui-monospace, 'SF Mono', SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
_FRAME, _BAR = 14, 34
_FRAME_COLOUR, _EDGE_COLOUR, _TITLE_COLOUR = "#05080c", "#2b3947", "#8ea3b8"
_FOREGROUND, _BACKGROUND = str(DARK.foreground), str(DARK.background)

# Left, top, width and height as fractions of a cell. A terminal draws these edge to edge; a font may leave gaps.
_SHAPES = {
    "█": (0, 0, 1, 1),
    "▀": (0, 0, 1, 0.5),
    "▄": (0, 0.5, 1, 0.5),
    "▏": (0, 0, 0.125, 1),
    "▌": (0, 0, 0.5, 1),
    "━": (0, 0.44, 1, 0.12),
    "│": (0.45, 0, 0.1, 1),
    "─": (0, 0.475, 1, 0.05),
}
# The arms of each corner: where the horizontal one begins, and where the vertical one does.
_CORNERS = {"┌": (0.45, 0.475), "┐": (0, 0.475), "└": (0.45, 0), "┘": (0, 0)}
_MARK = "▶"
_LINE = "\n"


class _Run(NamedTuple):
    """Adjacent characters that are drawn as one."""

    column: int
    cells: int
    text: str

    @property
    def box(self) -> tuple[int, int]:
        """Return left edge and width in units of the drawing."""
        return self.column * _WIDTH, self.cells * _WIDTH


class _Cell(NamedTuple):
    column: int
    character: str
    style: Style


def _cells(segments: Iterable[Segment]) -> Iterator[_Cell]:
    column = 0
    for text, style, _ in segments:
        for character in text:
            yield _Cell(column, character, style or Style())
            column += cell_len(character)


def _run(cells: Iterable[_Cell]) -> _Run:
    whole = list(cells)
    text = "".join(cell.character for cell in whole)
    return _Run(whole[0].column, cell_len(text), text)


def _words(cells: Iterable[_Cell]) -> Iterator[_Run]:
    """Yield words and rows of one shape, without the blanks between them."""

    def kind(cell: _Cell) -> str:
        return cell.character if cell.character in _SHAPES or cell.character in {" ", _MARK, *_CORNERS} else ""

    for found, run in groupby(cells, kind):
        if found != " ":
            yield _run(run)


def _colours(style: Style) -> tuple[str, str]:
    """Return foreground and background."""

    def name(colour: Color | None, default: str) -> str:
        return colour.get_truecolor().hex if colour and not colour.is_default else default

    pair = name(style.color, _FOREGROUND), name(style.bgcolor, _BACKGROUND)
    return (pair[1], pair[0]) if style.reverse else pair


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{colour}"/>'


def _draw_word(word: _Run, top: int, colour: str, style: Style) -> str:
    left, width = word.box
    if shape := _SHAPES.get(word.text[0]):
        x, y, across, down = shape
        # Draw a row of shapes as wide as their cells in one piece.
        length = width if across == 1 else across * _WIDTH
        return _rect(left + x * _WIDTH, top + y * _HEIGHT, length, down * _HEIGHT, colour)
    if word.text[0] in _CORNERS:
        x, y = _CORNERS[word.text[0]]
        level = _rect(left + x * _WIDTH, top + 0.475 * _HEIGHT, 0.55 * _WIDTH, 0.05 * _HEIGHT, colour)
        return level + _rect(left + 0.45 * _WIDTH, top + y * _HEIGHT, 0.1 * _WIDTH, 0.525 * _HEIGHT, colour)
    if word.text[0] == _MARK:
        # Some systems would draw this character as an emoji.
        return f'<path d="M{left + 1} {top + 5}l8 5l-8 5z" fill="{colour}"/>'
    weight = ' font-weight="bold"' if style.bold else ""
    return (
        f'<text x="{left}" y="{top + _BASELINE}" fill="{colour}"{weight}'
        f' textLength="{width}" lengthAdjust="spacingAndGlyphs">{escape(word.text)}</text>'
    )


def _draw_line(line: int, strip: Strip) -> Iterator[str]:
    cells, top = list(_cells(strip)), line * _HEIGHT
    for background, of_background in groupby(cells, lambda cell: _colours(cell.style)[1]):
        left, width = _run(of_background).box
        if background != _BACKGROUND:
            yield _rect(left, top, width, _HEIGHT, background)
    for style, of_style in groupby(cells, lambda cell: cell.style):
        of_one_style = list(of_style)
        colour = _colours(style)[0]
        if style.underline:
            left, width = _run(of_one_style).box
            yield _rect(left, top + _UNDERLINE, width, 1, colour)
        for word in _words(of_one_style):
            yield _draw_word(word, top, colour, style)


def draw(strips: list[Strip], description: str) -> str:
    """Return the lines of a screen as SVG. Boxes end on whole pixels, so that neighbours join without a seam."""
    inner_width, inner_height = strips[0].cell_length * _WIDTH, len(strips) * _HEIGHT
    width, height = inner_width + 2 * _FRAME, inner_height + _BAR + _FRAME
    drawn = [part for line, strip in enumerate(strips) for part in _draw_line(line, strip)]
    boxes = [part for part in drawn if part.startswith("<rect")]
    rest = [part for part in drawn if not part.startswith("<rect")]
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
 font-family="{_FONTS}" font-size="{_FONT_SIZE}">
<title>{escape(TITLE)}</title>
<desc>{escape(description)}</desc>
<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="9" fill="{_FRAME_COLOUR}" stroke="{_EDGE_COLOUR}"/>
<text x="{width / 2:g}" y="22" fill="{_TITLE_COLOUR}" font-size="13.5" text-anchor="middle">{escape(TITLE)}</text>
<g transform="translate({_FRAME} {_BAR})">
<g shape-rendering="crispEdges">
{_rect(0, 0, inner_width, inner_height, _BACKGROUND)}
{_LINE.join(boxes)}
</g>
{_LINE.join(rest)}
</g>
</svg>
"""
