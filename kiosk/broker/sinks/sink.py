"""What a sink is, and how seconds are bounded in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kiosk.broker.chain import Appended

CONNECT_SECONDS = 2.0
SEND_SECONDS = 3.0
APPLICATION = "kiosk-broker"


class Sink(Protocol):
    """Somewhere that rows and checkpoints are sent to."""

    def send(self, batch: Sequence[Appended]) -> None:
        """Send in order; what is not raised is delivered, as far as this kind can tell. Raises OSError or HTTPError.

        Runs on a thread of its own and takes ``CONNECT_SECONDS`` and ``SEND_SECONDS`` at most.
        """

    def close(self) -> None:
        """Drop what is open."""
