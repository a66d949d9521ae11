"""What stands for what a terminal cannot draw, and which terminal that is."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

from kiosk.look import charset
from kiosk.look.glyphs import Charset

EVERYTHING = "─│┌┐└┘├┤┬┴┼═━█■▀▄▏▌▶←→↑↓·●…✓×’‘“”„–—åäöÅÄÖæøßłęçñ é\u00a0 倉 ع"


def drawn(text: str, wanted: Charset) -> str:
    return "".join(piece.text for piece in charset.Substitutes(wanted).apply([Segment(text)], Color(0, 0, 0)))


@pytest.mark.parametrize(
    ("wanted", "terminal", "chosen"),
    [
        ("auto", "xterm-256color", Charset.HALF_BLOCKS),
        ("auto", "linux", Charset.CONSOLE),
        ("auto", "vt100", Charset.ASCII),
        ("auto", "vt220-w", Charset.ASCII),
        ("auto", "ansi", Charset.ASCII),
        ("auto", "", Charset.HALF_BLOCKS),
        ("lines", "xterm", Charset.LINES),
        ("ascii", "linux", Charset.ASCII),
        ("blocks", "vt100", Charset.HALF_BLOCKS),
        ("console", "xterm", Charset.CONSOLE),
    ],
)
def test_which(wanted: str, terminal: str, chosen: Charset) -> None:
    assert charset.choose(wanted, terminal) is chosen


@pytest.mark.parametrize("wanted", [Charset.CONSOLE, Charset.LINES, Charset.ASCII])
def test_every_substitute_is_as_wide_as_what_it_stands_for(wanted: Charset) -> None:
    for character in EVERYTHING:
        assert cell_len(drawn(character, wanted)) == cell_len(character), character


def test_ascii_is_nothing_else_and_names_stay_legible() -> None:
    assert drawn(EVERYTHING, Charset.ASCII).isascii()
    assert drawn("Åsa Öberg, Michał Wójcik", Charset.ASCII) == "Asa Oberg, Michal Wojcik"


def test_used_up_and_left_can_be_told_apart_everywhere() -> None:
    for wanted in (Charset.CONSOLE, Charset.LINES, Charset.ASCII):
        assert len(set(drawn("━─", wanted))) == 2


def test_a_piece_without_need_stays_the_same_object() -> None:
    piece = Segment("HJ4W")
    assert charset.Substitutes(Charset.ASCII).apply([piece], Color(0, 0, 0))[0] is piece
