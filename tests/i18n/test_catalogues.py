"""The catalogues are complete, and fit the code: nothing is missing, left over, or compiled from something else."""

from __future__ import annotations

import gettext
import re
from string import Formatter

import pytest
from babel.messages.catalog import Message

from kiosk import i18n
from kiosk.i18n import LANGUAGES, SOURCE
from kiosk.linear.commands import Command, find
from translations.catalogues import TRANSLATED, compiled, forms, open_messages, path, renewed, stored, written

_NEWLINES = re.compile(r"\n+")
_NUMBERS = range(200)

by_language = pytest.mark.parametrize("language", TRANSLATED)


def _fields(text: str) -> list[str]:
    return sorted({name for _, name, _, _ in Formatter().parse(text) if name is not None})


def _edges(text: str) -> tuple[str, str]:
    """The blanks before and after: what is typed stands behind a question and its blank."""
    return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]


def _messages(language: str) -> list[Message]:
    return [message for message in stored(language) if message.id]


def _sources(message: Message) -> tuple[str, ...]:
    return tuple(message.id) if isinstance(message.id, list | tuple) else (message.id,)


@by_language
def test_everything_that_is_marked_is_translated(language: str) -> None:
    missing = [_sources(message)[0] for message in open_messages(renewed(language))]
    assert not missing, f"{language}: {missing}; see docs/translating.md"


@by_language
def test_the_files_are_as_make_translations_writes_them(language: str) -> None:
    """Which also says that nothing is obsolete or a guess: both would be left out."""
    catalogue = renewed(language)
    assert path(language).read_bytes() == written(catalogue)
    assert path(language).with_suffix(".mo").read_bytes() == compiled(catalogue)


@by_language
def test_what_is_filled_in_stays(language: str) -> None:
    for message in _messages(language):
        if message.pluralizable:
            continue
        for form in forms(message):
            assert _fields(form) == _fields(_sources(message)[0]), (language, form)


@by_language
def test_every_number_has_its_form_and_stands_in_it(language: str) -> None:
    """A rule that points past the forms would end the kiosk with one number, and not with another."""
    with path(language).with_suffix(".mo").open("rb") as file:
        catalogue = gettext.GNUTranslations(file)
    for one, many in (_sources(message) for message in _messages(language) if message.pluralizable):
        for count in _NUMBERS:
            form = catalogue.ngettext(one, many, count)
            # "One Mac" needs no figure.
            wanted = (_fields(one), _fields(many)) if count == 1 else (_fields(many),)
            assert _fields(form) in wanted, (language, count, form)


@by_language
def test_lines_and_paragraphs_stay(language: str) -> None:
    for message in _messages(language):
        for form in forms(message):
            wanted = _NEWLINES.findall(_sources(message)[-1])
            assert _NEWLINES.findall(form) == wanted, (language, form)
            assert _edges(form) == _edges(_sources(message)[-1]), (language, form)


@by_language
def test_sentences_end_as_they_do_in_english(language: str) -> None:
    for message in _messages(language):
        for form in forms(message):
            # What is shorter may be an abbreviation.
            for mark in ".?:" if len(form) > 20 else "":
                assert form.rstrip().endswith(mark) == _sources(message)[-1].rstrip().endswith(mark), (language, form)


@by_language
def test_words_that_are_typed_mean_one_thing_each(language: str) -> None:
    """English is understood beside them."""
    try:
        i18n.use(language)
        for command in Command:
            assert find(command.word) is find(command.value) is command, (language, command.word)
            assert command.word.isalpha(), (language, command.word)
            assert command.word.islower(), (language, command.word)
    finally:
        i18n.use(SOURCE)


@by_language
def test_the_kiosk_speaks_it(language: str) -> None:
    try:
        i18n.use(language)
        assert i18n.language() == language
        assert i18n._("Which Mac is locked?") != "Which Mac is locked?"
    finally:
        i18n.use(SOURCE)
    assert i18n._("Which Mac is locked?") == "Which Mac is locked?"


def test_there_is_a_catalogue_for_each_language_and_no_other() -> None:
    folders = {folder.name for folder in i18n.LOCALES.iterdir() if folder.is_dir()}
    assert folders == set(LANGUAGES) - {SOURCE}
