"""The language of a visit: gettext catalogues, chosen on the welcome screen, for this visit alone.

``_`` and ``ngettext`` translate where words are shown. ``N_`` only marks words that are declared before the language is
known; they go through ``_`` when they are shown. Each visit is a process of its own, so the language is the process's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gettext import NullTranslations

SOURCE: Final = "en"
DOMAIN: Final = "kiosk"
LOCALES: Final = Path(__file__).with_name("locales")
# By their own names, as somebody who does not read English looks for theirs.
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
    """Speak this language from now on. Raises ValueError for one that there is not."""
    global _language
    if language not in LANGUAGES:
        raise ValueError(f"no such language: {language}")
    speak(None if language == SOURCE else _catalogue_of(language))
    _language = language


def speak(catalogue: NullTranslations | None) -> None:
    """Use a catalogue that need not be a file of ours; None is English as it stands in the code."""
    global _catalogue
    _catalogue = catalogue


def available() -> dict[str, str]:
    """The languages that can be used here, by code, each by its own name."""
    return {code: name for code, name in LANGUAGES.items() if code == SOURCE or _file(code).exists()}


def language() -> str:
    """The code of the language in use."""
    return _language


def _(message: str) -> str:
    """These words in the language of the visit."""
    return _catalogue.gettext(message) if _catalogue and message else message


def ngettext(one: str, many: str, count: int) -> str:
    """The form of these words that goes with a number."""
    if _catalogue:
        return _catalogue.ngettext(one, many, count)
    return one if count == 1 else many


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark words that are translated later, when they are shown."""
    return message


def _file(language: str) -> Path:
    return LOCALES / language / "LC_MESSAGES" / f"{DOMAIN}.mo"


def _catalogue_of(language: str) -> NullTranslations:
    # Loaded only here: English, and so the first screen, needs none of it.
    import gettext

    # An installation without the file still has English to say.
    return gettext.translation(DOMAIN, LOCALES, [language], fallback=True)
