"""Leads through the sign-in with a device code."""

from __future__ import annotations

import asyncio
import contextlib

from kiosk.errors import SignInError, SignInExpired
from kiosk.i18n import N_
from kiosk.identity.device_code import DeviceCode, DeviceCodeSignIn
from kiosk.visit.answers import Renewal, SignInOutcome
from kiosk.visit.guard import VisitGuard
from kiosk.visit.requests import Requests, cancel
from kiosk.visit.ui import VisitUI
from kiosk.visit.ways_out import WentBack


class DeviceCodeSteps:
    """Shows a code until the person has signed in with it, and a new one when it expires."""

    def __init__(self, requests: Requests, ui: VisitUI, guard: VisitGuard, sign_in: DeviceCodeSignIn) -> None:
        self._requests = requests
        self._ui = ui
        self._guard = guard
        self._sign_in = sign_in

    async def run(self) -> None:
        """Return once the person has signed in. Raises WentBack."""
        renewal: Renewal | None = None
        while True:
            try:
                if self._guard.code_pause:
                    self._guard.code_pause.take(self._guard.clock)
                code = await self._requests.busy(N_("Getting a sign-in code"), 1, self._sign_in.begin())
                outcome = await self._wait(code, renewal)
            except SignInError as error:
                # Renew a code that the service calls expired, like one that expired here, but not twice in a row.
                if isinstance(error, SignInExpired) and renewal is None:
                    renewal = self._renewal()
                    continue
                renewal = None
                await self._requests.trouble(error, step=1)
                continue
            if outcome is SignInOutcome.CANCELLED:
                raise WentBack
            if outcome is None:
                return
            # The code expired. If the person has left, the time limit of the visit ends this loop.
            renewal = self._renewal()

    async def _wait(self, code: DeviceCode, renewal: Renewal | None) -> SignInOutcome | None:
        """Return None once the person has signed in, or what ended the wait. Raises SignInError."""
        polling = asyncio.ensure_future(self._sign_in.wait())
        waiting = asyncio.ensure_future(self._ui.device_code(code, renewal=renewal))
        try:
            await asyncio.wait({polling, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if polling.done():
                return polling.result()
            if waiting.result() is SignInOutcome.EXPIRED:
                # Someone who signed in a moment ago must not be asked to do it again with a new code.
                with contextlib.suppress(SignInExpired):
                    return await self._requests.busy(N_("Checking your sign-in"), 1, polling)
            return waiting.result()
        finally:
            self._guard.disturbed = self._sign_in.unanswered
            await cancel(polling, waiting)

    def _renewal(self) -> Renewal:
        """Return why the code that has just ended is renewed."""
        return Renewal.EXPIRED if self._sign_in.answers() else Renewal.UNANSWERED
