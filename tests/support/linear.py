"""What a person types and reads in linear mode."""

from __future__ import annotations

import re

from kiosk.recovery_key.spelling import alphabet
from tests.support.terminal import ENTER, Terminal

BEGIN = "Press Enter to begin:"
CHOICE = "Your choice:"
GROUP = re.compile(r"^Group ([1-6]): (\w), (\w), (\w), (\w)\.$", re.MULTILINE)


def walk_to_key(opened: Terminal) -> str:
    """Walk from the first question to the key, and return the key."""
    for words, typed in ((BEGIN, ""), ("Is this you? Press", ""), ("Number or name of the Mac:", "1")):
        opened.wait_for(words)
        opened.press(typed + ENTER)
    return shown_key(opened)


def shown_key(opened: Terminal) -> str:
    """Return the key on the page."""
    opened.wait_for("Group 6: ")
    return key_in(opened.text)


def key_in(text: str) -> str:
    """Return the key from its six lines."""
    groups = GROUP.findall(text)
    assert [int(number) for number, *_ in groups] == [1, 2, 3, 4, 5, 6], text
    return "-".join("".join(characters) for _, *characters in groups)


def spaced(key: str) -> list[str]:
    """Return the groups of a key as linear mode writes them."""
    return [", ".join(group) + "." for group in key.split("-")]


def spelled(key: str) -> list[str]:
    """Return the groups of a key as linear mode spells them."""
    words = alphabet("en")
    spoken = [
        [f"{one}: {words.word(one)}" if one.isalpha() else words.word(one) for one in group] for group in key.split("-")
    ]
    return [", ".join(group) + "." for group in spoken]
