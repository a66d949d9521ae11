"""A million bytes of noise through a real terminal: the kiosk survives, does not grow, and serves the next person."""

from __future__ import annotations

import os
import random
import select
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kiosk.fullscreen.keyboard import PASTE_QUIET_SECONDS
from tests.support.noise import grammar
from tests.support.tenant import Tenant, tenant, walk_to_key
from tests.support.terminal import ENTER, ESCAPE, F10, Terminal, dead_end, terminal
from tests.support.time_limit import TimeLimit

WELCOME = "Locked out of your Mac?"
FAULT = b"ended in an error"
MOST_RSS_MIB = 80
# After a pause this long, the kiosk treats input as keys again, and no longer as the rest of a flood.
_BREATH_SECONDS = 0.15
_QUIET_SECONDS = 0.4
_SECONDS = 45.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    with tenant(tmp_path_factory.mktemp("tenant"), reveal_seconds=30, idle_seconds=60) as both:
        yield both


class Noise:
    """Writes to the kiosk without waiting, reads its output meanwhile, and measures its memory."""

    def __init__(self, kiosk: Terminal) -> None:
        self._kiosk = kiosk
        self._line = kiosk.child.child_fd
        self._supervisor = psutil.Process(kiosk.pid)
        self._looked = 0.0
        self.peak_mib = 0.0

    def send(self, data: bytes) -> None:
        """Write all the data."""
        left = memoryview(data)
        limit = TimeLimit(_SECONDS)
        os.set_blocking(self._line, False)
        while left:
            assert not limit.passed(), "the kiosk does not read"
            readable, writable, _ = select.select([self._line], [self._line], [], 1)
            if writable:
                left = left[os.write(self._line, left[:4096]) :]
            if readable:
                self._take()
        os.set_blocking(self._line, True)

    def listen(self, seconds: float) -> bool:
        """Whether the kiosk draws anything within this time. Returns as soon as it does."""
        drawn = bool(select.select([self._line], [], [], seconds)[0])
        if drawn:
            self._take()
        return drawn

    def pause(self, seconds: float) -> None:
        """Read output for a while."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.listen(left)

    def until_quiet(self) -> None:
        """Read until the kiosk has drawn nothing for a while."""
        limit = TimeLimit(_SECONDS)
        while self.listen(_QUIET_SECONDS):
            assert not limit.passed(), "the kiosk never comes to rest"

    def _take(self) -> None:
        # Terminal.read would draw the output in an emulator, which takes longer than everything else.
        self._kiosk.raw += os.read(self._line, 65536)
        if time.monotonic() - self._looked > 0.1:
            self._looked = time.monotonic()
            for visit in self._supervisor.children():
                try:
                    self.peak_mib = max(self.peak_mib, visit.memory_info().rss / 2**20)
                except psutil.NoSuchProcess:
                    continue


def redrawn(kiosk: Terminal) -> str:
    """Resize the terminal so that the kiosk redraws its screen, and return the text."""
    rows, columns = 30, 101 if kiosk.child.getwinsize()[1] == 100 else 100
    kiosk.screen.reset()
    kiosk.screen.resize(rows, columns)
    kiosk.child.setwinsize(rows, columns)
    kiosk.wait_for("F1", "Enter", "Esc")
    return kiosk.text


def comes_back_to_the_first_screen(kiosk: Terminal) -> None:
    """Get back to the welcome screen from any screen, as a person would."""
    limit = TimeLimit(_SECONDS)
    while WELCOME not in redrawn(kiosk) and not limit.passed():
        kiosk.press(F10)
        kiosk.settle(0.5)
        kiosk.press(ENTER)
        kiosk.settle(0.5)
    kiosk.wait_for(WELCOME)


def unharmed(kiosk: Terminal, noise: Noise) -> None:
    assert FAULT not in kiosk.raw
    assert b"Traceback" not in kiosk.raw
    assert noise.peak_mib < MOST_RSS_MIB


def test_noise_neither_ends_nor_fills_nor_deafens_the_kiosk(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    rng = random.Random(1)
    pieces = grammar(rng)
    sent = 0
    with terminal("run", "--config", str(dead_end(tmp_path))) as kiosk:
        kiosk.wait_for(WELCOME)
        noise = Noise(kiosk)
        while sent < pytestconfig.getoption("--noise"):
            # Bursts that are all read as keys, then a flood that is mostly dropped.
            for count in (*[rng.randrange(1, 10) for _ in range(8)], 3000):
                burst = b"".join(next(pieces) for _ in range(count))
                noise.send(burst)
                sent += len(burst)
                noise.pause(_BREATH_SECONDS)
            kiosk.child.setwinsize(rng.randrange(1, 60), rng.randrange(1, 200))
        noise.until_quiet()
        comes_back_to_the_first_screen(kiosk)
        unharmed(kiosk, noise)
        kiosk.press(ENTER)
        kiosk.wait_for("cannot be reached")


@pytest.mark.skipif(os.geteuid() != 0, reason="the sandbox's broker and the kiosk's memory are looked into")
@pytest.mark.parametrize("back", ["", ESCAPE], ids=["with the key on the screen", "in the list"])
def test_noise_in_the_middle_of_a_visit(running: Tenant, back: str) -> None:
    rng = random.Random(2)
    pieces = grammar(rng)
    with terminal(*running.arguments) as kiosk:
        noise = Noise(kiosk)
        walk_to_key(kiosk)
        if back:
            kiosk.press(back)
            kiosk.wait_for("Which Mac is locked?")
        for count in (2, 5, 1000, 5, 10):
            noise.send(b"".join(next(pieces) for _ in range(count)))
            noise.pause(_BREATH_SECONDS)
        noise.until_quiet()
        comes_back_to_the_first_screen(kiosk)
        unharmed(kiosk, noise)


@pytest.mark.parametrize(
    "flood",
    [
        b"x",
        b"\x1b[A",
        b"\x1b",
        b"\x1bOP\r",
        b"\x1b[200~",
        b"\x1b]0;",
        b"\x1b[1",
        b"\xc3",
        b"\x1b[<0;5;1M",
        b"\x1b[I\x1b[O",
    ],
    ids=["letters", "arrows", "escapes", "help", "pastes", "osc", "csi", "half a character", "mouse", "focus"],
)
def test_a_flood_is_dropped(tmp_path: Path, flood: bytes) -> None:
    """Nobody types that fast. Input after the flood counts again."""
    with terminal("run", "--config", str(dead_end(tmp_path))) as kiosk:
        kiosk.wait_for(WELCOME)
        noise = Noise(kiosk)
        noise.send(flood * (200_000 // len(flood)))
        noise.pause(PASTE_QUIET_SECONDS)
        noise.until_quiet()
        comes_back_to_the_first_screen(kiosk)
        unharmed(kiosk, noise)
        kiosk.press(ENTER)
        kiosk.wait_for("cannot be reached")


def test_a_paste_that_never_ends_is_given_up(tmp_path: Path) -> None:
    """Otherwise everything typed would disappear in the paste."""
    with terminal("run", "--config", str(dead_end(tmp_path))) as kiosk:
        kiosk.wait_for(WELCOME)
        kiosk.press(b"\x1b[200~" + b"pasted\r")
        kiosk.settle(0.5)
        assert WELCOME in kiosk.text
        kiosk.settle(1)
        kiosk.press(ENTER)
        kiosk.wait_for("cannot be reached")
