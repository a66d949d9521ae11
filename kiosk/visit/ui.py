"""What the flow asks of the person, one method for each step. A face shows it, full screen or line by line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from kiosk.errors import KioskError
from kiosk.models import Device, Person
from kiosk.terminal.recorders import Recorders
from kiosk.visit.answers import AfterCard, AfterCheck, AfterReveal, Choice, Identity, Network, SignInOutcome

if TYPE_CHECKING:
    from kiosk.identity import DeviceCode
    from kiosk.visit.reveal import Reveal


class VisitUI(Protocol):
    """Each method shows one step until there is an answer; it may be cancelled at any moment."""

    async def welcome(self) -> None:
        """Nobody is there. Returns when somebody begins."""

    def network(self, network: Network) -> None:
        """What became of the network that ended the last visit. Comes while ``welcome`` is shown, and only then."""

    async def working(self, words: str, step: int) -> None:
        """A question is under way and takes longer than a moment. Returns when the person gives up waiting."""

    async def sign_in(self, code: DeviceCode, *, renewed: bool) -> SignInOutcome:
        """Where and with which code to sign in; ``renewed`` when it stands in for one that was not used in time."""

    async def confirm(self, person: Person) -> Identity:
        """Is it you who signed in?"""

    async def devices(self, devices: Sequence[Device], *, chosen: str) -> Device | None:
        """Which Mac? Opens on the one with the id ``chosen``. None to finish."""

    async def reason(self, prompt: str | None, *, required: bool, typed: str) -> str | None:
        """Why is the key needed? ``typed`` was typed before and not taken. None to go back."""

    async def reveal(self, reveal: Reveal, recorders: Recorders) -> AfterReveal:
        """The key; ``recorders`` is what may be recording it."""

    async def copy_check(self, reveal: Reveal) -> AfterCheck:
        """Is what you wrote down right? The key is hidden meanwhile, and its time may end."""

    async def what_now(self, device: Device) -> AfterCard:
        """What to do at the locked Mac, and what comes after."""

    async def trouble(self, error: KioskError, *, leave: str, step: int, device: Device | None) -> Choice:
        """What went wrong, with the Mac that it is about; ``leave`` says in words where the way back leads."""
