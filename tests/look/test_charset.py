"""What stands for what a terminal cannot draw, and which terminal that is."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

from kiosk.look import charset
from kiosk.look.drawable import Drawable
from kiosk.look.glyphs import Charset

EVERYTHING = "─│┌┐└┘├┤┬┴┼═━█■▀▄▏▌▶←→↑↓·●…✓×’‘“”„–—åäöÅÄÖæøßłęçñ é\u00a0 倉 ع"


UTF8, LATIN1, MUTE = Drawable(utf8=True), Drawable(utf8=False), Drawable()
LATIN_FONT = dict.fromkeys("█─│┌┐└┘├┤┬┴┼ ö×", 1)
KERNEL_FONT = {one: place for place, one in enumerate("█▀▄■─│┌┐└┘├┤┬┴┼ö")}


def drawn(text: str, wanted: Charset, drawable: Drawable = UTF8) -> str:
    return "".join(piece.text for piece in charset.Substitutes(wanted, drawable).apply([Segment(text)], Color(0, 0, 0)))


@pytest.mark.parametrize(
    ("wanted", "terminal", "says", "chosen"),
    [
        ("auto", "xterm-256color", MUTE, Charset.HALF_BLOCKS),
        ("auto", "xterm-256color", UTF8, Charset.HALF_BLOCKS),
        ("auto", "xterm-256color", LATIN1, Charset.ASCII),
        ("auto", "vt100", MUTE, Charset.ASCII),
        ("auto", "vt220-w", MUTE, Charset.ASCII),
        ("auto", "vt220", UTF8, Charset.HALF_BLOCKS),
        ("auto", "ansi", MUTE, Charset.ASCII),
        ("auto", "", MUTE, Charset.HALF_BLOCKS),
        ("auto", "linux", Drawable(utf8=True, font=KERNEL_FONT), Charset.CONSOLE),
        ("auto", "linux", Drawable(utf8=True, font=LATIN_FONT), Charset.LINES),
        ("auto", "linux", Drawable(utf8=True, font={"A": 1}), Charset.ASCII),
        ("auto", "linux", Drawable(utf8=False, font=KERNEL_FONT), Charset.ASCII),
        ("auto", "linux", UTF8, Charset.LINES),
        ("auto", "linux", LATIN1, Charset.ASCII),
        ("lines", "xterm", UTF8, Charset.LINES),
        ("ascii", "linux", UTF8, Charset.ASCII),
        ("blocks", "vt100", LATIN1, Charset.HALF_BLOCKS),
        ("console", "xterm", MUTE, Charset.CONSOLE),
    ],
)
def test_which(wanted: str, terminal: str, says: Drawable, chosen: Charset) -> None:
    assert charset.choose(wanted, terminal, says) is chosen


@pytest.mark.parametrize("wanted", [Charset.CONSOLE, Charset.LINES, Charset.ASCII])
def test_every_substitute_is_as_wide_as_what_it_stands_for(wanted: Charset) -> None:
    for character in EVERYTHING:
        assert cell_len(drawn(character, wanted)) == cell_len(character), character


def test_ascii_is_nothing_else_and_names_stay_legible() -> None:
    assert drawn(EVERYTHING, Charset.ASCII).isascii()
    assert drawn("Åsa Öberg, Michał Wójcik", Charset.ASCII) == "Asa Oberg, Michal Wojcik"


def test_a_font_gets_only_what_it_has() -> None:
    """Letters of names included; the kernel would draw one sign for all that the font lacks."""
    font = Drawable(font=LATIN_FONT)
    assert drawn("Wójcik, Öberg, Łódź 倉 ×✓…━", Charset.LINES, font) == "Wojcik, Oberg, Lodz ?? ×+~="
    assert drawn("ö", Charset.LINES, font) == "ö"
    assert drawn("Łódź", Charset.CONSOLE) == "Łódź"


def test_used_up_and_left_can_be_told_apart_everywhere() -> None:
    for wanted in (Charset.CONSOLE, Charset.LINES, Charset.ASCII):
        assert len(set(drawn("━─", wanted))) == 2


def test_a_piece_without_need_stays_the_same_object() -> None:
    piece = Segment("HJ4W")
    assert charset.Substitutes(Charset.ASCII, UTF8).apply([piece], Color(0, 0, 0))[0] is piece
