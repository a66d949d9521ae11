"""Neither the key nor the typed copy stays in memory, during the copy check and after it."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Iterator

import psutil
import pytest

from tests.support.broker import started_broker
from tests.support.memory import scan, writable_regions
from tests.support.tenant import Tenant, tenant, walk_to_key
from tests.support.terminal import ENTER, Terminal, terminal

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may read the memory of our processes"
)
# Dashes, and the zeros of wider characters.
BETWEEN = b"-\x00"
F2 = "\x1bOQ"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    with tenant(tmp_path_factory.mktemp("tenant"), started_broker, reveal_seconds=20, idle_seconds=600) as both:
        yield both


def copies(kiosk: Terminal, key: str) -> int:
    """Count the copies of the key and of what was typed: lower case, with and without dashes, of any width."""
    typed = ["".join(pair).encode() for pair in itertools.pairwise(key.lower().split("-"))]
    found = 0
    for pid in (kiosk.pid, *(child.pid for child in psutil.Process(kiosk.pid).children())):
        # The visit can end meanwhile, and its memory with it.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += len(scan(pid, key))
            for _, _, content in writable_regions(pid):
                bare = content.translate(None, BETWEEN)
                found += sum(one in bare for one in typed)
    return found


def gone(kiosk: Terminal, key: str) -> None:
    kiosk.settle(0.2)
    assert copies(kiosk, key) == 0


def test_a_copy_is_checked_and_nothing_stays(running: Tenant) -> None:
    with terminal(*running.arguments) as kiosk:
        key = walk_to_key(kiosk)
        kiosk.press(F2)
        kiosk.wait_for("Group 1 of 6")
        kiosk.press(F2)
        kiosk.wait_for("Group 1 of 6", gone=True)
        kiosk.press(ENTER)
        kiosk.wait_for("Check your copy")
        gone(kiosk, key)
        kiosk.press(key.lower()[:14])
        kiosk.wait_for("Group 4: type")
        gone(kiosk, key)
        kiosk.wait_for("Time is up")
        gone(kiosk, key)
        kiosk.press(key.lower()[14:])
        kiosk.wait_for("Your copy is right")
        gone(kiosk, key)
        kiosk.press(ENTER)
        kiosk.wait_for("Page 1 of 2")
        gone(kiosk, key)
        kiosk.press(ENTER)
        kiosk.wait_for("Page 2 of 2")
        kiosk.press(ENTER)
        kiosk.wait_for("You are signed out")
        gone(kiosk, key)
    (checked,) = running.broker.rows("release.checked")
    assert (checked["outcome"], checked["detail"]) == ("right", "6 of 6 groups right")


def test_the_scanner_finds_what_is_typed() -> None:
    """The scanner's own check, with a program that keeps a copy."""
    key = "HJ4W-7QXB-MNPR-K2LC-9YTG-D5FA"
    keeps = "import sys; kept = sys.stdin.readline(); print('kept', flush=True); sys.stdin.readline()"
    kiosk = Terminal([sys.executable, "-c", keeps])
    try:
        kiosk.press(key.lower() + "\r")
        kiosk.wait_for("kept")
        assert copies(kiosk, key) > 0
    finally:
        kiosk.close()
