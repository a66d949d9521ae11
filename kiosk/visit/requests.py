"""Sends the requests of a visit: says when one takes long, shows what went wrong, and retries if the person wants."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from kiosk.errors import (
    BrokerGarbled,
    BrokerUnreachable,
    BrokerUntrusted,
    KioskError,
    ReasonRequired,
    SignInBusy,
    SignInUnreachable,
    SignInUntrusted,
    TokenRefused,
)
from kiosk.i18n import N_
from kiosk.models import Device
from kiosk.process.logging import place_of
from kiosk.visit.answers import Choice
from kiosk.visit.guard import VisitGuard
from kiosk.visit.ui import VisitUI
from kiosk.visit.ways_out import OtherReason, SignInAgain, WentBack

log = logging.getLogger(__name__)

Result = TypeVar("Result")

# A "one moment" screen that only flashes up is worse than none.
_BUSY_AFTER_SECONDS = 0.3


class Requests:
    """Sends requests of one visit."""

    def __init__(self, ui: VisitUI, guard: VisitGuard) -> None:
        self._ui = ui
        self._guard = guard

    async def attempt(
        self,
        words: str,
        step: int,
        request: Callable[[], Awaitable[Result]],
        *,
        leave: str = N_("Finish"),
        device: Device | None = None,
    ) -> Result:
        """Send a request until it succeeds, and return its result. The person decides whether to retry.

        ``leave`` labels the way back.
        """
        while True:
            try:
                return await self.busy(words, step, request())
            except KioskError as error:
                await self.trouble(error, step=step, leave=leave, device=device)
                if isinstance(error, TokenRefused):
                    raise SignInAgain from None
                if isinstance(error, ReasonRequired):
                    raise OtherReason from None

    async def busy(self, words: str, step: int, request: Awaitable[Result]) -> Result:
        """Return the result of a request. If it takes a while, show that it does; the person may stop waiting."""
        task = asyncio.ensure_future(request)
        stopped_waiting: asyncio.Future[None] | None = None
        try:
            done, _ = await asyncio.wait({task}, timeout=_BUSY_AFTER_SECONDS)
            if not done:
                stopped_waiting = asyncio.ensure_future(self._ui.working(words, step))
                await asyncio.wait({task, stopped_waiting}, return_when=asyncio.FIRST_COMPLETED)
                if stopped_waiting.done():
                    # If the screen broke, raise its error: nobody pressed Esc.
                    stopped_waiting.result()
                if not task.done():
                    raise WentBack
            result = task.result()
            self._guard.disturbed = False
            return result
        finally:
            # Also when the visit ends meanwhile: no request may continue behind the goodbye.
            task.cancel()
            if stopped_waiting:
                await cancel(stopped_waiting)

    async def trouble(
        self, error: KioskError, *, step: int, leave: str = N_("Finish"), device: Device | None = None
    ) -> None:
        """Show an error. Returns if the person wants to retry; raises WentBack if not."""
        log.warning("%s %s: %s", error.reference, error.code, error.cause)
        self._guard.disturbed = _is_network_fault(error)
        if await self._ui.trouble(error, leave=leave, step=step, device=device) is Choice.LEAVE:
            raise WentBack


async def cancel(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks that are no longer needed, and wait until they have ended."""
    under_way = [task for task in tasks if not task.done()]
    for task in tasks:
        if task in under_way:
            task.cancel()
        elif not task.cancelled():
            # Retrieve the exception, which may have been overtaken: asyncio would log its whole text.
            task.exception()
    for outcome in await asyncio.gather(*under_way, return_exceptions=True):
        if isinstance(outcome, Exception):
            log_unexpected(outcome)


def log_unexpected(error: BaseException) -> None:
    if not isinstance(error, KioskError):
        log.error("while giving up: %s", place_of(error))


def _is_network_fault(error: KioskError) -> bool:
    """Whether nothing answered, or something other than the service.

    A service that says it is busy was reached. A certificate that is not accepted is no matter of the network.
    """
    nothing = isinstance(error, SignInUnreachable | BrokerUnreachable | BrokerGarbled)
    return nothing and not isinstance(error, SignInBusy | SignInUntrusted | BrokerUntrusted)
