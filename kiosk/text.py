"""Checks and cleans foreign text where it comes in, and measures text in cells of a terminal."""

from __future__ import annotations

import re
import unicodedata

GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
LONGEST = 64
_MARKS_IN_A_ROW = 2
_KEPT = frozenset("LNPS")
_EMOJI_PRESENTATION = "\N{VARIATION SELECTOR-16}"


def clean(text: object, limit: int = LONGEST) -> str:
    """Make a string from outside safe to draw: one line, at most ``limit`` characters, nothing that acts.

    Letters, digits, punctuation, symbols and single spaces stay; control, format, bidirectional, private and unassigned
    code points become U+FFFD, so that it shows that something was removed. Anything but a string is empty.
    """
    if not isinstance(text, str):
        return ""
    if len(text) <= limit and text.isascii() and text.isprintable() and "  " not in text:
        # What most strings are, and what nothing would be changed of.
        return text.strip()
    # Cut before normalising: a hostile megabyte must not cost anything. Composition needs a little more than it keeps.
    composed = unicodedata.normalize("NFC", text[: limit * 4])
    kept: list[str] = []
    marks = 0
    for character in composed:
        category = unicodedata.category(character)
        marks = marks + 1 if category[0] == "M" else 0
        if category == "Zs" or character in "\t\n\r":
            piece = "" if kept and kept[-1] == " " else " "
        elif category[0] in _KEPT or (category in {"Mn", "Mc"} and marks <= _MARKS_IN_A_ROW):
            piece = character
        elif category[0] == "M":
            piece = ""
        else:
            piece = "" if kept and kept[-1] == REPLACEMENT else REPLACEMENT
        if piece:
            kept.append(piece)
    cleaned = "".join(kept).strip()
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 1] + "…"


def cell_width(text: str) -> int:
    """Return the most cells that any terminal needs for a text, so that a row is never longer than counted.

    Terminals disagree on what they join: on spacing marks, emoji with a skin tone, and the emoji variation selector.
    """
    if text.isascii():
        return len(text)
    # Most text is ASCII, and importing the tables takes longer than drawing a page.
    from wcwidth import wcswidth

    # One character at a time, as terminals without clusters do. Not with ``wcwidth``: that one remembers what it was
    # asked last, and the words of a spelled key are measured here as well.
    return sum(1 if _has_own_cell(character) else max(0, wcswidth(character)) for character in text)


def _has_own_cell(character: str) -> bool:
    return character == _EMOJI_PRESENTATION or unicodedata.category(character) == "Mc"
