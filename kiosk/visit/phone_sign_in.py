"""Leads through the sign-in on the phone: the link and the words, then the digits that the phone shows."""

from __future__ import annotations

import asyncio
from typing import Any

from kiosk.errors import BrokerGarbled, BrokerUnreachable, BrokerUntrusted, DigitsWrong, KioskError, PhoneSignInExpired
from kiosk.i18n import N_
from kiosk.identity.phone import PhoneSignIn
from kiosk.models import Ending
from kiosk.sign_in_messages import MOST_TRIES, Stage
from kiosk.visit.answers import DigitsNotice, Renewal
from kiosk.visit.guard import VisitGuard
from kiosk.visit.requests import Requests, cancel
from kiosk.visit.ui import VisitUI
from kiosk.visit.ways_out import VisitOver, WentBack


class PhoneSteps:
    """Begins sign-ins until one results in a token."""

    def __init__(self, requests: Requests, ui: VisitUI, guard: VisitGuard, sign_in: PhoneSignIn) -> None:
        self._requests = requests
        self._ui = ui
        self._guard = guard
        self._sign_in = sign_in

    async def run(self) -> None:
        """Return once the person has signed in. Raises WentBack and VisitOver."""
        renewal: Renewal | None = None
        while True:
            try:
                await self._requests.busy(N_("Starting the sign-in"), 1, self._sign_in.begin())
                await self._until_signed_in(renewal)
                await self._until_confirmed()
                return
            except KioskError as error:
                if isinstance(error, PhoneSignInExpired) and self._sign_in.view.stage is Stage.WAITING:
                    # Nobody has opened the link. If the person has left, the time limit of the visit ends this loop.
                    renewal = Renewal.EXPIRED
                    continue
                renewal = None
                await self._requests.trouble(error, step=1)

    async def _until_signed_in(self, renewal: Renewal | None) -> None:
        polling = asyncio.ensure_future(self._sign_in.past(Stage.WAITING, Stage.OPENED, Stage.SIGNING_IN))
        waiting = asyncio.ensure_future(self._ui.phone_sign_in(self._sign_in, renewal=renewal))
        try:
            await asyncio.wait({polling, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not polling.done():
                waiting.result()
                raise WentBack
            polling.result()
        finally:
            self._guard.disturbed = self._sign_in.unanswered
            await cancel(polling, waiting)

    async def _until_confirmed(self) -> None:
        tries, notice = MOST_TRIES, None
        watching = asyncio.ensure_future(self._sign_in.past(Stage.CONFIRMING))
        try:
            while True:
                digits = await self._digits(watching, tries, notice)
                try:
                    await self._requests.busy(N_("Checking the digits"), 2, self._sign_in.confirm(digits))
                    return
                except DigitsWrong:
                    tries, notice = tries - 1, DigitsNotice.WRONG
                except BrokerUntrusted:
                    raise
                except (BrokerUnreachable, BrokerGarbled):
                    notice = DigitsNotice.UNANSWERED
        finally:
            await cancel(watching)

    async def _digits(self, watching: asyncio.Future[Stage], tries: int, notice: DigitsNotice | None) -> bytearray:
        """Return what the person typed. Raises KioskError if the sign-in ends meanwhile, as at the phone."""
        asking = asyncio.ensure_future(self._ui.digits(self._sign_in, tries=tries, notice=notice))
        try:
            ended: set[asyncio.Future[Any]] = {watching, asking}
            await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                watching.result()
                raise BrokerUnreachable("the answer with the token was lost")
            digits = asking.result()
        finally:
            self._guard.disturbed = self._sign_in.unanswered
            await cancel(asking)
        if digits is None:
            raise VisitOver(Ending.LOCKED)
        return digits
