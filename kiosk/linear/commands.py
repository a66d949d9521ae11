"""Words that people type in place of keys: not every braille terminal has function keys or Esc."""

from __future__ import annotations

import unicodedata
from enum import Enum

from kiosk.i18n import N_, _, language


class Command(Enum):
    """A command; its value is the marked English word, which works in every language."""

    # Translators: these are words that are typed. One short word each, all different, in small letters.
    HELP = N_("help")
    LOCK = N_("lock")
    BACK = N_("back")
    REPEAT = N_("repeat")
    LANGUAGE = N_("language")
    FULL = N_("screen")
    YES = N_("yes")
    NO = N_("no")
    SPELL = N_("spell")
    HIDE = N_("hide")
    SHOW = N_("show")
    MORE = N_("more")
    TIME = N_("time")
    TICKET = N_("ticket")
    CHECK = N_("check")
    NEXT = N_("next")
    PHONE = N_("phone")
    END = N_("end")

    @property
    def word(self) -> str:
        """The word in the language of the visit."""
        return _(self.value)


# Keys that act like a word: F1 and F10 everywhere, the others where a question accepts them.
BY_KEY = {
    "f1": Command.HELP,
    "f3": Command.FULL,
    "f5": Command.TICKET,
    "f9": Command.PHONE,
    "f10": Command.LOCK,
    "f12": Command.END,
}


# Further words for a command, by language.
_ALIASES = {"fi": {"joo": Command.YES}}
# Letters that are no base letter with a mark to Unicode; casefold has made ss of the German one.
_BASE_LETTERS = str.maketrans({"ł": "l", "ø": "o", "æ": "ae"})
# How letters are written at a keyboard that lacks them, where it is not the base letter.
_TWO_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})


def find(typed: str) -> Command | None:
    """Return the command that was typed, or None. Accents, and letters that the keyboard may lack, do not matter."""
    wanted = folded(typed)
    if wanted == "?":
        return Command.HELP
    if alias := _ALIASES.get(language(), {}).get(wanted):
        return alias
    return next((command for command in Command if wanted in {command.value, *spellings(command.word)}), None)


def folded(text: str) -> str:
    """Return a text in small base letters, without spaces around it."""
    letters = unicodedata.normalize("NFKD", text.strip().casefold().translate(_BASE_LETTERS))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def spellings(word: str) -> set[str]:
    """Return how a word can be typed, folded: in base letters, or as "zurueck" for "zurück"."""
    whole = unicodedata.normalize("NFC", word.casefold())
    return {folded(whole), folded(whole.translate(_TWO_LETTERS))}
