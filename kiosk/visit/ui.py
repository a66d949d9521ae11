"""The interface between flow and UI: one method for each step of a visit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from kiosk.errors import KioskError
from kiosk.models import Device, Person
from kiosk.terminal.recorders import Recorders
from kiosk.visit.answers import (
    AfterCard,
    AfterCheck,
    AfterReveal,
    Choice,
    DigitsNotice,
    Identity,
    Network,
    Renewal,
    SignInOutcome,
)
from kiosk.visit.phone_progress import PhoneProgress

if TYPE_CHECKING:
    from kiosk.identity.device_code import DeviceCode
    from kiosk.visit.reveal import Reveal


class VisitUI(Protocol):
    """Shows steps. Each method returns with the person's answer and may be cancelled at any moment."""

    async def welcome(self) -> None:
        """Show the first screen. Returns when somebody begins."""

    def network(self, network: Network) -> None:
        """Report the state of the network that ended the last visit. Only called during ``welcome``."""

    async def working(self, words: str, step: int) -> None:
        """Say that a request takes longer than a moment. Returns when the person gives up waiting."""

    async def phone_sign_in(self, sign_in: PhoneProgress, *, renewal: Renewal | None) -> None:
        """Show link, words, and how far the phone is. Returns when the person cancels. ``renewal``: the link is new."""

    async def digits(self, sign_in: PhoneProgress, *, tries: int, notice: DigitsNotice | None) -> bytearray | None:
        """Ask for the digits that the phone shows, and say who signed in. Returns None if that is somebody else.

        ``tries`` are left; ``notice`` says why they are asked for again.
        """

    async def device_code(self, code: DeviceCode, *, renewal: Renewal | None) -> SignInOutcome:
        """Show where and with which code to sign in, and whether the service answers. ``renewal``: it is a new code."""

    async def confirm(self, person: Person) -> Identity:
        """Ask whether the person at the terminal is the one who signed in."""

    async def devices(self, devices: Sequence[Device], *, chosen: str) -> Device | None:
        """Ask which Mac; the list opens on the one with the id ``chosen``. Returns None to finish."""

    async def reason(self, prompt: str | None, *, required: bool, typed: str) -> str | None:
        """Ask why the key is needed. ``typed`` is the reason that was not accepted before. Returns None to go back."""

    async def reveal(self, reveal: Reveal, recorders: Recorders) -> AfterReveal:
        """Show the key; ``recorders`` may be recording it."""

    async def copy_check(self, reveal: Reveal) -> AfterCheck:
        """Check what the person wrote down. The key is hidden, and its time may end meanwhile."""

    async def what_now(self, device: Device) -> AfterCard:
        """Explain what to do at the locked Mac and afterwards."""

    async def trouble(self, error: KioskError, *, leave: str, step: int, device: Device | None) -> Choice:
        """Show an error and the Mac that it concerns. ``leave`` is the marked label of the way back."""
