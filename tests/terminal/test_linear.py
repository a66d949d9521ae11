"""Linear mode on a real terminal: a complete visit, each announcement, signals, hangups and garbage."""

from __future__ import annotations

import os
import pty
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiosk.process.exit_codes import EXIT_LOST
from tests.support.linear import BEGIN, shown_key, spelled, walk_to_key
from tests.support.tenant import Tenant, tenant
from tests.support.terminal import ENTER, ESCAPE, F1, F10, KIOSK, Terminal, dead_end, terminal, visits

FULL_SCREEN = "F3  Text only"
F3 = "\x1bOR"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    with tenant(tmp_path_factory.mktemp("tenant"), reveal_seconds=12, idle_seconds=60) as both:
        yield both


# A visit whose clock runs ten times as fast, without the watchdog, which would consider it stalled.
FAST = """
import asyncio, sys
from pathlib import Path
from kiosk.clock import SystemClock
from kiosk.config.kiosk import KioskConfig
from kiosk.config.loading import load
from kiosk.linear.app import LinearKiosk
from kiosk.visit.context import VisitContext

class Fast(SystemClock):
    def now(self):
        return super().now() * 10

async def visit():
    config = load(Path(sys.argv[1]), KioskConfig)
    kiosk = LinearKiosk(VisitContext(config=config, clock=Fast(), terminal="tty-fast"))
    kiosk.guard.guarded = False
    return await kiosk.run_visit()

sys.exit(asyncio.run(visit()))
"""


def run(folder: Path, *options: str, **visit: object) -> list[str]:
    return ["run", "--config", str(dead_end(folder, **visit)), *options]


def type_in(kiosk: Terminal, words: str, *answers: str) -> None:
    kiosk.press(words + ENTER)
    for answer in answers:
        kiosk.wait_for(answer)


def test_each_time_is_announced(tmp_path: Path) -> None:
    with tenant(tmp_path, reveal_seconds=70, idle_seconds=80) as running:
        kiosk = Terminal([sys.executable, "-P", "-s", "-c", FAST, str(running.kiosk_toml)])
        try:
            walk_to_key(kiosk)
            for mark in (60, 30, 10):
                # Between two ticks several of these seconds pass.
                kiosk.wait_for(*(f"Time left: {seconds} seconds" for seconds in range(mark - 5, mark + 1)))
            kiosk.wait_for("Time is up and the key is no longer shown. Press Enter to get it again.")
            kiosk.wait_for("Are you still there?")
            kiosk.wait_for("There was no activity for a while")
            assert kiosk.exit_code() == 0
        finally:
            kiosk.close()


def test_a_whole_visit_is_typed(running: Tenant) -> None:
    with terminal(*running.arguments, "--linear") as kiosk:
        kiosk.wait_for(BEGIN)
        type_in(kiosk, "help", "Never type your password here", "lock to lock this")
        type_in(kiosk, "", "step 1 of 4: Sign in", "devicelogin", "Then enter the code: ", "valid for 5 minutes")
        kiosk.wait_for("Waiting for your sign-in:")
        type_in(kiosk, "spell", f"{code(kiosk)[0]}: ")
        kiosk.wait_for("You are signed in as Ada Kessler, ada.kessler@nordwind.example")
        kiosk.wait_for("You have 20 seconds")
        # A typing error, corrected: the echo must match what counts.
        type_in(kiosk, "yex\x7fs", "Is this you? yes")
        kiosk.wait_for("Number or name of the Mac:")
        assert "step 3 of 4: Choose" in kiosk.text
        assert "2 Macs are registered to you" in kiosk.text
        type_in(kiosk, "mini", "1. NW-AKESSLER-MINI")
        kiosk.wait_for("2. ", gone=True)
        kiosk.press(ESCAPE)
        kiosk.wait_for("2. NW-AKESSLER-MINI")
        type_in(kiosk, "nothing like this", "No Mac matches")
        type_in(kiosk, "1", "Recovery key of NW-AKESSLER-14", "Group 6: ", "Time left: ")
        key = shown_key(kiosk)
        # The time starts when the key has been spoken, or when Enter interrupts that.
        type_in(kiosk, "", "Time left: 12 seconds")
        type_in(kiosk, "4", f"Group 4: {spelled(key)[3]}")
        assert spelled(key)[2] not in kiosk.text
        type_in(kiosk, "spell", *(f"Group {number}: {words}" for number, words in enumerate(spelled(key), 1)))
        type_in(kiosk, "hide", "The key is hidden")
        assert not [words for words in spelled(key) if words in kiosk.text]
        type_in(kiosk, "show", "Group 6: ")
        type_in(kiosk, "more", "Time left: 12 seconds")
        kiosk.wait_for(*(f"Time left: {seconds} seconds" for seconds in range(5, 11)))
        type_in(kiosk, "dance", "does nothing here")
        kiosk.wait_for("Time is up and the key is no longer shown. Press Enter to get it again.")
        assert "Group" not in kiosk.text
        type_in(kiosk, "", "Group 6: ")
        assert shown_key(kiosk) == key
        type_in(kiosk, "back", "You last chose number 1")
        type_in(kiosk, "lock", "You are signed out. This terminal is locked.", "Nothing from your visit stays")
        type_in(kiosk, "", BEGIN)
        # Only lines: no colours, and no cursor movement except to the top of an empty page.
        sent = bytes(kiosk.raw).split(b"\x1b[?25h", 1)[1].rsplit(b"Press Enter: ", 1)[0]
        assert {part[:2] for part in sent.split(b"\x1b")[1:]} <= {b"[H", b"[2", b"[?", b"[r", b"[m"}
    (first, second) = running.broker.rows("release.closed")[-2:]
    assert (first["outcome"], second["outcome"]) == ("countdown", "hidden")


def code(kiosk: Terminal) -> str:
    return kiosk.text.partition("Then enter the code: ")[2].partition("\n")[0].replace(", ", "")


def test_a_key_is_taken_away_when_the_window_changes(running: Tenant) -> None:
    with terminal(*running.arguments, "--linear") as kiosk:
        walk_to_key(kiosk)
        kiosk.child.setwinsize(20, 60)
        kiosk.screen.resize(20, 60)
        kiosk.wait_for("The key is hidden")
        assert "Group" not in kiosk.text
        type_in(kiosk, "show", "Group 6: ")
        # The terminal reports that it has lost the focus.
        kiosk.press("\x1b[O")
        kiosk.wait_for("The key is hidden")
        assert "Group" not in kiosk.text


def test_in_a_small_window_the_key_is_read_in_parts(running: Tenant) -> None:
    with terminal(*running.arguments, "--linear", rows=9, columns=64) as kiosk:
        while "begin:" not in kiosk.text:
            kiosk.wait_for("There is more", "begin:")
            kiosk.press(ENTER if "There is more" in kiosk.text else "")
            kiosk.settle(0.2)
        type_in(kiosk, "", "signed in as")
        type_in(kiosk, "", "1. NW-AKESSLER-14")
        type_in(kiosk, "1", "Type a number from 1 to 6")
        assert "Group" not in kiosk.text
        type_in(kiosk, "2", "Group 2: ")
        type_in(kiosk, "3", "Group 3: ")
        assert "Group 2: " not in kiosk.text


def test_somebody_changes_to_lines_and_the_next_visit_is_as_usual(tmp_path: Path) -> None:
    with terminal(*run(tmp_path)) as kiosk:
        kiosk.wait_for(FULL_SCREEN)
        kiosk.press(F3)
        kiosk.wait_for(BEGIN)
        kiosk.press(F3)
        kiosk.wait_for(FULL_SCREEN)
        kiosk.press(F3)
        kiosk.wait_for(BEGIN)
        type_in(kiosk, "", "The sign-in service cannot be reached.", "Reference: ", "Press Enter:")
        kiosk.press(F1)
        kiosk.wait_for("read out the reference")
        kiosk.press(F10)
        kiosk.wait_for("This terminal is locked")
        kiosk.press(ENTER)
        kiosk.wait_for(FULL_SCREEN)


def test_the_lock_ends_the_waiting_for_an_answer(tmp_path: Path) -> None:
    """The sign-in service accepts the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = dead_end(tmp_path)
        settings.write_text(settings.read_text().replace("localhost:1/", f"127.0.0.1:{silent.getsockname()[1]}/"))
        with terminal("run", "--config", str(settings), "--linear") as kiosk:
            kiosk.wait_for(BEGIN)
            type_in(kiosk, "", "Type back to cancel:")
            type_in(kiosk, "lock", "You are signed out. This terminal is locked.")
            kiosk.wait_for("Type back to cancel:", gone=True)
            kiosk.press(ENTER)
            kiosk.wait_for(BEGIN)
            assert "Reference" not in kiosk.text


def test_over_ssh_a_change_of_ui_is_not_the_end(tmp_path: Path) -> None:
    with terminal(*run(tmp_path, ui="linear", after="exit")) as kiosk:
        kiosk.wait_for(BEGIN)
        type_in(kiosk, "screen", FULL_SCREEN)
        kiosk.press(F3)
        kiosk.wait_for(BEGIN)
        type_in(kiosk, "", "cannot be reached")
        type_in(kiosk, "back", "You are signed out")
        kiosk.press(ENTER)
        assert kiosk.exit_code() == 0
        assert "signed out" not in kiosk.text


def test_an_unattended_visit_warns_and_locks(tmp_path: Path) -> None:
    with terminal(*run(tmp_path, "--linear", idle_seconds=3)) as kiosk:
        kiosk.wait_for(BEGIN)
        type_in(kiosk, "", "cannot be reached")
        # The time starts when everything has been spoken, or when Enter interrupts that.
        type_in(kiosk, "more", "This terminal locks when nobody presses a key for 3 seconds.")
        kiosk.wait_for("Are you still there? This terminal locks in")
        kiosk.wait_for("There was no activity for a while")
        kiosk.press(ENTER)
        kiosk.wait_for(BEGIN)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xe9\xff\xfe\x1b[1114112u\x1b[48;20000;20000;1;1t\x1b[<0;5;1M\x1b]never ended",
        b"\x03\x1a\x1c\x11\x13\x10\x0f\x04",
        b"a" * 100_000,
        bytes(random.Random(7).randbytes(20_000)).replace(b"\r", b"").replace(b"\n", b""),
    ],
    ids=["sequences", "control keys", "flood", "noise"],
)
def test_garbage_does_not_end_the_kiosk(tmp_path: Path, garbage: bytes) -> None:
    with terminal(*run(tmp_path, "--linear")) as kiosk:
        kiosk.wait_for(BEGIN)
        (child,) = visits(kiosk)
        kiosk.press(garbage)
        kiosk.settle()
        assert visits(kiosk) == [child]
        assert child.memory_info().rss < 100 << 20
        # The garbage may contain Esc, which is a step back: the question is asked again.
        kiosk.press(ESCAPE)
        kiosk.settle()
        type_in(kiosk, "", "cannot be reached")


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGINT])
def test_job_control_has_no_effect(tmp_path: Path, number: int) -> None:
    with terminal(*run(tmp_path, "--linear")) as kiosk:
        kiosk.wait_for(BEGIN)
        (child,) = visits(kiosk)
        child.send_signal(number)
        kiosk.kill(number)
        kiosk.settle()
        assert visits(kiosk) == [child]
        type_in(kiosk, "", "cannot be reached")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal(tmp_path: Path, number: int) -> None:
    with terminal(*run(tmp_path, "--linear"), warm=False) as kiosk:
        kiosk.wait_for(BEGIN)
        (child,) = visits(kiosk)
        kiosk.kill(number)
        assert kiosk.exit_code() == 128 + number
        assert not child.is_running()
        assert kiosk.raw.rindex(b"\x1b[?1049l") > kiosk.raw.rindex(BEGIN.encode())
        assert BEGIN not in kiosk.text


def test_a_hangup_ends_everything(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    with subprocess.Popen(
        [*KIOSK, *run(tmp_path, "--linear")], stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    ) as kiosk:
        os.close(slave)
        seen = b""
        while BEGIN.encode() not in seen:
            seen += os.read(master, 65536)
        (visit,) = visits(kiosk)
        os.close(master)
        # Without a controlling terminal there is no signal; the visit notices by itself.
        assert kiosk.wait(10) == EXIT_LOST
        visit.wait(10)
