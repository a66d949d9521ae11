"""A person who uses a kiosk with the keyboard and a phone, against a sandbox and a broker."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
from collections.abc import AsyncIterator, Callable

from textual.pilot import Pilot

from kiosk.clock import SystemClock
from kiosk.fullscreen.app import KioskApp
from kiosk.models import Ending
from kiosk.terminal.recorders import Recorders
from kiosk.visit.context import VisitContext
from tests.support.screen_app import rows
from tests.support.services import Services
from tests.support.time_limit import TimeLimit

KEY = re.compile(r"\b[A-Z0-9]{4}(-[A-Z0-9]{4}){5}\b")
PATIENCE_SECONDS = 20


class PhoneClock(SystemClock):
    """A clock with which the kiosk polls for the token when the phone has answered, not every second."""

    def __init__(self) -> None:
        self.answered = asyncio.Event()

        self.skipped = 0.0

    def now(self) -> float:
        return super().now() + self.skipped

    async def sleep(self, seconds: float) -> None:
        await self.answered.wait()
        self.answered.clear()


class KioskUser:
    """A person in front of a kiosk that shows its welcome screen."""

    def __init__(self, app: KioskApp, pilot: Pilot[None], running: Services, clock: PhoneClock) -> None:
        self.app = app
        self.running = running
        self._pilot = pilot
        self._clock = clock

    @property
    def text(self) -> str:
        return "\n".join(rows(self.app))

    async def press(self, *keys: str) -> None:
        # The kiosk collects garbage at each change of screens; what there is already would be looked at each time.
        gc.freeze()
        await self._pilot.press(*keys)

    async def until(self, holds: str | Callable[[str], object]) -> str:
        limit = TimeLimit(PATIENCE_SECONDS)
        while not limit.passed():
            text = self.text
            if (holds in text) if isinstance(holds, str) else holds(text):
                return text
            await asyncio.sleep(0.02)
        raise AssertionError(f"never seen: {holds}\n{self.text}")

    async def code(self) -> str:
        await self.until("Enter it only if you are at this kiosk")
        code = re.search(r"(?:^| )((?:\w ){6,}\w)(?= |$)", self.text, re.MULTILINE)
        assert code, self.text
        return code[1].replace(" ", "")

    async def sign_in(self, who: str) -> None:
        """Approve the code on the phone. ``who`` must be a full name if only the tenant's own file has the person."""
        known = self.running.sandbox.data.find_person(who)
        async with self.running.sandbox.phone() as phone:
            await phone.approve(await self.code(), known.oid if known else who)
        self.phone_answered()

    async def decline(self) -> None:
        async with self.running.sandbox.phone() as phone:
            await phone.decline(await self.code())
        self.phone_answered()

    def let_go(self) -> None:
        """Let a moment pass without a key press."""
        self._clock.skipped += 2.0

    def phone_answered(self) -> None:
        """Let the kiosk poll for the token."""
        self._clock.answered.set()

    async def walk_to_confirm(self, who: str) -> None:
        await self.until("Press Enter to begin")
        await self.press("enter")
        await self.sign_in(who)
        await self.until("Is this you?")

    async def walk_to_devices(self, who: str) -> None:
        await self.walk_to_confirm(who)
        self.let_go()
        await self.press("enter")
        await self.until("Which Mac is locked?")


@contextlib.asynccontextmanager
async def kiosk_user(
    running: Services, *, terminal: str = "tty-test", look: Callable[[], Recorders] = Recorders
) -> AsyncIterator[KioskUser]:
    """Start a kiosk and show its welcome screen."""
    clock = PhoneClock()
    context = VisitContext(config=running.config, clock=clock, terminal=terminal, find_recorders=look)
    app = KioskApp(context)
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            yield KioskUser(app, pilot, running, clock)
    finally:
        # In production, the process ends here.
        if app.visit:
            await app.visit.end(Ending.FINISHED)
