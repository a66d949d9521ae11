"""Defines what the UIs can do with the simulated phone of the demo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class DemoPerson:
    """A person of the simulated organisation whom the phone can sign in."""

    oid: str
    name: str
    address: str
    description: str


class DemoPhone(Protocol):
    """Signs people in. Exists only in the demo."""

    async def people(self) -> Sequence[DemoPerson]:
        """Return the people who can sign in."""

    async def approve(self, user_code: str, oid: str) -> None:
        """Sign in a person with the code."""
