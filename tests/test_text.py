"""Foreign strings are inert, short and still readable after cleaning."""

from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest

from kiosk.text import LONGEST, cell_width, clean

HOSTILE = {
    "colour": "\x1b[31mred",
    "clear": "a\x1b[2Jb",
    "clipboard": "\x1b]52;c;ZWNobw==\x07",
    "title": "\x1b]0;owned\x07",
    "c1": "a\x9b31mb",
    "bell": "a\x07b",
    "null": "a\0b",
    "bidi": "abc\u202edef",
    "isolate": "abc\u2066def",
    "zero width": "a\u200bb",
    "tag": "a\U000e0041b",
    "line separator": "a\u2028b",
    "private": "a\ue000b",
    "surrogate": "a\ud800b",
    "combining flood": "a" + "\u0301" * 200,
    "endless": "x" * 100_000,
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_nothing_that_acts_comes_through(payload: str) -> None:
    cleaned = clean(payload)
    assert len(cleaned) <= LONGEST
    categories = [unicodedata.category(character) for character in cleaned]
    assert not {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} & set(categories)
    assert "MnMnMn" not in "".join(categories)


@pytest.mark.parametrize(
    "text",
    [
        "Astrid's MacBook Pro (14\u2033)",
        "Ærøskøbing #3 – Größe: 50 % ✓",
        "عمر MacBook Air",
        "倉庫 Mac mini",
        "[/bold] [@click=app.quit]x[/]",
    ],
)
def test_honest_names_stay_as_they_are(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  a \t\n b  ", "a b"),
        ("a\x1b\x1b\x1bb", "a\N{REPLACEMENT CHARACTER}b"),
        ("e\u0301", "é"),
        ("x" * 70, "x" * 63 + "…"),
        (None, ""),
        (7, ""),
        ("", ""),
    ],
)
def test_what_changes(text: object, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_cleaning_twice_is_cleaning_once() -> None:
    for payload in HOSTILE.values():
        assert clean(clean(payload)) == clean(payload)


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("", 0),
        ("HJ4W-7QXB", 9),
        ("Düsseldorf", 10),
        ("e\u0301", 1),
        ("กิ่ง", 2),
        ("倉庫 A", 6),
        ("\N{TRIGRAM FOR HEAVEN}", 2),
        # A spacing mark has a cell of its own in many terminals.
        ("कि", 2),
        # With the variation selector of emoji some terminals draw two cells, others one.
        ("\N{HEAVY BLACK HEART}\ufe0f", 2),
        # Not every terminal draws a skin tone on the character before it.
        ("\N{THUMBS UP SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4}", 4),
        ("é\x1b", 1),
    ],
)
def test_cells_are_as_many_as_any_terminal_takes(text: str, cells: int) -> None:
    assert cell_width(text) == cells


def test_ascii_is_measured_without_the_tables() -> None:
    code = "import sys; from kiosk.text import cell_width; cell_width('ASCII'); sys.exit('wcwidth' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0
