"""A terminal that has stopped reading cannot delay the end of a visit."""

from __future__ import annotations

from pathlib import Path

from kiosk.process.watchdog import STUCK_SECONDS
from tests.support.tenant import tenant, walk_to_key
from tests.support.terminal import ENTER, F1, F10, terminal, visits


def test_an_ending_does_not_wait_for_a_terminal_that_does_not_read(tmp_path: Path) -> None:
    with tenant(tmp_path) as running, terminal(*running.arguments) as kiosk:
        walk_to_key(kiosk)
        (visit,) = visits(kiosk)
        kiosk.press(F10 + ENTER)
        visit.wait(15)


def test_a_stalled_terminal_ends_the_visit_and_the_next_one_begins(tmp_path: Path) -> None:
    with tenant(tmp_path, reveal_seconds=60) as running, terminal(*running.arguments) as kiosk:
        walk_to_key(kiosk)
        (visit,) = visits(kiosk)
        # Each key paints a whole screen, which nobody reads.
        for _ in range(100):
            kiosk.press(F1)
        visit.wait(STUCK_SECONDS + 20)
        kiosk.wait_for("Press Enter to begin")
