"""Plays the phone: a browser on the sign-in page and the pages of the sandbox, for demonstrations and tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import httpx

from kiosk.sandbox.browser import Browser, Form, ListedPerson, Page
from kiosk.sign_in_messages import WordPair

_HOME = "/devicelogin"
_NONE_OF_THESE = "none"


class PhoneError(Exception):
    """Why a page did not accept what was sent, in the page's own words. ``code`` is that of our error, if any."""

    def __init__(self, words: str, code: str = "") -> None:
        super().__init__(words)
        self.code = code


class Phone:
    """A browser with its own cookies. The device login is at ``url``, the address of a sandbox."""

    def __init__(
        self, url: str, ca_bundle: Path, before_redirect: Callable[[httpx.URL], httpx.URL] = lambda url: url
    ) -> None:
        self.browser = Browser(url, ca_bundle, before_redirect)

    async def people(self) -> list[ListedPerson]:
        """Return the people whom the page lists."""
        return _accepted(await self.browser.open(f"{_HOME}/people")).people

    async def approve(self, user_code: str, oid: str) -> None:
        """Enter the device code and approve as ``oid``: an object id, an address or a name. Raises PhoneError."""
        await self.say_who(await self._enter(user_code), oid)

    async def decline(self, user_code: str) -> None:
        """Enter the device code and decline. Raises PhoneError."""
        page = await self._enter(user_code)
        _accepted(await self.browser.send(page, _form(page, "answer"), {"answer": "decline"}))

    async def sign_in(self, link: str, words: WordPair, who: str) -> str:
        """Open the link of a kiosk, choose its words, sign in and return the digits. Raises PhoneError.

        ``who`` is an object id, an address or a name. It is not asked for if the sandbox approves every sign-in.
        """
        page = await self.choose(await self.open(link), words)
        if page.form("oid"):
            page = await self.say_who(page, who)
        if not page.digits:
            raise PhoneError(f"no digits on the page {page.url.path}")
        return page.digits

    async def open(self, link: str) -> Page:
        """Open a link. Raises PhoneError."""
        return _accepted(await self.browser.open(link))

    async def choose(self, page: Page, words: WordPair | None) -> Page:
        """Say which words are on the kiosk's screen, or with None that none of them are. Raises PhoneError."""
        value = f"{words[0]}-{words[1]}" if words else _NONE_OF_THESE
        return _accepted(await self.browser.send(page, _form(page, "words", value), {"words": value}))

    async def say_who(self, page: Page, who: str) -> Page:
        """Approve a sign-in as this person. Raises PhoneError."""
        form = _form(page, "answer")
        named = {"oid": who} if ("oid", who) in form.choices else {"other": who}
        return _accepted(await self.browser.send(page, form, named | {"answer": "approve"}))

    async def press(self, page: Page, answer: str) -> Page:
        """Press ``not-me`` or ``cancel``, and return the page that follows, which says what happened."""
        return await self.browser.send(page, _form(page, "data-answer", answer), {})

    async def close(self) -> None:
        """Close the connections."""
        await self.browser.close()

    async def __aenter__(self) -> Phone:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _enter(self, user_code: str) -> Page:
        start = await self.open(_HOME)
        return _accepted(await self.browser.send(start, _form(start, "csrf"), {"code": user_code}))


def _accepted(page: Page) -> Page:
    if page.alert or page.status >= httpx.codes.BAD_REQUEST:
        raise PhoneError(page.alert or f"status {page.status}", page.code)
    return page


def _form(page: Page, name: str, value: str | None = None) -> Form:
    found = page.form(name, value)
    if found is None:
        raise PhoneError(f"the page {page.url.path} has nothing to answer {name} {value or ''}".rstrip(), page.code)
    return found
