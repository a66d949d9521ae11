"""The simulated phone of the demo, as the faces of a visit see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class DemoPerson:
    """Somebody of the simulated organisation whom the phone can sign in."""

    oid: str
    name: str
    address: str
    description: str


class DemoPhone(Protocol):
    """Exists only in the demo."""

    async def people(self) -> Sequence[DemoPerson]:
        """Who can sign in."""

    async def approve(self, user_code: str, oid: str) -> None:
        """Sign that person in with the code."""
