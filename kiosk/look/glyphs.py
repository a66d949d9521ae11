"""Letters and digits in large type, designed to be hard to confuse. Data and lookups; nothing here draws.

The zero is narrow and has a stroke through it, the O is wide; D is pointed, Q rests on its tail. The one has a flag
and a foot, the I two serifs. The eight is an hourglass, B has a straight back; Z has a bar, 2 has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache


class Charset(Enum):
    """Which characters a terminal can draw."""

    HALF_BLOCKS = "blocks"
    # The kernel's own console font, and Uni2-VGA28x16 of Debian: half blocks, but all lines look alike.
    CONSOLE = "console"
    # Debian's other console fonts: the full block and single lines, but no half blocks.
    LINES = "lines"
    ASCII = "ascii"

    @property
    def has_half_blocks(self) -> bool:
        """Whether it has half blocks, which a QR code needs."""
        return self in {Charset.HALF_BLOCKS, Charset.CONSOLE}


@dataclass(frozen=True)
class Typeface:
    """Glyphs for all characters, each ``width`` cells wide and ``rows`` high."""

    width: int
    rows: int
    glyphs: dict[str, tuple[str, ...]]
    hidden: tuple[str, ...]
    unknown: tuple[str, ...]
    # Drawn below digits only.
    digit_bar: str
    # In place of a character in the plain line.
    dot: str

    def glyph(self, character: str) -> tuple[str, ...]:
        """Return the rows of one character; a filled box for a character without a glyph."""
        return self.glyphs.get(character.upper(), self.unknown)


_SMALL_DOTS = """
0 .##.. #..#. #.##. #.##. ##.#. ##.#. .##..
1 ...#. ..##. .#.#. ...#. ...#. ...#. ..###
2 .###. #...# ....# ...#. ..#.. .#... #####
3 ####. ....# ....# .###. ....# ....# ####.
4 ...#. ..##. .#.#. #..#. ##### ...#. ...#.
5 ##### #.... ####. ....# ....# #...# .###.
6 ..##. .#... #.... ####. #...# #...# .###.
7 ##### ....# ....# ...#. ...#. ..#.. ..#..
8 .###. #...# .#.#. ..#.. .#.#. #...# .###.
9 .###. #...# #...# .#### ....# ...#. .##..
A ..#.. .#.#. #...# #...# ##### #...# #...#
B ####. #...# #...# ####. #...# #...# ####.
C ..### .#... #.... #.... #.... .#... ..###
D ###.. #.##. #..## #...# #..## #.##. ###..
E ##### #.... #.... ####. #.... #.... #####
F ##### #.... #.... ###.. #.... #.... #....
G .#### #.... #.... #.... #.### #...# .####
H #...# #...# #...# ##### #...# #...# #...#
I ##### ..#.. ..#.. ..#.. ..#.. ..#.. #####
J ..### ...#. ...#. ...#. ...#. #..#. .##..
K #...# #..#. #.#.. ##... #.#.. #..#. #...#
L #.... #.... #.... #.... #.... #.... #####
M #...# ##.## #.#.# #.#.# #...# #...# #...#
N #...# ##..# ##..# #.#.# #..## #..## #...#
O .###. #...# #...# #...# #...# #...# .###.
P ####. #...# #...# #...# ####. #.... #....
Q .###. #...# #...# #...# #.#.# .###. ...##
R ####. #...# #...# ####. #.#.. #..#. #...#
S .###. #...# #.... .###. ....# #...# .###.
T ##### ..#.. ..#.. ..#.. ..#.. ..#.. ..#..
U #...# #...# #...# #...# #...# #...# .###.
V #...# #...# #...# .#.#. .#.#. ..#.. ..#..
W #...# #...# #...# #.#.# #.#.# ##.## #...#
X #...# #...# .#.#. ..#.. .#.#. #...# #...#
Y #...# #...# .#.#. ..#.. ..#.. ..#.. ..#..
Z ##### ....# ...#. .###. .#... #.... #####
- ..... ..... ..... .###. ..... ..... .....
"""

_LARGE_DOTS = """
0        1        2        3        4        5        6        7        8
.#####.. ....##.. .######. #######. .....##. ######## ....###. ######## .######.
##...##. ...###.. ##....## ......## ....###. ######## ..###... ######## ##....##
##..###. ..####.. ##....## ......## ...####. ##...... .##..... ......## ##....##
##..###. .##.##.. ......## ......## ..##.##. ##...... .##..... .....##. .##..##.
##.####. ....##.. .....##. ..#####. .##..##. #######. ##.####. .....##. ..####..
##.#.##. ....##.. ....##.. ..#####. ##...##. ......## ###...## ....##.. ...##...
####.##. ....##.. ...##... ......## ######## ......## ##....## ....##.. ..####..
###..##. ....##.. ..##.... ......## ######## ......## ##....## ...##... .##..##.
###..##. ....##.. .##..... ......## .....##. ......## ##....## ...##... ##....##
##...##. ..###### ######## ......## .....##. ##....## .##..##. ..##.... ##....##
.#####.. ..###### ######## #######. .....##. .######. ..####.. ..##.... .######.
9        A        B        C        D        E        F        G        H
.######. ...##... #######. ...##### #####... ######## ######## .####### ##....##
##....## ..####.. ##....## .###.... ##..##.. ######## ######## ##...... ##....##
##....## ..#..#.. ##....## ##...... ##...##. ##...... ##...... ##...... ##....##
##....## .##..##. ##....## ##...... ##...##. ##...... ##...... ##...... ##....##
##....## .##..##. #######. ##...... ##....## ######.. ##...... ##...... ########
##...### ##....## #######. ##...... ##....## ######.. ######.. ##..#### ########
.####.## ##....## ##....## ##...... ##....## ##...... ######.. ##..#### ##....##
......## ######## ##....## ##...... ##...##. ##...... ##...... ##....## ##....##
.....##. ######## ##....## ##...... ##...##. ##...... ##...... ##....## ##....##
....##.. ##....## ##....## .###.... ##..##.. ######## ##...... ##....## ##....##
.####... ##....## #######. ...##### #####... ######## ##...... .####### ##....##
I        J        K        L        M        N        O        P        Q
.######. ...##### ##....## ##...... ##....## ##....## ..####.. #######. .######.
.######. .....##. ##...##. ##...... ###..### ###...## .##..##. ##....## ##....##
...##... .....##. ##..##.. ##...... ######## ###...## ##....## ##....## ##....##
...##... .....##. ##.##... ##...... ##.##.## ####..## ##....## ##....## ##....##
...##... .....##. ####.... ##...... ##.##.## ##.#..## ##....## ##....## ##....##
...##... .....##. ####.... ##...... ##....## ##.##.## ##....## ##....## ##....##
...##... .....##. ##.##... ##...... ##....## ##..#.## ##....## #######. ##.##.##
...##... ##...##. ##..##.. ##...... ##....## ##..#### ##....## ##...... .######.
...##... ##...##. ##...##. ##...... ##....## ##...### ##....## ##...... ....##..
.######. ##...##. ##....## ######## ##....## ##...### .##..##. ##...... .....###
.######. .#####.. ##....## ######## ##....## ##....## ..####.. ##...... ......##
R        S        T        U        V        W        X        Y        Z
#######. .######. ######## ##....## ##....## ##....## ##....## ##....## ########
##....## ##....## ######## ##....## ##....## ##....## ##....## ##....## ########
##....## ##...... ...##... ##....## ##....## ##....## .##..##. .##..##. .....##.
##....## ###..... ...##... ##....## .##..##. ##....## .##..##. .##..##. ....##..
#######. .####... ...##... ##....## .##..##. ##....## ..####.. ..####.. .######.
#######. ..####.. ...##... ##....## .##..##. ##....## ...##... ...##... .######.
##.##... ...####. ...##... ##....## .##..##. ##.##.## ..####.. ...##... ..##....
##..##.. .....### ...##... ##....## ..####.. ##.##.## .##..##. ...##... .##.....
##...##. ......## ...##... ##....## ..####.. ######## .##..##. ...##... ##......
##....## ##....## ...##... ##....## ...##... ###..### ##....## ...##... ########
##....## .######. ...##... .######. ...##... ##....## ##....## ...##... ########
-
........
........
........
........
........
.######.
........
........
........
........
........
"""

# Joints are marked by a plus, so that box lines can be put in place of strokes.
_STROKES = r"""
0 ./-\. .|/|. .|/|. .\-/.
1 ./|.. ..|.. ..|.. .-+-.
2 /--\. .../. ./-.. +---.
3 ----\ .---+ ....| ----/
4 ../|. ./.|. +--+- ...|.
5 +---- +---\ ....| \---/
6 ./--. +---\ |...| \---/
7 ----/ .../. ../.. ./...
8 ./-\. .\-/. /...\ \---/
9 /---\ \---+ ....| .--/.
A ./-\. /...\ +---+ |...|
B +--\. +--+\ |...| +---/
C ./--- /.... \.... .\---
D +--\. |...\ |.../ +--/.
E +---- +---. |.... +----
F +---- |.... +--.. |....
G /---- |.... |.--+ \---+
H |...| +---+ |...| |...|
I --+-- ..|.. ..|.. --+--
J ..-+- ...|. ...|. \--/.
K |../. |./.. |.\.. |..\.
L |.... |.... |.... +----
M |\./| |.|.| |...| |...|
N |\..| |.\.| |..\| |...|
O /---\ |...| |...| \---/
P +---\ |...| +---/ |....
Q /---\ |...| \---/ ...\-
R +---\ +---/ |.\.. |..\.
S /---. \--\. ....\ .---/
T --+-- ..|.. ..|.. ..|..
U |...| |...| |...| \---/
V |...| \.../ .\./. ..|..
W |...| |...| |.|.| |/.\|
X \.../ .\./. ./.\. /...\
Y \.../ .\./. ..|.. ..|..
Z ----/ .-/-. ./... /----
- ..... ..... .---. .....
"""

_HALVES = {"..": " ", "#.": "▀", ".#": "▄", "##": "█"}
_STRETCH = (2, 1, 2, 1, 2)
# Which neighbours a joint has: left, right, up, down.
_JOINTS = {
    "1111": "┼", "1110": "┴", "1101": "┬", "1100": "─", "1011": "┤", "1010": "┘", "1001": "┐", "1000": "─",
    "0111": "├", "0110": "└", "0101": "┌", "0100": "─", "0011": "│", "0010": "│", "0001": "│", "0000": "─",
}  # fmt: skip


def _one_a_line(drawing: str) -> dict[str, list[str]]:
    return {line[0]: line[2:].split() for line in drawing.strip().splitlines()}


def _side_by_side(drawing: str, height: int) -> dict[str, list[str]]:
    lines = drawing.strip().splitlines()
    found: dict[str, list[str]] = {}
    for start in range(0, len(lines), height + 1):
        names = lines[start].split()
        columns = zip(*(line.split() for line in lines[start + 1 : start + 1 + height]), strict=True)
        found |= {name: list(column) for name, column in zip(names, columns, strict=True)}
    return found


def _halves(dots: list[str]) -> tuple[str, ...]:
    """Two rows of dots in one row of half blocks."""
    padded = [*dots, "." * len(dots[0])] if len(dots) % 2 else dots
    return tuple(
        "".join(_HALVES[upper + lower] for upper, lower in zip(padded[row], padded[row + 1], strict=True))
        for row in range(0, len(padded), 2)
    )


def _filled(dots: list[str], mark: str) -> tuple[str, ...]:
    """Return one cell for each dot, with wide uprights: cells are narrow."""
    return tuple(
        "".join((mark if dot == "#" else " ") * cells for dot, cells in zip(row, _STRETCH, strict=True)) for row in dots
    )


def _box_lines(strokes: list[str]) -> tuple[str, ...]:
    def at(row: int, column: int) -> str:
        inside = 0 <= row < len(strokes) and 0 <= column < len(strokes[row])
        return strokes[row][column] if inside else "."

    def drawn(row: int, column: int) -> str:
        mark = at(row, column)
        if mark != "+":
            return {"-": "─", "|": "│", ".": " "}.get(mark, mark)
        sides = [at(row, column - 1) in "-+", at(row, column + 1) in "-+"]
        ends = [at(row - 1, column) in "|+/\\", at(row + 1, column) in "|+/\\"]
        return _JOINTS["".join(str(int(joined)) for joined in (*sides, *ends))]

    return tuple("".join(drawn(row, column) for column in range(len(strokes[row]))) for row in range(len(strokes)))


def _plain(strokes: list[str]) -> tuple[str, ...]:
    return tuple(row.replace(".", " ") for row in strokes)


def _centred(rows: int, width: int, mark: str) -> tuple[str, ...]:
    return tuple((mark if row == rows // 2 else "").center(width) for row in range(rows))


def _typeface(glyphs: dict[str, tuple[str, ...]], *, full: str, spot: str, bar: str, dot: str) -> Typeface:
    rows, width = len(glyphs["0"]), len(glyphs["0"][0])
    return Typeface(
        width,
        rows,
        glyphs,
        hidden=_centred(rows, width, spot),
        unknown=(full * width,) * rows,
        digit_bar=(bar * (width // 2 + width % 2)).center(width),
        dot=dot,
    )


@cache
def typeface_for(charset: Charset, *, large: bool) -> Typeface:
    """Return the typeface for a charset. Small: 5 by 4 cells; large: 8 by 6 or 7."""
    small = _one_a_line(_SMALL_DOTS)
    if charset.has_half_blocks:
        dots = _side_by_side(_LARGE_DOTS, 11) if large else small
        glyphs = {name: _halves(rows) for name, rows in dots.items()}
        return _typeface(glyphs, full="█", spot="▄▄" if large else "▄", bar="▀", dot="·")
    ascii_only = charset is Charset.ASCII
    full, bar, dot = ("#", "=", "*") if ascii_only else ("█", "═", "·")
    if large:
        glyphs = {name: _filled(rows, full) for name, rows in small.items()}
    else:
        form = _plain if ascii_only else _box_lines
        glyphs = {name: form(rows) for name, rows in _one_a_line(_STROKES).items()}
    return _typeface(glyphs, full=full, spot=dot, bar=bar, dot=dot)
