"""Linear mode in a terminal emulator, for tests of single steps."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import pty
from collections.abc import Callable, Iterator
from typing import Any

import pyte
import pytest

from kiosk.linear import app as linear_app
from kiosk.linear.app import LinearKiosk
from kiosk.linear.keys import ENTER
from kiosk.linear.page import Page
from kiosk.linear.speech import Speech
from kiosk.linear.talk import Talk
from kiosk.linear.ui import LinearUI
from kiosk.secret import SecretBuffer
from kiosk.terminal.recorders import Recorders
from kiosk.visit.answers import AfterCheck, AfterReveal
from kiosk.visit.context import VisitContext
from kiosk.visit.reveal import Reveal, Times
from tests.support.clock import ManualClock
from tests.support.screen_app import CONFIG, KEY, device


class LinearTerminal:
    """A page of linear mode in a terminal emulator. Fails when a line scrolls off."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.screen = pyte.HistoryScreen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        self.clock = ManualClock()
        self.locks = 0
        self.speech = Speech(self.clock)
        self.page = Page(self._write, lambda: (self.screen.columns, self.screen.lines), self.speech)
        self.talk = Talk(self.page, helpdesk="Ground floor", lock=self._lock, more=lambda: False)
        self.visit_left = math.inf
        self.left: list[str] = []
        self.ui = LinearUI(
            self.talk,
            VisitContext(config=CONFIG, clock=self.clock),
            ticket=lambda error, _device: f"ticket {error.code}",
            visit_left=lambda: self.visit_left,
            other_ui=lambda: self.left.append("other UI"),
            end_demo=None,
        )

    def _lock(self) -> None:
        self.locks += 1

    @property
    def text(self) -> str:
        """Return the text on the page."""
        while True:
            try:
                self._stream.feed(os.read(self._read, 65536))
            except BlockingIOError:
                break
        assert not self.screen.history.top, "a line has scrolled off"
        return "\n".join(line.rstrip() for line in self.screen.display)

    async def type(self, text: str) -> str:
        """Type a line and return the text that is then on the page."""
        for key in (*text, ENTER):
            self.talk.press(key)
        return await self.settled()

    async def settled(self) -> str:
        for _ in range(10):
            await asyncio.sleep(0)
        return self.text

    def wait(self, seconds: float) -> str:
        """Let time pass, with the kiosk's four ticks a second, and return the text."""
        for _ in range(round(seconds * 4)):
            self.clock.advance(0.25)
            self.talk.step.tick()
        return self.text

    def hear(self) -> str:
        """Let everything be spoken, and return the text."""
        while left := self.speech.left():
            self.wait(math.ceil(left * 4) / 4)
        return self.text

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


@contextlib.contextmanager
def linear_kiosk(clock: ManualClock) -> Iterator[tuple[LinearKiosk, Callable[[], str]]]:
    """The linear kiosk on a terminal, and what reads that."""
    ends = pty.openpty()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for descriptor in ("_INPUT", "_OUTPUT"):
                patch.setattr(linear_app, descriptor, ends[1])
            yield LinearKiosk(VisitContext(config=CONFIG, clock=clock)), lambda: os.read(ends[0], 65536).decode()
    finally:
        for end in ends:
            os.close(end)


def released(clock: ManualClock, key: bytes = KEY, seconds: float = 300) -> Reveal:
    """Return a reveal of a released key."""
    return Reveal(
        device(),
        "r",
        lambda: SecretBuffer(bytes(bytearray(key))),
        Times(seconds, 3 * seconds, math.inf),
        clock,
        lambda _reveal, _how: None,
    )


async def reveal(terminal: LinearTerminal, shown: Any, recorders: Recorders | None = None) -> asyncio.Task[AfterReveal]:
    task = asyncio.create_task(terminal.ui.reveal(shown, recorders or Recorders()))
    await terminal.settled()
    return task


async def check(terminal: LinearTerminal, shown: Reveal) -> asyncio.Task[AfterCheck]:
    shown.hide()
    task = asyncio.create_task(terminal.ui.copy_check(shown))
    await terminal.settled()
    return task
