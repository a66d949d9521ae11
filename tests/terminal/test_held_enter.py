"""An Enter that is held down walks to "Is this you?" and not past it."""

from __future__ import annotations

from pathlib import Path

from tests.support.tenant import WELCOME, tenant
from tests.support.terminal import ENTER, PATIENCE_SECONDS, terminal
from tests.support.time_limit import TimeLimit

_REPEAT_SECONDS = 0.03
_PAUSE_SECONDS = 1.1


def test_a_held_enter_does_not_say_who_one_is(tmp_path: Path) -> None:
    with tenant(tmp_path) as running, terminal(*running.arguments) as kiosk:
        kiosk.wait_for(WELCOME)
        limit = TimeLimit(PATIENCE_SECONDS)
        while "Let go of Enter" not in kiosk.text:
            assert not limit.passed(), kiosk.text
            kiosk.press(ENTER)
            kiosk.read(_REPEAT_SECONDS)
        for _ in range(30):
            kiosk.press(ENTER)
            kiosk.read(_REPEAT_SECONDS)
        assert "Is this you?" in kiosk.text
        kiosk.settle(_PAUSE_SECONDS)
        kiosk.press(ENTER)
        kiosk.wait_for("Which Mac is locked?")
