"""The interface of both ways to sign in, for everything that comes after the sign-in."""

from __future__ import annotations

from typing import Protocol


class SignIn(Protocol):
    """One sign-in of one person. Results in an access token, which only ``authorization`` returns."""

    @property
    def signed_in(self) -> bool:
        """Whether there is a token."""

    @property
    def correlation_id(self) -> str:
        """The id of this sign-in in Entra ID's logs; empty if the kiosk does not know it."""

    def authorization(self) -> str:
        """Return the value of the Authorization header for the broker."""

    async def abandon(self) -> None:
        """Tell the others that nobody waits for this sign-in any more, if it is under way. Never raises KioskError."""

    def forget(self) -> None:
        """Drop the token, and everything with which one could still be had."""
