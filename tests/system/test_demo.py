"""The whole product as a newcomer starts it: kiosk demo in a real terminal, the keyboard only."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.terminal import DOWN, ENTER, ESCAPE, F9, F10, KIOSK, PATIENCE_SECONDS, terminal
from tests.support.time_limit import TimeLimit

KEY = re.compile(r"\b([A-Z0-9]{4}(?:-[A-Z0-9]{4}){5})\b")
WELCOME = "Locked out of your Mac?"
ASKS_FOR_DIGITS = "Type the six digits from your phone"
DIGITS = re.compile(r"Simulated phone: (\d{3} \d{3})")
# Somebody who presses Enter again sooner is taken for a key that is held down.
APART_SECONDS = 1.2


def leftovers() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("kiosk-demo-*"))


def family(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=15)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


class Pane:
    """A pane of tmux on a server of its own."""

    def __init__(self, name: str, command: str) -> None:
        self._name = name
        self.tmux("new-session", "-d", "-x", "80", "-y", "24", command)

    def tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._name, "-f", "/dev/null", *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout

    def text(self, *, history: bool = False) -> str:
        return self.tmux("capture-pane", "-p", *(["-S", "-"] if history else []))

    def press(self, key: str) -> None:
        self.tmux("send-keys", key)

    def until(self, holds: Callable[[str], object], patience: float = PATIENCE_SECONDS) -> str:
        limit = TimeLimit(patience)
        while not limit.passed():
            if holds(text := self.text()):
                return text
            time.sleep(0.1)
        raise AssertionError(self.text())


@pytest.fixture
def pane(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Pane]]:
    if not shutil.which("tmux"):
        pytest.skip("tmux is not installed")
    names: list[str] = []

    def start(arguments: str) -> Pane:
        names.append(f"kiosk-test-{time.monotonic_ns()}")
        return Pane(names[-1], " ".join(KIOSK) + " demo " + arguments)

    yield start
    for name in names:
        subprocess.run(["tmux", "-L", name, "kill-server"], check=False, capture_output=True)


def test_enter_and_the_digits_alone_walk_to_the_key_and_time_takes_it_away(pane: Callable[[str], Pane]) -> None:
    before = leftovers()
    kiosk = pane("--person Ada\\ Kessler --reveal-seconds 8 --idle-seconds 20")
    kiosk.until(lambda text: WELCOME in text)
    pressed_on: set[str] = set()
    typed: set[str] = set()
    last = time.monotonic()

    def walk(text: str) -> object:
        nonlocal last
        # One press for each new screen that says what Enter does.
        heading = next((line for line in text.splitlines() if line.startswith("  ") and line.strip()), "")
        if " Enter " in text and (screen := heading.strip()) not in pressed_on and not KEY.search(text):
            if time.monotonic() - last < APART_SECONDS:
                return None
            if ASKS_FOR_DIGITS in text and not typed:
                if not (said := DIGITS.search(text)):
                    return None
                typed.add(said[1])
                kiosk.press(said[1])
                last = time.monotonic()
                return None
            pressed_on.add(screen)
            kiosk.press("Enter")
            last = time.monotonic()
        return KEY.search(text)

    shown = kiosk.until(walk)
    found = KEY.search(shown)
    assert found
    groups = found[1].split("-")
    hidden = kiosk.until(lambda text: "key is no longer shown" in text, patience=15)
    assert not [group for group in groups if group in hidden]
    kiosk.press("Enter")
    again = kiosk.until(KEY.search)
    assert found[1] in again
    kiosk.until(lambda text: "You are signed out" in text, patience=45)
    kiosk.until(lambda text: WELCOME in text)
    assert not [group for group in groups if group in kiosk.text(history=True)]
    kiosk.tmux("kill-server")
    limit = TimeLimit(15)
    while leftovers() - before and not limit.passed():
        time.sleep(0.1)
    assert leftovers() <= before


def test_the_phone_can_be_played_in_the_demo_and_esc_walks_back() -> None:
    with terminal("demo") as kiosk:
        kiosk.wait_for(WELCOME)
        kiosk.press(ENTER)
        kiosk.wait_for("press F9 for the simulated phone")
        kiosk.press(F9)
        kiosk.wait_for("Who is signing in?")
        kiosk.press(DOWN)
        kiosk.wait_for("▶ Jonas Brandt")
        kiosk.press(ENTER)
        kiosk.wait_for(ASKS_FOR_DIGITS)
        kiosk.wait_for("Jonas Brandt")
        kiosk.wait_for("Simulated phone: ")
        said = DIGITS.search(kiosk.text)
        assert said
        kiosk.press(said[1] + ENTER)
        kiosk.wait_for("Which Mac is locked?")
        kiosk.press(ENTER)
        kiosk.wait_for("Recovery key of")
        kiosk.wait_for("Time left")
        key = KEY.search(kiosk.text)
        assert key
        kiosk.press(ESCAPE)
        kiosk.wait_for("Which Mac is locked?")
        kiosk.press(ESCAPE)
        kiosk.wait_for("You are signed out")
        kiosk.press(ENTER)
        kiosk.wait_for(WELCOME)
        assert not [group for group in key[1].split("-") if group in kiosk.text]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_everything_ends_with_the_demo_and_nothing_stays(number: int) -> None:
    before = leftovers()
    with terminal("demo", "--person", "Ada Kessler") as kiosk:
        kiosk.wait_for(WELCOME)
        processes = family(kiosk.pid)
        names = " ".join(" ".join(process.cmdline()) for process in processes)
        assert " sandbox " in names
        assert " broker " in names
        assert " sign-in " in names
        kiosk.kill(number)
        assert kiosk.exit_code() == 128 + number
        assert gone(processes[1:])
    assert leftovers() <= before


def test_the_demo_still_shows_device_codes() -> None:
    with terminal("demo", "--device-code", "--person", "Ada Kessler") as kiosk:
        kiosk.wait_for(WELCOME)
        assert not [process for process in family(kiosk.pid) if "sign-in" in process.cmdline()]
        kiosk.press(ENTER)
        kiosk.wait_for("Enter it only if you are at this kiosk")
        kiosk.wait_for("Is this you?")


@pytest.mark.parametrize(("part", "arguments"), [("sandbox", ["--device-code"]), ("broker", [])])
def test_a_part_that_dies_is_told_in_words(part: str, arguments: list[str]) -> None:
    with terminal("demo", "--person", "Ada Kessler", *arguments) as kiosk:
        kiosk.wait_for(WELCOME)
        (victim,) = [process for process in family(kiosk.pid) if part in process.cmdline()]
        victim.kill()
        kiosk.press(ENTER)
        kiosk.wait_for("cannot be reached" if part == "sandbox" else "gets no reply from the recovery service")
        kiosk.press(F10)
        kiosk.wait_for("This terminal is locked")


def test_an_unknown_person_is_one_line() -> None:
    with terminal("demo", "--person", "Nobody In Particular") as kiosk:
        assert kiosk.exit_code() == 2
        assert "sandbox: approve: expected one of Ada Kessler" in kiosk.text
        assert "Traceback" not in kiosk.text
