"""Defines what the UIs can do with the simulated phone of the demo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kiosk.sign_in_messages import WordPair


@dataclass(frozen=True)
class DemoPerson:
    """A person of the simulated organisation whom the phone can sign in."""

    oid: str
    name: str
    address: str
    description: str


class DemoPhone(Protocol):
    """Signs people in. Exists only in the demo."""

    @property
    def person(self) -> str:
        """Who signs in without being asked for: an object id, an address or a name. Empty to be asked for."""

    @property
    def said(self) -> str:
        """What the phone shows after ``open_link``: the digits, or what went wrong. Empty so far."""

    async def people(self) -> Sequence[DemoPerson]:
        """Return the people who can sign in."""

    async def approve(self, user_code: str, who: str) -> None:
        """Sign in a person with a device code."""

    def open_link(self, link: str, words: WordPair, who: str) -> None:
        """Open the link of the kiosk, choose the words and sign in as a person, in the background."""

    def put_away(self) -> None:
        """Show nothing any more: another sign-in begins."""
