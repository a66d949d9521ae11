"""What stands for what a terminal cannot draw, and which terminal that is."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

from kiosk.look import charset
from kiosk.look.glyphs import Repertoire

EVERYTHING = "─│┌┐└┘├┤┬┴┼═━█■▀▄▏▌▶←→↑↓·●…✓×’‘“”„–—åäöÅÄÖæøßłęçñ é\u00a0 倉 ع"


def drawn(text: str, wanted: Repertoire) -> str:
    return "".join(piece.text for piece in charset.Substitutes(wanted).apply([Segment(text)], Color(0, 0, 0)))


@pytest.mark.parametrize(
    ("wanted", "terminal", "chosen"),
    [
        ("auto", "xterm-256color", Repertoire.HALF_BLOCKS),
        ("auto", "linux", Repertoire.CONSOLE),
        ("auto", "vt100", Repertoire.ASCII),
        ("auto", "vt220-w", Repertoire.ASCII),
        ("auto", "ansi", Repertoire.ASCII),
        ("auto", "", Repertoire.HALF_BLOCKS),
        ("lines", "xterm", Repertoire.LINES),
        ("ascii", "linux", Repertoire.ASCII),
        ("blocks", "vt100", Repertoire.HALF_BLOCKS),
        ("console", "xterm", Repertoire.CONSOLE),
    ],
)
def test_which(wanted: str, terminal: str, chosen: Repertoire) -> None:
    assert charset.choose(wanted, terminal) is chosen


@pytest.mark.parametrize("wanted", [Repertoire.CONSOLE, Repertoire.LINES, Repertoire.ASCII])
def test_every_substitute_is_as_wide_as_what_it_stands_for(wanted: Repertoire) -> None:
    for character in EVERYTHING:
        assert cell_len(drawn(character, wanted)) == cell_len(character), character


def test_ascii_is_nothing_else_and_names_stay_legible() -> None:
    assert drawn(EVERYTHING, Repertoire.ASCII).isascii()
    assert drawn("Åsa Öberg, Michał Wójcik", Repertoire.ASCII) == "Asa Oberg, Michal Wojcik"


def test_used_up_and_left_can_be_told_apart_everywhere() -> None:
    for wanted in (Repertoire.CONSOLE, Repertoire.LINES, Repertoire.ASCII):
        assert len(set(drawn("━─", wanted))) == 2


def test_a_piece_without_need_stays_the_same_object() -> None:
    piece = Segment("HJ4W")
    assert charset.Substitutes(Repertoire.ASCII).apply([piece], Color(0, 0, 0))[0] is piece
