"""Chooses from a numbered list: by number, or by words that shorten it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from kiosk.i18n import _, ngettext
from kiosk.linear.commands import Command, find
from kiosk.linear.talk import Talk

Item = TypeVar("Item")

# Left free below a list: for the note that there is more, and for the question.
_SPARE_ROWS = 4


async def choose(
    talk: Talk,
    items: Sequence[Item],
    *,
    prompt: str,
    describe: Callable[[Item], str],
    narrow: Callable[[Sequence[Item], str], Sequence[Item]],
    nothing: str,
) -> Item | None:
    """Return the chosen item, or None to go back. ``nothing`` is said if no item matches what was typed."""
    shown, first = list(items), 0
    after = _list(talk, shown, describe, first)
    while True:
        typed = await talk.ask(prompt)
        if typed is None:
            if len(shown) == len(items):
                return None
            shown, first = list(items), 0
        elif not typed:
            if len(shown) == 1:
                return shown[0]
            first = after if after < len(shown) else 0
        elif typed.isdecimal() and 1 <= int(typed) <= len(shown):
            return shown[int(typed) - 1]
        elif find(typed) is not Command.REPEAT:
            fitting = list(narrow(items, typed))
            if not fitting:
                talk.say(nothing)
                continue
            shown, first = fitting, 0
        talk.page.turn()
        after = _list(talk, shown, describe, first)


def _list(talk: Talk, shown: Sequence[Item], describe: Callable[[Item], str], first: int) -> int:
    """Say as many items as fit on the page, at least one; returns the index of the next one."""
    page = talk.page
    for place, item in enumerate(shown[first:], first):
        row = _("{number}. {item}").format(number=place + 1, item=describe(item))
        if page.height(row) > page.room - _SPARE_ROWS:
            if place > first:
                left = len(shown) - place
                more = ngettext("{count} more. Press Enter to see it.", "{count} more. Press Enter to see more.", left)
                talk.say(more.format(count=left))
                return place
            page.turn()
        talk.say(row)
    return len(shown)
