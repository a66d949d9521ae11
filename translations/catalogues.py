"""Extract the marked messages from the code, and merge them with the stored translations."""

from __future__ import annotations

import ast
import functools
import itertools
import tokenize
from collections.abc import Collection, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from kiosk.i18n import DOMAIN, LANGUAGES, LOCALES, SOURCE

ROOT = Path(__file__).parents[1]
TRANSLATED = [language for language in LANGUAGES if language != SOURCE]

_KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}
# Languages whose bare code would select the plural forms of another country.
_LOCALES = {"pt": "pt_PT"}
_HEADERS = {"Language", "Plural-Forms", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"}


_HEADER: Any = Catalog.mime_headers


class PlainCatalogue(Catalog):
    """A catalogue without the dates and names in its header, which would differ with every run."""

    def _plain_headers(self) -> list[tuple[str, str]]:
        return [(name, value) for name, value in _HEADER.__get__(self, Catalog) if name in _HEADERS]

    mime_headers = property(_plain_headers, _HEADER.__set__)


def path(language: str) -> Path:
    """Return the path of the file that translators edit."""
    return LOCALES / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def _calls(
    file: IO[bytes], keywords: Iterable[str], tags: Collection[str], options: Any
) -> Iterator[tuple[int, str, Any, list[str]]]:
    """Yield line, function, texts and notes of every marking call.

    Babel's own extractor finds a call inside an f-string only from CPython 3.12 on.
    """
    source = file.read()
    tokens = tokenize.tokenize(BytesIO(source).readline)
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    for call in _in_order(ast.parse(source)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in keywords:
            texts = [one.value if isinstance(one, ast.Constant) else None for one in call.args]
            above = list(itertools.takewhile(comments.__contains__, itertools.count(call.lineno - 1, -1)))
            notes = [comments[line] for line in reversed(above)]
            begin = next((at for at, note in enumerate(notes) if note.startswith(tuple(tags))), len(notes))
            yield call.lineno, call.func.id, texts[0] if len(texts) == 1 else tuple(texts), notes[begin:]


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _in_order(child)


@functools.cache
def marked() -> tuple[tuple[str, str | tuple[str, ...], list[str]], ...]:
    """Return file, message and notes for translators of every marked message in the code."""
    found = extract_from_dir(
        ROOT / "kiosk",
        # Babel accepts functions, which its types do not say.
        method_map=[("**.py", _calls), ("**/templates/**.html", babel_extract)],  # type: ignore[list-item]
        keywords=_KEYWORDS,
        comment_tags=["Translators:"],
        strip_comment_tags=True,
    )
    return tuple((f"kiosk/{file}", message, comments) for file, _line, message, comments, _context in found)


def template(language: str) -> Catalog:
    """Return a catalogue of all marked messages, without translations."""
    catalogue = PlainCatalogue(
        locale=_LOCALES.get(language, language),
        header_comment=f"# {LANGUAGES[language]}. How to translate: docs/translating.md",
        fuzzy=False,
    )
    for file, message, comments in marked():
        catalogue.add(message, locations=[(file, 0)], auto_comments=comments)
    return catalogue


def stored(language: str) -> Catalog:
    """Return the catalogue from its file; an empty one if there is no file yet."""
    locale = _LOCALES.get(language, language)
    if not path(language).exists():
        return Catalog(locale=locale)
    with path(language).open("rb") as file:
        return read_po(file, locale=locale, abort_invalid=True)


def renewed(language: str) -> Catalog:
    """Return the marked messages with their stored translations. Never guesses from similar messages."""
    catalogue, old = template(language), stored(language)
    for message in catalogue:
        known = old.get(message.id) if message.id else None
        if known is not None and not known.fuzzy and known.pluralizable == message.pluralizable:
            message.string = known.string
            message.user_comments = known.user_comments
    return catalogue


def open_messages(catalogue: Catalog) -> list[Message]:
    """Return the messages that lack a translation or one of its plural forms."""
    return [message for message in catalogue if message.id and not all(forms(message))]


def forms(message: Message) -> tuple[str, ...]:
    """Return the translation, in all its plural forms."""
    return tuple(message.string) if isinstance(message.string, list | tuple) else (message.string or "",)


def written(catalogue: Catalog) -> bytes:
    """Return the file for translators, without line numbers, which would change with every change of the code."""
    file = BytesIO()
    write_po(file, catalogue, width=100, include_lineno=False)
    return file.getvalue()


def compiled(catalogue: Catalog) -> bytes:
    """Return the file that the program reads."""
    file = BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()
