"""What all pages of the sandbox share: filling templates, the frame of a page, and its headers.

Plain forms without scripts or foreign resources. A program can play the phone by posting the same forms.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template

from starlette.responses import Response

from kiosk.sandbox.tenant.directory import Person
from kiosk.text import clean

_STYLE = (Path(__file__).parent / "phone.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
LONGEST_NAME = 160


class Html(str):
    """Text that is already markup. All other text is escaped."""

    __slots__ = ()


def fill(template: str, **values: str) -> Html:
    """Fill a template. Every value is escaped unless it is Html."""
    ready = {name: value if isinstance(value, Html) else escape(value) for name, value in values.items()}
    return Html(Template(template).substitute(ready))


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title – $organisation</title>
<style>$style</style>
</head>
<body>
<header>$organisation · simulated sign-in</header>
<main>
<h1>$title</h1>
$content
</main>
<footer>This is a sandbox. Nobody's password is asked for here, and the people and keys are made up.</footer>
</body>
</html>
"""
_ALERT = '<p role="alert">$words</p>'
_CHOICE = """<label class="person"><input type="radio" name="oid" value="$oid"$checked>
<b dir="auto">$name</b><span dir="auto">$address</span><span>$description</span></label>"""
_LISTED = """<li class="person" data-oid="$oid"><b dir="auto">$name</b><span dir="auto">$address</span>
<span>$description</span></li>"""
_WHO = """<fieldset>
<legend>Who are you?</legend>
$people
</fieldset>
<label for="other">Somebody else: address or name</label>
<input type="text" id="other" name="other" value="$typed" autocomplete="off" autocapitalize="off" spellcheck="false">"""
_HIDDEN = '<input type="hidden" name="$name" value="$value">'


def page(organisation: str, title: str, content: Html, status: int = 200, *, forms_lead_to: str = "") -> Response:
    """Return a page. Its forms may lead to our own pages, and to the origin ``forms_lead_to``."""
    whole = fill(_PAGE, title=title, organisation=organisation, style=Html(_STYLE), content=content)
    leads_to = f"'self' {forms_lead_to}".strip()
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {leads_to}; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    return Response(whole, status, headers)


def alert(words: str) -> Html:
    """Return the words as an alert; nothing for no words."""
    return fill(_ALERT, words=words) if words else Html()


def listed(people: Iterable[Person]) -> Html:
    """Return the people as items of a list."""
    return Html("\n".join(_person(_LISTED, person) for person in people))


def choice(people: Iterable[Person], chosen: Person | None = None) -> Html:
    """Return the fields in which somebody says who they are."""
    known = tuple(people)
    choices = (
        _person(_CHOICE, person, checked=Html(" checked") if chosen and person.oid == chosen.oid else Html())
        for person in known
    )
    typed = chosen.address if chosen and all(person.oid != chosen.oid for person in known) else ""
    return fill(_WHO, people=Html("\n".join(choices)), typed=clean(typed, LONGEST_NAME))


def hidden(**values: str) -> Html:
    """Return hidden fields of a form."""
    return Html("\n".join(fill(_HIDDEN, name=name, value=value) for name, value in values.items()))


def _person(template: str, person: Person, **more: str) -> Html:
    return fill(
        template,
        oid=person.oid,
        name=clean(person.name, LONGEST_NAME),
        address=clean(person.address, LONGEST_NAME),
        description=person.description or "",
        **more,
    )
