"""Cleaning of every foreign string, at the edge where it comes in."""

from __future__ import annotations

import unicodedata

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
LONGEST = 64
_MARKS_IN_A_ROW = 2
_KEPT = frozenset("LNPS")


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
