"""Renders the pages, each in the language of the visit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jinja2
from markupsafe import Markup

from kiosk.config.sign_in_page import PageOrganisation
from kiosk.errors import ConfigError, KioskError, SignInError, kind_of
from kiosk.i18n import LANGUAGES, SOURCE, translations
from kiosk.sign_in_messages import PhoneView, Stage
from kiosk.sign_in_page.cookie import State
from kiosk.sign_in_page.entra import support_of
from kiosk.sign_in_words import WORDS

# Languages that people have in their browsers for one that we have.
_ALIKE = {"no": "nb", "nn": "nb"}
_MINUTE = 60
_PAGE_OF = {
    Stage.OPENED: "words.html",
    Stage.SIGNING_IN: "continue.html",
    Stage.CONFIRMING: "digits.html",
    Stage.CONFIRMED: "done.html",
}


class Pages:
    """The pages of one organisation."""

    def __init__(self, organisation: PageOrganisation) -> None:
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("kiosk.sign_in_page"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.globals["organisation"] = organisation
        names = [*_PAGE_OF.values(), "start.html", "ended.html"]
        self._templates = {name: environment.get_template(name) for name in names}

    def start(self, language: str, *, code: str = "", error: KioskError | None = None) -> str:
        """Return the page with the field for the code. With ``error``, it says what is wrong with the code."""
        return self._render("start.html", language, code=code, error=error)

    def of_stage(self, view: PhoneView, state: State) -> str:
        """Return the page for what the broker says of a sign-in."""
        if view.stage is Stage.ENDED:
            return self.ended(_error_of(view, state), view.language)
        return self._render(
            _PAGE_OF.get(view.stage, "continue.html"),
            view.language,
            view=view,
            form=state.form,
            go_on=(state.flow or {}).get("auth_uri", ""),
            forward=state.forward,
            words=WORDS,
        )

    def ended(self, error: KioskError, language: str, again: str | None = None) -> str:
        """Return the page for an error: what happened, what to do, who can help, and where to try again.

        An empty ``again`` is the address that the browser has opened.
        """
        support = support_of(error) if isinstance(error, SignInError) else ""
        return self._render("ended.html", language, error=error, support=support, again=again)

    def _render(self, name: str, language: str, **values: Any) -> str:
        catalogue = translations(language)

        def gettext(message: str) -> str:
            return catalogue.gettext(message) if message else ""

        def limit(seconds: float) -> str:
            return _limit(seconds, catalogue.ngettext)

        known = {"_": gettext, "ngettext": catalogue.ngettext, "limit": limit, "with_tags": with_tags}
        return self._templates[name].render(language=language, **known, **values)


def with_tags(message: str, **values: str) -> Markup:
    """Return a message with its values in bold; both are escaped."""
    bold = {name: Markup("<strong>{}</strong>").format(value) for name, value in values.items()}
    return Markup.escape(message).format(**bold)


def language_for(accepted: str) -> str:
    """Return the language that a browser asks for first among ours: RFC 9110's ``Accept-Language``."""
    best, weight = SOURCE, 0.0
    for part in accepted[:200].split(","):
        tag, _, parameter = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        language = _ALIKE.get(language, language)
        try:
            quality = float(parameter.strip().removeprefix("q=")) if parameter.strip() else 1.0
        except ValueError:
            continue
        if language in LANGUAGES and weight < quality <= 1.0:
            best, weight = language, quality
    return best


def _error_of(view: PhoneView, state: State) -> KioskError:
    """Return the error with which a sign-in has ended."""
    kind = kind_of(view.code)
    if kind is None or kind is ConfigError:
        kind = SignInError
    error = kind("the sign-in has ended", reference=view.reference)
    if isinstance(error, SignInError):
        error.support = state.support
    return error


def _limit(seconds: float, ngettext: Callable[[str, str, int], str]) -> str:
    """Say how long a page can be used."""
    if seconds < 2 * _MINUTE:
        count = max(1, math.ceil(seconds))
        words = ngettext("You have {count} second for this.", "You have {count} seconds for this.", count)
    else:
        count = int(seconds // _MINUTE)
        words = ngettext("You have {count} minute for this.", "You have {count} minutes for this.", count)
    return words.format(count=count)
