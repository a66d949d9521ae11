"""The full-screen UI: each step of a visit is a screen, imported when it is shown (see kiosk/process/preload.py)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from kiosk import i18n
from kiosk.errors import KioskError
from kiosk.models import Device, Person
from kiosk.screens.base import Answer, KioskScreen
from kiosk.screens.welcome import WelcomeScreen
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
from kiosk.visit.context import VisitContext
from kiosk.visit.phone_progress import PhoneProgress
from kiosk.wording import key_warning, wait_after

if TYPE_CHECKING:
    from kiosk.identity.device_code import DeviceCode
    from kiosk.visit.reveal import Reveal


class ScreenHost(Protocol):
    """What the UI needs of the app."""

    async def show(self, screen: KioskScreen[Answer]) -> Answer:
        """Show a screen in place of the current one; returns its answer."""

    def offer(self, play: Callable[[str], Awaitable[None]] | None) -> None:
        """Let the simulated phone be played: ``play`` signs in the person with an object id. None for no longer."""


class FullScreenUI:
    """Implements ``kiosk.visit.ui.VisitUI`` with screens."""

    def __init__(
        self,
        host: ScreenHost,
        context: VisitContext,
        *,
        ticket: Callable[[KioskError, Device | None], str],
        repeats: Callable[[], bool],
    ) -> None:
        """``ticket`` returns the text for a ticket about an error.

        ``repeats`` returns whether the last key press may come from a key that is held down.
        """
        self._host = host
        self._context = context
        self._ticket = ticket
        self._repeats = repeats
        self._clock = context.clock
        self._organisation = context.config.organisation
        self._welcome: WelcomeScreen | None = None

    def first_screen(self) -> WelcomeScreen:
        """Return the welcome screen, made before the flow asks for it."""
        organisation, offered = self._organisation, self._context.config.look.languages
        self._welcome = WelcomeScreen(
            self._clock,
            organisation.helpdesk,
            organisation.portal,
            languages={code: name for code, name in i18n.available().items() if code in offered},
            notice=organisation.notice or "",
            failed=self._context.start.failed,
            demo=bool(self._context.note),
        )
        return self._welcome

    async def welcome(self) -> None:
        await self._host.show(self._welcome or self.first_screen())

    def network(self, network: Network) -> None:
        if self._welcome:
            self._welcome.say_network(network)

    async def working(self, words: str, step: int) -> None:
        from kiosk.screens.working import WorkingScreen

        await self._host.show(WorkingScreen(words, step=step))

    async def phone_sign_in(self, sign_in: PhoneProgress, *, renewal: Renewal | None) -> None:
        from kiosk.screens.phone_sign_in import PhoneSignInScreen

        phone = self._context.phone

        async def play(oid: str) -> None:
            if phone:
                phone.open_link(sign_in.view.scan, sign_in.words, oid)

        if phone:
            phone.put_away()
            self._host.offer(play)
            if phone.person:
                await play(phone.person)
        try:
            await self._host.show(PhoneSignInScreen(sign_in, renewal=renewal, phone=phone is not None))
        finally:
            self._host.offer(None)

    async def digits(self, sign_in: PhoneProgress, *, tries: int, notice: DigitsNotice | None) -> bytearray | None:
        from kiosk.screens.digits import DigitsScreen

        phone = self._context.phone
        said = (lambda: phone.said) if phone else lambda: ""
        return await self._host.show(DigitsScreen(sign_in, tries=tries, notice=notice, said=said))

    async def device_code(self, code: DeviceCode, *, renewal: Renewal | None) -> SignInOutcome:
        from kiosk.screens.device_code import DeviceCodeScreen

        phone = self._context.phone
        if phone:
            self._host.offer(partial(phone.approve, code.user_code))
        try:
            return await self._host.show(
                DeviceCodeScreen(
                    code.user_code,
                    code.address,
                    code.deadline,
                    answers=code.answers,
                    renewal=renewal,
                    phone=phone is not None,
                )
            )
        finally:
            self._host.offer(None)

    async def confirm(self, person: Person) -> Identity:
        from kiosk.screens.confirm import ConfirmScreen

        return await self._host.show(ConfirmScreen(person, self._clock, self._repeats))

    async def devices(self, devices: Sequence[Device], *, chosen: str) -> Device | None:
        from kiosk.screens.devices import DevicesScreen

        helpdesk, now = self._organisation.helpdesk, self._clock.utc()
        return await self._host.show(DevicesScreen(devices, helpdesk, now, chosen=chosen))

    async def reason(self, prompt: str | None, *, required: bool, typed: str) -> str | None:
        from kiosk.screens.reason import ReasonScreen

        return await self._host.show(ReasonScreen(prompt, required=required, typed=typed))

    async def reveal(self, reveal: Reveal, recorders: Recorders) -> AfterReveal:
        from kiosk.screens.reveal import RevealScreen

        return await self._host.show(
            RevealScreen(
                reveal,
                warning=key_warning(reveal.warning, recorders),
                masked=recorders.masks,
            )
        )

    async def copy_check(self, reveal: Reveal) -> AfterCheck:
        from kiosk.screens.copy_check import CopyCheckScreen

        check = reveal.copy_check
        assert check is not None, "a key of unusual form has no groups to check"
        return await self._host.show(CopyCheckScreen(reveal, check, self._clock))

    async def what_now(self, device: Device) -> AfterCard:
        from kiosk.screens.what_now import WhatNowScreen

        return await self._host.show(WhatNowScreen(device, self._organisation.helpdesk))

    async def trouble(self, error: KioskError, *, leave: str, step: int, device: Device | None) -> Choice:
        from kiosk.screens.trouble import TroubleScreen

        return await self._host.show(
            TroubleScreen(
                error,
                self._organisation,
                leave=leave,
                step=step,
                device=device,
                ticket=self._ticket(error, device),
                wait=wait_after(error, self._clock),
            )
        )
