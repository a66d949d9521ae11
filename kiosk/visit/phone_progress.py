"""What the UI shows of a sign-in on the phone."""

from __future__ import annotations

from typing import Protocol

from kiosk.clock import Deadline
from kiosk.sign_in_messages import SignInView, WordPair


class PhoneProgress(Protocol):
    """A sign-in on the phone, as far as it is now."""

    @property
    def words(self) -> WordPair:
        """The words that the page asks for."""

    @property
    def view(self) -> SignInView:
        """The newest answer of the broker."""

    @property
    def deadline(self) -> Deadline:
        """When the stage of ``view`` ends."""

    def answers(self) -> bool:
        """Whether the broker answers."""
