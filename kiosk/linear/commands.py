"""Words that people type in place of keys: not every braille terminal has function keys or Esc."""

from __future__ import annotations

from enum import Enum

from kiosk.i18n import N_, _


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


def find(typed: str) -> Command | None:
    """Return the command that was typed, or None."""
    wanted = typed.strip().casefold()
    if wanted == "?":
        return Command.HELP
    for command in Command:
        if wanted in {command.value, command.word.casefold()}:
            return command
    return None
