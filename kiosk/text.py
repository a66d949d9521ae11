"""Cleans text from outside where it comes in, and measures text in cells of a terminal."""

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
    """Return a string that is safe to draw: one line, at most ``limit`` characters, no control characters.

    Letters, digits, punctuation, symbols and single spaces stay. Control, format, bidirectional, private and unassigned
    code points become U+FFFD, so that their removal is visible. A value that is not a string becomes an empty one.
    """
    if not isinstance(text, str):
        return ""
    if len(text) <= limit and text.isascii() and text.isprintable() and "  " not in text:
        # A shortcut for most strings: nothing in them would change.
        return text.strip()
    # Cut before normalising, so that a hostile megabyte costs nothing. Composition shortens text, so keep some more.
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


def escaped(text: str) -> str:
    """Return a text with every character that cannot be seen as ``\\uXXXX``. JSON stays the same JSON."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _in_digits(one) for one in text)


def _in_digits(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def cell_width(text: str) -> int:
    """Return the most cells that any terminal uses for a text, so that no row becomes longer than counted.

    Terminals differ in which characters they join: spacing marks, emoji with a skin tone, the emoji variation selector.
    """
    if text.isascii():
        return len(text)
    # Imported only here: most text is ASCII, and loading the tables takes longer than drawing a page.
    from wcwidth import wcswidth

    # One character at a time, as terminals do that do not join any. Avoid the function ``wcwidth``: it caches its
    # arguments, and the words of a spelled key are measured here as well.
    return sum(1 if _has_own_cell(character) else max(0, wcswidth(character)) for character in text)


def _has_own_cell(character: str) -> bool:
    return character == _EMOJI_PRESENTATION or unicodedata.category(character) == "Mc"
