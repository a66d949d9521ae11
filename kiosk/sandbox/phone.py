"""Plays the phone: a browser on the pages of the sandbox, for demonstrations and tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import httpx

from kiosk.net.http import aread_limited, service_client

_HOME = "/devicelogin"


class PhoneError(Exception):
    """Why a page did not accept what was sent, in the page's own words."""


class ListedPerson(NamedTuple):
    """A person as the page lists them."""

    oid: str
    name: str
    address: str
    description: str


class Phone:
    """A browser with its own cookies at the address of a sandbox."""

    def __init__(self, url: str, ca_bundle: Path) -> None:
        self._client = service_client(url, ca_bundle)

    async def people(self) -> list[ListedPerson]:
        """Return the people whom the page lists."""
        return (await self._read("GET", f"{_HOME}/people")).people

    async def approve(self, user_code: str, oid: str) -> None:
        """Enter the code and approve as ``oid``: an object id, an address or a name. Raises PhoneError."""
        page = await self._enter(user_code)
        offered = any(oid == value for name, value in page.choices if name == "oid")
        who = {"oid": oid} if offered else {"other": oid}
        await self._read("POST", page.action, page.hidden | who | {"answer": "approve"})

    async def decline(self, user_code: str) -> None:
        """Enter the code and decline. Raises PhoneError."""
        page = await self._enter(user_code)
        await self._read("POST", page.action, page.hidden | {"answer": "decline"})

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Phone:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _enter(self, user_code: str) -> _Page:
        start = await self._read("GET", _HOME)
        return await self._read("POST", start.action, start.hidden | {"code": user_code})

    async def _read(self, method: str, path: str, form: dict[str, str] | None = None) -> _Page:
        async with self._client.stream(method, path, data=form) as response:
            body = await aread_limited(response)
        page = _Page()
        page.feed(body.decode("utf-8", "replace"))
        if page.alert or response.status_code >= httpx.codes.BAD_REQUEST:
            raise PhoneError(page.alert.strip() or f"status {response.status_code}")
        return page


@dataclass(eq=False)
class _Page(HTMLParser):
    """What a person sees of a page: its form, the listed people, its alert."""

    action: str = ""
    hidden: dict[str, str] = field(default_factory=dict, repr=False)
    choices: list[tuple[str, str]] = field(default_factory=list)
    people: list[ListedPerson] = field(default_factory=list)
    alert: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._oid = ""
        self._texts: list[str] = []
        self._in_text = False
        self._in_alert = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = given.get("action", "")
        elif tag == "input" and given.get("type") == "hidden":
            self.hidden[given["name"]] = given.get("value", "")
        elif tag == "input" and given.get("type") == "radio":
            self.choices.append((given["name"], given.get("value", "")))
        elif tag == "li" and "data-oid" in given:
            self._oid, self._texts = given["data-oid"], []
        elif tag in {"b", "span"} and self._oid:
            self._texts.append("")
            self._in_text = True
        self._in_alert = self._in_alert or given.get("role") == "alert"

    def handle_endtag(self, tag: str) -> None:
        if tag in {"b", "span"}:
            self._in_text = False
        elif tag == "li" and self._oid:
            name, address, description = (*self._texts, "", "", "")[:3]
            self.people.append(ListedPerson(self._oid, name, address, description))
            self._oid = ""
        elif tag == "p":
            self._in_alert = False

    def handle_data(self, data: str) -> None:
        if self._in_text:
            self._texts[-1] += data
        if self._in_alert:
            self.alert += data
