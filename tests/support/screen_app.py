"""A full-screen app without a flow, in which a test shows one screen at a time."""

from __future__ import annotations

import asyncio
import gc
import math
from datetime import UTC, datetime
from typing import Any

from textual.pilot import Pilot

from kiosk import i18n
from kiosk.clock import Deadline
from kiosk.config.kiosk import DeviceCodeSettings, KioskConfig, Organisation, SignInSettings
from kiosk.fullscreen.app import KioskApp
from kiosk.models import Device, Ending, Person, SignInMethod
from kiosk.screens.base import KioskScreen
from kiosk.screens.welcome import WelcomeScreen
from kiosk.secret import SecretBuffer
from kiosk.visit.context import VisitContext
from kiosk.visit.reveal import Reveal, Times
from tests.support.clock import ManualClock

CONFIG = KioskConfig(
    organisation=Organisation(name="Nordwind Logistics", helpdesk="IT Helpdesk, ground floor, +46 8 555 010 20"),
    sign_in=SignInSettings(method=SignInMethod.DEVICE_CODE),
    device_code=DeviceCodeSettings(authority="https://localhost:1/t", client_id="c", scope="api://a/Session.Open"),
)
PERSON = Person(tid="t", oid="o", name="Astrid Lindqvist", address="astrid.lindqvist@nordwind.example")
KEY = b"HJ4W-7QXB-MNPR-K2LC-9YTG-D5FA"


def device(name: str = "Astrid's MacBook Pro", **changes: Any) -> Device:
    values: dict[str, Any] = {
        "id": "d1",
        "name": name,
        "model": "MacBook Pro",
        "serial": "C02XK1ABJG5H",
        "os": "macOS",
        "os_version": "26.1",
        "last_seen": datetime(2026, 11, 21, 8, 0, tzinfo=UTC),
        **changes,
    }
    return Device(**values)


class ScreenApp(KioskApp):
    """Shows the screens that it is given. Contacts no service."""

    def __init__(self, config: KioskConfig = CONFIG, *, note: str = "") -> None:
        self.hand = ManualClock()
        self.endings: list[Ending] = []
        super().__init__(VisitContext(config=config, clock=self.hand, note=note))

    def _follow_flow(self) -> None:  # type: ignore[override]
        return

    def deadline(self, seconds: float) -> Deadline:
        return Deadline.after(self.hand, seconds)

    def reveal(self, key: bytes = KEY, seconds: float = 300, **changes: Any) -> Reveal:
        """Return a reveal of a released key."""
        return Reveal(
            device(**changes),
            "r",
            lambda: SecretBuffer(bytes(bytearray(key))),
            Times(seconds, 3 * seconds, math.inf),
            self.hand,
            lambda _reveal, how: self.endings.append(how),
        )

    async def put(self, screen: KioskScreen[Any], pilot: Pilot[None]) -> asyncio.Task[Any]:
        """Show a screen. Returns a task whose result is the screen's answer."""
        # The kiosk collects garbage at each change of screens; what there is already would be looked at each time.
        gc.freeze()
        task = asyncio.create_task(self.show(screen))
        await pilot.pause()
        return task


def checkable(app: ScreenApp, wrong: str) -> Reveal:
    """Return a reveal for which ``wrong`` fails the copy check; one wrong group in 1024 would pass it."""
    while True:
        reveal = app.reveal()
        check = reveal.copy_check
        assert check
        if not any(check._same(group, bytearray(wrong.encode())) for group in range(6)):
            return reveal


def welcome(app: KioskApp) -> WelcomeScreen:
    """Return the welcome screen, in all languages."""
    organisation = app.config.organisation
    return WelcomeScreen(app.clock, organisation.helpdesk, organisation.portal, languages=i18n.LANGUAGES)


def rows(app: KioskApp) -> list[str]:
    """Return the text on the screen, row by row."""
    lines = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in line)[: app.size.width].rstrip() for line in lines]
