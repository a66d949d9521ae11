"""Keeps the sign-ins under way: the interface of a store, and the one in memory for a broker that shares nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from kiosk.broker.sign_ins.sign_in import SignIn
from kiosk.clock import Clock
from kiosk.errors import PhoneSignInUnknown, SignInLimit

# Each has a few kilobytes. Those count as well that are over and not yet forgotten.
MOST = 2_000

Result = TypeVar("Result")


class SignInStore(Protocol):
    """Sign-ins by their ids, and names that lead to ids: those of links, terminals and nonces.

    All methods that wait raise RecordUnavailable if the store cannot be reached.
    """

    def now(self) -> float:
        """Return the time by which sign-ins are kept, in seconds."""

    async def add(self, sign_in: SignIn, names: Sequence[str], seconds: float) -> None:
        """Keep a new sign-in, and let new names lead to it for so many seconds. Raises SignInLimit."""

    async def change(self, sign_in_id: str, work: Callable[[SignIn], Result]) -> Result:
        """Run ``work`` on a sign-in while nobody else does, and keep what it changed, even if it raises KioskError.

        Afterwards the sign-in is forgotten if it has been over for long enough. Raises PhoneSignInUnknown.
        """

    async def find(self, name: str) -> str:
        """Return the id that a name leads to, or ""."""

    async def lead(self, name: str, sign_in_id: str, seconds: float) -> str:
        """Let a name lead to an id for so many seconds. Returns the id that it led to before, or ""."""

    async def claim(self, name: str, sign_in_id: str, seconds: float) -> bool:
        """Let a name lead to an id for so many seconds unless it leads to another. Returns whether it leads there."""

    async def due(self) -> Sequence[str]:
        """Return the ids of sign-ins whose time is over, and forget names whose time is over."""

    async def close(self) -> None:
        """Let go of everything."""


class MemoryStore:
    """Sign-ins in the memory of one broker. They end with it."""

    def __init__(self, clock: Clock, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._sign_ins: dict[str, SignIn] = {}
        # Ids, and until when the names lead to them.
        self._names: dict[str, tuple[str, float]] = {}

    def __len__(self) -> int:
        """Return how many sign-ins and names are kept."""
        return len(self._sign_ins) + len(self._names)

    def now(self) -> float:
        return self._clock.now()

    async def add(self, sign_in: SignIn, names: Sequence[str], seconds: float) -> None:
        if len(self._sign_ins) >= self._most:
            raise SignInLimit(f"{self._most} sign-ins are under way")
        self._sign_ins[sign_in.id] = sign_in
        self._names |= dict.fromkeys(names, (sign_in.id, self.now() + seconds))

    async def change(self, sign_in_id: str, work: Callable[[SignIn], Result]) -> Result:
        sign_in = self._sign_ins.get(sign_in_id)
        if sign_in is None:
            raise PhoneSignInUnknown("no such sign-in")
        try:
            return work(sign_in)
        finally:
            if sign_in.is_forgotten(self.now()):
                del self._sign_ins[sign_in_id]

    async def find(self, name: str) -> str:
        sign_in_id, until = self._names.get(name, ("", 0.0))
        return sign_in_id if self.now() < until else ""

    async def lead(self, name: str, sign_in_id: str, seconds: float) -> str:
        before = await self.find(name)
        self._names[name] = sign_in_id, self.now() + seconds
        return before

    async def claim(self, name: str, sign_in_id: str, seconds: float) -> bool:
        holder = await self.find(name)
        if not holder:
            await self.lead(name, sign_in_id, seconds)
        return holder in {"", sign_in_id}

    async def due(self) -> Sequence[str]:
        now = self.now()
        self._names = {name: led for name, led in self._names.items() if now < led[1]}
        return [one.id for one in self._sign_ins.values() if now >= one.until]

    async def close(self) -> None:
        self._sign_ins.clear()
        self._names.clear()
