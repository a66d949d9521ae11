"""After five idle minutes, a UI that somebody chose gives way to the default one."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiosk.process.exit_codes import EXIT_OTHER_UI
from tests.support.linear import BEGIN
from tests.support.terminal import F1, Terminal, dead_end

# A visit in the other UI, on a clock that the test advances by signals.
VISIT = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.support.clock import ManualClock
from kiosk.config.kiosk import KioskConfig
from kiosk.config.loading import load
from kiosk.launcher import _run_visit
from kiosk.linear.app import LinearKiosk
from kiosk.visit.context import VisitContext

class Told(ManualClock):
    async def sleep(self, seconds):
        for number, passed in ((signal.SIGUSR1, 299), (signal.SIGUSR2, 1)):
            asyncio.get_running_loop().add_signal_handler(number, self.pass_by, passed)
        await super().sleep(seconds)

    def pass_by(self, seconds):
        self.advance(seconds)
        # In the title, where it is in nobody's way.
        print(f"\x1b]0;{self.time:.0f} s\x07", end="", flush=True)

visiting = LinearKiosk(VisitContext(config=load(Path(sys.argv[1]), KioskConfig), clock=Told(), terminal="tty-told"))
visiting.guard.guarded = False
_run_visit(visiting, other_ui=True)
"""


@pytest.fixture
def kiosk(tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal([sys.executable, "-P", "-s", "-c", VISIT, str(dead_end(tmp_path))])
    opened.wait_for(BEGIN)
    yield opened
    opened.close()


def pass_by(kiosk: Terminal, number: int, until: int) -> None:
    kiosk.kill(number)
    while f"{until} s".encode() not in kiosk.raw:
        assert kiosk.read(), kiosk.text


def test_a_ui_that_was_left_gives_way_after_five_minutes(kiosk: Terminal) -> None:
    pass_by(kiosk, signal.SIGUSR1, 1299)
    kiosk.press(F1)
    kiosk.wait_for("Never type your password here")
    kiosk.kill(signal.SIGUSR2)
    assert kiosk.exit_code() == EXIT_OTHER_UI
