"""The kiosk on a real terminal: it starts, survives any input, and leaves the terminal clean."""

from __future__ import annotations

import fcntl
import os
import pty
import random
import signal
import subprocess
import sys
import termios
from pathlib import Path

import psutil
import pytest

from kiosk.process.exit_codes import EXIT_LOST, EXIT_NO_TERMINAL
from tests.support.tenant import tenant, walk_to_key
from tests.support.terminal import ENTER, ESCAPE, F1, F10, KIOSK, Terminal, dead_end, terminal

WELCOME = "Locked out of your Mac?"
# Answers of a terminal: that it knows synchronised output, and that it has the focus.
SYNCHRONISES, FOCUSED = "\x1b[?2026;2$y", "\x1b[I"
# How the frame of an earlier visit begins; Textual's own does not.
KEPT_FRAME = b"\x1b[?1049h\x1b[?25l\x1b[?7l"


def run(folder: Path, **visit: object) -> list[str]:
    return ["run", "--config", str(dead_end(folder, **visit))]


def visits(desk: Terminal) -> list[psutil.Process]:
    return psutil.Process(desk.pid).children()


def test_a_visit_that_fails_says_so_and_ends_at_the_welcome_screen(tmp_path: Path) -> None:
    with terminal(*run(tmp_path)) as desk:
        desk.wait_for(WELCOME)
        first = visits(desk)[0].pid
        desk.press(ENTER)
        desk.wait_for("The sign-in service cannot be reached")
        desk.press(F1)
        desk.wait_for("read them the reference")
        desk.press(ESCAPE)
        desk.wait_for("Reference")
        desk.press(ESCAPE)
        desk.wait_for("You are signed out")
        desk.press(ENTER)
        desk.wait_for(WELCOME)
        assert visits(desk)[0].pid != first


@pytest.mark.parametrize("answers", ["", SYNCHRONISES + FOCUSED], ids=["silent", "answering"])
def test_the_next_visit_shows_its_first_screen_at_once_and_misses_no_key(tmp_path: Path, answers: str) -> None:
    """What a terminal says by itself is nobody's key."""
    with terminal(*run(tmp_path)) as desk:
        desk.wait_for(WELCOME)
        desk.press(answers)
        desk.settle(1)
        first, began = desk.text, len(desk.raw)
        desk.press(ENTER)
        desk.wait_for("cannot be reached")
        desk.press(F10)
        desk.wait_for("This terminal is locked")
        desk.press(ENTER)
        desk.wait_for(WELCOME)
        # Its own first frame comes later than this key.
        desk.press(F1)
        desk.wait_for(first.splitlines()[-1])
        assert desk.text == first
        desk.wait_for("your password is never typed here")
        desk.press(ESCAPE)
        desk.wait_for(WELCOME)
        desk.settle(0.5)
        # By now it may say, too, that there is no network.
        assert set(first.splitlines()) <= set(desk.text.splitlines())
        desk.press(ENTER)
        desk.wait_for("cannot be reached")
        assert KEPT_FRAME in desk.raw[began:]


def test_another_size_between_visits_shows_no_old_screen(tmp_path: Path) -> None:
    with terminal(*run(tmp_path)) as desk:
        desk.wait_for(WELCOME)
        desk.settle(1)
        desk.press(ENTER)
        desk.wait_for("cannot be reached")
        desk.press(F10)
        desk.wait_for("This terminal is locked")
        desk.screen.resize(30, 100)
        desk.child.setwinsize(30, 100)
        desk.wait_for("This terminal is locked")
        desk.press(ENTER)
        desk.wait_for(WELCOME)
        desk.settle(0.5)
        assert desk.text.splitlines()[29].split()[-2:] == ["F1", "Help"]


def test_a_network_that_comes_back_is_said_by_the_welcome_screen(tmp_path: Path) -> None:
    """Nothing is asked before a visit has ended without a network, and nothing once it is back."""
    with tenant(tmp_path) as whole, terminal(*whole.arguments) as desk:
        desk.wait_for(WELCOME)
        whole.sandbox.fault(f"/{whole.sandbox.tenant}/*", "reset")
        desk.press(ENTER)
        desk.wait_for("The sign-in service cannot be reached")
        assert len(whole.sandbox.requests()) == 1
        desk.press(ESCAPE)
        desk.wait_for("You are signed out")
        desk.press(ENTER)
        desk.wait_for("This kiosk has no connection at the moment")
        whole.sandbox.clear_faults()
        desk.wait_for("The network is back")
        whole.sandbox.clear_requests()
        walk_to_key(desk)


def test_over_ssh_the_program_ends_after_the_visit(tmp_path: Path) -> None:
    with terminal(*run(tmp_path, after="exit")) as desk:
        desk.wait_for(WELCOME)
        desk.press(ENTER)
        desk.wait_for("cannot be reached")
        desk.press(F10)
        desk.wait_for("This terminal is locked")
        desk.press(ENTER)
        assert desk.exit_code() == 0
        assert "signed out" not in desk.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal(tmp_path: Path, number: int) -> None:
    with terminal(*run(tmp_path)) as desk:
        desk.wait_for(WELCOME)
        child = visits(desk)[0]
        desk.kill(number)
        assert desk.exit_code() == 128 + number
        assert not child.is_running()
        assert WELCOME not in desk.text
        for sequence in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?2004l", b"\x1b[?1004l"):
            assert desk.raw.rindex(sequence) > desk.raw.rindex(WELCOME.encode())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_visit_that_is_killed_is_followed_by_the_next(tmp_path: Path, number: int) -> None:
    with terminal(*run(tmp_path)) as desk:
        desk.wait_for(WELCOME)
        desk.press(ENTER)
        desk.wait_for("cannot be reached")
        visits(desk)[0].send_signal(number)
        desk.wait_for(WELCOME)


def test_no_visit_outlives_its_supervisor(tmp_path: Path) -> None:
    with terminal(*run(tmp_path)) as desk:
        desk.wait_for(WELCOME)
        child = visits(desk)[0]
        desk.kill(signal.SIGKILL)
        child.wait(10)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xe9\xff\xfe",
        b"\x1b[1114112u",
        b"\x1b[1;:2R",
        b"\x1b[48;20000;20000;1;1t",
        b"\x1b[<0;5;1M\x1b[<0;5;1m",
        b"\x1b[I\x1b[O" * 20,
        b"\x1b[200~never ended",
        b"\x03\x1a\x1c\x11\x10\x0f",
        b"\x1b]52;c;ZWNobw==\x07",
        bytes(random.Random(7).randbytes(20_000)).replace(b"\r", b"").replace(b"\n", b""),
    ],
    ids=["latin-1", "csi-u", "colon", "resize", "mouse", "focus", "paste", "control keys", "osc", "noise"],
)
def test_garbage_does_not_end_the_kiosk(tmp_path: Path, garbage: bytes) -> None:
    with terminal(*run(tmp_path)) as desk:
        desk.wait_for(WELCOME)
        child = visits(desk)[0]
        desk.press(garbage)
        desk.settle()
        assert visits(desk) == [child]
        assert child.memory_info().rss < 200 << 20
        assert "Traceback" not in desk.text


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGCONT, signal.SIGINT, signal.SIGQUIT])
def test_job_control_has_no_effect(tmp_path: Path, number: int) -> None:
    with terminal(*run(tmp_path)) as desk:
        desk.wait_for(WELCOME)
        child = visits(desk)[0]
        # What is loaded behind the first screen is loaded in a thread that ends.
        desk.settle(1)
        threads = child.num_threads()
        for _ in range(3):
            child.send_signal(number)
            desk.kill(number)
        desk.settle()
        assert visits(desk) == [child]
        assert child.num_threads() <= threads
        assert child.status() in {psutil.STATUS_SLEEPING, psutil.STATUS_RUNNING}
        desk.press(ENTER)
        desk.wait_for("cannot be reached")


def test_a_hangup_ends_everything(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    with subprocess.Popen(
        [*KIOSK, *run(tmp_path)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        # What login does: the terminal becomes the controlling one, so that its end is a hangup.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as desk:
        os.close(slave)
        seen = b""
        while WELCOME.encode() not in seen:
            seen += os.read(master, 65536)
        (visit,) = psutil.Process(desk.pid).children()
        os.close(master)
        assert desk.wait(10) == EXIT_LOST
        visit.wait(10)


def test_a_line_that_ends_without_a_signal_ends_everything(tmp_path: Path) -> None:
    """End of file and POLLHUP alone: the terminal is nobody's controlling one, so its end is no hangup."""
    master, slave = pty.openpty()
    command = [*KIOSK, *run(tmp_path)]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as desk:
        os.close(slave)
        seen = b""
        while WELCOME.encode() not in seen:
            seen += os.read(master, 65536)
        (visit,) = psutil.Process(desk.pid).children()
        os.close(master)
        assert desk.wait(10) == EXIT_LOST
        visit.wait(10)


def test_the_screen_never_goes_into_a_file(tmp_path: Path) -> None:
    """Textual draws on standard error: with that redirected the kiosk does not start."""
    command = " ".join([*KIOSK, *run(tmp_path)]) + f" 2>{tmp_path}/log"
    desk = Terminal(["/bin/sh", "-c", command])
    assert desk.exit_code() == EXIT_NO_TERMINAL
    assert "expected one terminal" in desk.text
    assert (tmp_path / "log").read_bytes() == b""


@pytest.mark.parametrize("command", ["run", "broker", "sandbox"])
def test_a_missing_configuration_is_one_line_and_code_2(tmp_path: Path, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kiosk", command, "--config", str(tmp_path / "no.toml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no.toml: expected a configuration file: No such file or directory" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read the environment of our processes")
def test_the_environment_has_no_effect(tmp_path: Path) -> None:
    poison = {
        "TEXTUAL_DRIVER": "evil:Driver",
        "TEXTUAL_LOG": str(tmp_path / "keys.log"),
        "TEXTUAL_SCREENSHOT": "1",
        "TEXTUAL_ALLOW_SIGNALS": "1",
        "TEXTUAL_PRESS": "enter",
        "COLUMNS": "20",
        "LINES": "5",
        "PYTHONINSPECT": "1",
    }
    with terminal(*run(tmp_path), env=poison) as desk:
        desk.wait_for(WELCOME)
        desk.press("\x03\x1c")
        desk.settle()
        assert WELCOME in desk.text
        # glibc cuts the value of GLIBC_TUNABLES up in place; its parts then look like names.
        names = {name for name in visits(desk)[0].environ() if not name.startswith("glibc.")}
        assert names <= {
            "PATH",
            "LANG",
            "HOME",
            "TERM",
            "TEXTUAL_DISABLE_KITTY_KEY",
            "TEXTUAL_FPS",
            "PYTHONMALLOC",
            "GLIBC_TUNABLES",
        }
        assert not (tmp_path / "keys.log").exists()
