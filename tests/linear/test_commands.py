"""Words that are typed: understood in every language, in English, and at a keyboard that lacks their letters."""

from __future__ import annotations

import unicodedata

import pytest

from kiosk import i18n
from kiosk.linear.commands import Command, find, spellings
from kiosk.linear.talk import LONGEST_WORD


@pytest.mark.parametrize("code", i18n.available())
def test_no_two_commands_are_alike_however_they_are_typed(code: str) -> None:
    i18n.use(code)
    try:
        typed: dict[str, Command] = {}
        for command in Command:
            for spelling in {command.value, *spellings(command.word)}:
                assert typed.setdefault(spelling, command) is command, spelling
                assert spelling.isascii(), spelling
                assert find(spelling.upper()) is command
                assert len(spelling) <= LONGEST_WORD, spelling
            assert find(command.word) is find(unicodedata.normalize("NFD", command.word)) is command
    finally:
        i18n.use(i18n.SOURCE)


@pytest.mark.parametrize(
    ("code", "typed", "command"),
    [
        ("sv", "dolj", Command.HIDE),
        ("sv", "Ärende", Command.TICKET),
        ("da", "hjaelp", Command.HELP),
        ("da", "naeste", Command.NEXT),
        ("nb", "laas", Command.LOCK),
        ("fi", "nayta", Command.SHOW),
        ("fi", "kylla", Command.YES),
        ("fi", "joo", Command.YES),
        ("de", "zuruck", Command.BACK),
        ("de", "ZURUECK", Command.BACK),
        ("es", "si", Command.YES),
        ("pt", "nao", Command.NO),
        ("pl", "pokaz", Command.SHOW),
        ("pl", "powtorz", Command.REPEAT),
        ("pl", "jezyk", Command.LANGUAGE),
        ("pl", "repeat", Command.REPEAT),
        ("en", "kylla", None),
        ("en", "joo", None),
    ],
)
def test_a_word_needs_no_special_keyboard(code: str, typed: str, command: Command | None) -> None:
    i18n.use(code)
    try:
        assert find(typed) is command
    finally:
        i18n.use(i18n.SOURCE)
