"""Translates the words of a visit with gettext. The person chooses the language on the welcome screen.

``_`` and ``ngettext`` translate words where they are shown. ``N_`` only marks words that are declared before the
language is known; ``_`` translates them when they are shown. The language applies to the whole process: each visit has
its own. ``translations`` is for a process that serves people of many languages at a time.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gettext import NullTranslations

SOURCE: Final = "en"
DOMAIN: Final = "kiosk"
LOCALES: Final = Path(__file__).with_name("locales")
# Each language in its own words, for people who do not read English.
LANGUAGES: Final = {
    "en": "English",
    "da": "Dansk",
    "de": "Deutsch",
    "es": "Español",
    "fi": "Suomi",
    "fr": "Français",
    "it": "Italiano",
    "nb": "Norsk",
    "nl": "Nederlands",
    "pl": "Polski",
    "pt": "Português",
    "sv": "Svenska",
}

_catalogue: NullTranslations | None = None
_language: str = SOURCE


def use(language: str) -> None:
    """Translate into this language from now on. Raises ValueError for an unknown language."""
    global _language
    if language not in LANGUAGES:
        raise ValueError(f"no such language: {language}")
    speak(None if language == SOURCE else _catalogue_of(language))
    _language = language


def speak(catalogue: NullTranslations | None) -> None:
    """Translate with this catalogue, which need not come from a file. None means English, the language of the code."""
    global _catalogue
    _catalogue = catalogue


def available() -> dict[str, str]:
    """Return the languages installed here: code and own name of each."""
    return {code: name for code, name in LANGUAGES.items() if code == SOURCE or _file(code).exists()}


def language() -> str:
    """Return the code of the current language."""
    return _language


def _(message: str) -> str:
    """Return a message in the current language."""
    return _catalogue.gettext(message) if _catalogue and message else message


def ngettext(one: str, many: str, count: int) -> str:
    """Return the singular or plural of a message, as ``count`` requires in the current language."""
    if _catalogue:
        return _catalogue.ngettext(one, many, count)
    return one if count == 1 else many


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark a message for translation and return it unchanged. It is translated when it is shown."""
    return message


@functools.cache
def translations(language: str) -> NullTranslations:
    """Return the catalogue of a language, and leave the process in its own. English for an unknown one."""
    from gettext import NullTranslations

    return _catalogue_of(language) if language in LANGUAGES and language != SOURCE else NullTranslations()


def _file(language: str) -> Path:
    return LOCALES / language / "LC_MESSAGES" / f"{DOMAIN}.mo"


def _catalogue_of(language: str) -> NullTranslations:
    # Imported only here: the first screen is in English and does not need it.
    import gettext

    # Fall back to English if the file is missing.
    return gettext.translation(DOMAIN, LOCALES, [language], fallback=True)
