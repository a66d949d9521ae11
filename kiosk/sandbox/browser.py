"""A small browser for the simulated phone: pages with forms, cookies, redirects between origins. It runs no scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import httpx

from kiosk.net.http import aread_limited, service_client

_MOST_REDIRECTS = 10
# What ``Sec-Fetch-Site`` says of two origins, from nearest to farthest.
_SITES = ("none", "same-origin", "same-site", "cross-site")


class ListedPerson(NamedTuple):
    """A person as the page lists them."""

    oid: str
    name: str
    address: str
    description: str


@dataclass
class Form:
    """A form with what is filled in already. ``buttons`` and ``choices`` are pairs of name and value."""

    action: str
    hidden: dict[str, str] = field(default_factory=dict, repr=False)
    choices: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)


@dataclass(eq=False)
class Page(HTMLParser):
    """What a person sees of a page: forms, listed people, an alert, digits. ``code`` is that of an error.

    ``leads_on`` is the address to which the page leads on at once.
    """

    url: httpx.URL
    status: int
    forms: list[Form] = field(default_factory=list)
    people: list[ListedPerson] = field(default_factory=list)
    alert: str = ""
    digits: str = field(default="", repr=False)
    code: str = ""
    leads_on: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        super().__init__()
        self._oid = ""
        self._texts: list[str] = []
        self._in_text = False
        self._in_digits = False
        # The tag that is the alert, and how many of them are open.
        self._alert_tag, self._alert_depth = "", 0

    def form(self, name: str, value: str | None = None) -> Form | None:
        """Return the form with a field or button of this name, and of this value if given."""
        for form in self.forms:
            pairs = [*form.hidden.items(), *form.choices, *form.buttons]
            if any(one == name and value in (None, other) for one, other in pairs):
                return form
        return None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
        elif tag in {"input", "button"} and self.forms:
            self._add(self.forms[-1], tag, given)
        elif tag == "meta" and given.get("http-equiv") == "refresh":
            self.leads_on = given.get("content", "").partition("url=")[2]
        elif tag == "main":
            self.code = given.get("data-code", "")
        elif tag == "li" and "data-oid" in given:
            self._oid, self._texts = given["data-oid"], []
        elif tag in {"b", "span"} and self._oid:
            self._texts.append("")
            self._in_text = True
        elif tag == "output" and "data-digits" in given:
            self._in_digits = True
        if given.get("role") == "alert" and not self._alert_depth:
            self._alert_tag = tag
        if tag == self._alert_tag:
            self._alert_depth += 1

    def handle_endtag(self, tag: str) -> None:
        if tag in {"b", "span"}:
            self._in_text = False
        elif tag == "li" and self._oid:
            name, address, description = (*self._texts, "", "", "")[:3]
            self.people.append(ListedPerson(self._oid, name, address, description))
            self._oid = ""
        elif tag == "output":
            self._in_digits = False
        if tag == self._alert_tag and self._alert_depth:
            self._alert_depth -= 1
            if not self._alert_depth:
                self._alert_tag = ""

    def handle_data(self, data: str) -> None:
        if self._in_text:
            self._texts[-1] += data
        if self._in_digits:
            self.digits += "".join(data.split())
        if self._alert_depth:
            self.alert = " ".join([self.alert, *data.split()]).strip()

    @staticmethod
    def _add(form: Form, tag: str, given: dict[str, str]) -> None:
        pair = given.get("name", ""), given.get("value", "")
        kind = given.get("type", "submit" if tag == "button" else "text")
        if kind == "hidden":
            form.hidden[pair[0]] = pair[1]
        elif kind == "radio":
            form.choices.append(pair)
        elif kind == "submit":
            # Buttons without a name are known by what they are for.
            form.buttons.append(pair if pair[0] else ("data-answer", given.get("data-answer", "")))


class Browser:
    """A browser that trusts ``ca_bundle``. Relative addresses are those of ``url``.

    ``before_redirect`` may change the address that a redirect leads to, as somebody with their own tools can.
    """

    def __init__(
        self, url: str, ca_bundle: Path, before_redirect: Callable[[httpx.URL], httpx.URL] = lambda url: url
    ) -> None:
        self._client = service_client(url, ca_bundle)
        self._before_redirect = before_redirect

    async def open(self, url: str) -> Page:
        """Open an address that was typed or scanned."""
        return await self._navigate("GET", self._client.base_url.join(url), site="none")

    async def send(self, page: Page, form: Form, fields: Mapping[str, str]) -> Page:
        """Send a form of a page."""
        target = page.url.join(form.action)
        return await self._navigate("POST", target, dict(form.hidden) | dict(fields), _site(page.url, target), page.url)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _navigate(
        self,
        method: str,
        url: httpx.URL,
        form: dict[str, str] | None = None,
        site: str = "none",
        sender: httpx.URL | None = None,
    ) -> Page:
        """Send a request and follow redirects, each with a GET, also those of a page's own."""
        for _ in range(_MOST_REDIRECTS):
            headers = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-site": site}
            if method == "POST" and sender:
                headers["origin"] = _origin(sender)
            async with self._client.stream(method, url, data=form, headers=headers) as response:
                body = await aread_limited(response)
            if not response.has_redirect_location:
                page = Page(url, response.status_code)
                page.feed(body.decode("utf-8", "replace"))
                if not page.leads_on:
                    return page
                target = self._before_redirect(url.join(page.leads_on))
                method, url, form, site = "GET", target, None, _site(url, target)
                continue
            target = self._before_redirect(url.join(response.headers["location"]))
            # Once a chain has left an origin, it stays as far.
            site = site if site == "none" else max(site, _site(url, target), key=_SITES.index)
            method, url, form = "GET", target, None
        raise httpx.TooManyRedirects("the pages redirect in a circle")


def _site(sender: httpx.URL, target: httpx.URL) -> str:
    """Return what ``Sec-Fetch-Site`` says of a request. Hosts are compared whole, for want of a list of suffixes."""
    if _origin(sender) == _origin(target):
        return "same-origin"
    return "same-site" if (sender.scheme, sender.host) == (target.scheme, target.host) else "cross-site"


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode()}"
