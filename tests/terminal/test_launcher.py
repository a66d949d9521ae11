"""The kiosk on a real terminal: it starts, survives any input, and leaves the terminal clean."""

from __future__ import annotations

import fcntl
import os
import pty
import random
import signal
import subprocess
import termios
from pathlib import Path

import psutil
import pytest

from kiosk.process.exit_codes import EXIT_LOST, EXIT_NO_TERMINAL
from tests.support.tenant import tenant, walk_to_key
from tests.support.terminal import ENTER, ESCAPE, F1, F10, KIOSK, Terminal, dead_end, terminal, visits

WELCOME = "Locked out of your Mac?"
# Reports of a terminal: it supports synchronised output, and it has the focus.
SYNCHRONISES, FOCUSED = "\x1b[?2026;2$y", "\x1b[I"
# Only a frame kept from an earlier visit begins like this; Textual's own frames do not.
KEPT_FRAME = b"\x1b[?1049h\x1b[?25l\x1b[?7l"


def run(folder: Path, **visit: object) -> list[str]:
    return ["run", "--config", str(dead_end(folder, **visit))]


def test_a_visit_that_fails_says_so_and_ends_at_the_welcome_screen(tmp_path: Path) -> None:
    with terminal(*run(tmp_path), warm=False) as kiosk:
        kiosk.wait_for(WELCOME)
        first = visits(kiosk)[0].pid
        kiosk.press(ENTER)
        kiosk.wait_for("The sign-in service cannot be reached")
        kiosk.press(F1)
        kiosk.wait_for("read out the reference")
        kiosk.press(ESCAPE)
        kiosk.wait_for("Reference")
        kiosk.press(ESCAPE)
        kiosk.wait_for("You are signed out")
        kiosk.press(ENTER)
        kiosk.wait_for(WELCOME)
        assert visits(kiosk)[0].pid != first


@pytest.mark.parametrize("answers", ["", SYNCHRONISES + FOCUSED], ids=["silent", "answering"])
def test_the_next_visit_shows_its_first_screen_at_once_and_misses_no_key(tmp_path: Path, answers: str) -> None:
    """Reports that a terminal sends by itself are not keys."""
    with terminal(*run(tmp_path), warm=False) as kiosk:
        kiosk.wait_for(WELCOME)
        kiosk.press(answers)
        kiosk.settle(1)
        first, began = kiosk.text, len(kiosk.raw)
        kiosk.press(ENTER)
        kiosk.wait_for("cannot be reached")
        kiosk.press(F10)
        kiosk.wait_for("This terminal is locked")
        kiosk.press(ENTER)
        kiosk.wait_for(WELCOME)
        # This key arrives before the visit's own first frame.
        kiosk.press(F1)
        kiosk.wait_for(first.splitlines()[-1])
        assert kiosk.text == first
        kiosk.wait_for("Never type your password here")
        kiosk.press(ESCAPE)
        kiosk.wait_for(WELCOME)
        kiosk.settle(0.5)
        # By now, the screen may also say that there is no network.
        assert set(first.splitlines()) <= set(kiosk.text.splitlines())
        kiosk.press(ENTER)
        kiosk.wait_for("cannot be reached")
        assert KEPT_FRAME in kiosk.raw[began:]


def test_another_size_between_visits_shows_no_old_screen(tmp_path: Path) -> None:
    with terminal(*run(tmp_path)) as kiosk:
        kiosk.wait_for(WELCOME)
        kiosk.settle(1)
        kiosk.press(ENTER)
        kiosk.wait_for("cannot be reached")
        kiosk.press(F10)
        kiosk.wait_for("This terminal is locked")
        kiosk.screen.resize(30, 100)
        kiosk.child.setwinsize(30, 100)
        kiosk.wait_for("This terminal is locked")
        kiosk.press(ENTER)
        kiosk.wait_for(WELCOME)
        kiosk.settle(0.5)
        assert kiosk.text.splitlines()[29].split()[-2:] == ["F1", "Help"]


def test_a_network_that_comes_back_is_said_by_the_welcome_screen(tmp_path: Path) -> None:
    """The kiosk probes the network only after a visit has failed for want of one, and stops when it is back."""
    with tenant(tmp_path) as running, terminal(*running.arguments) as kiosk:
        kiosk.wait_for(WELCOME)
        running.sandbox.fault(f"/{running.sandbox.tenant}/*", "reset")
        kiosk.press(ENTER)
        kiosk.wait_for("The sign-in service cannot be reached")
        assert len(running.sandbox.requests()) == 1
        kiosk.press(ESCAPE)
        kiosk.wait_for("You are signed out")
        kiosk.press(ENTER)
        kiosk.wait_for("This kiosk is offline")
        running.sandbox.clear_faults()
        kiosk.wait_for("This kiosk is online again")
        running.sandbox.clear_requests()
        walk_to_key(kiosk)


def test_over_ssh_the_program_ends_after_the_visit(tmp_path: Path) -> None:
    with terminal(*run(tmp_path, after="exit")) as kiosk:
        kiosk.wait_for(WELCOME)
        kiosk.press(ENTER)
        kiosk.wait_for("cannot be reached")
        kiosk.press(F10)
        kiosk.wait_for("This terminal is locked")
        kiosk.press(ENTER)
        assert kiosk.exit_code() == 0
        assert "signed out" not in kiosk.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal(tmp_path: Path, number: int) -> None:
    with terminal(*run(tmp_path), warm=False) as kiosk:
        kiosk.wait_for(WELCOME)
        child = visits(kiosk)[0]
        kiosk.kill(number)
        assert kiosk.exit_code() == 128 + number
        assert not child.is_running()
        assert WELCOME not in kiosk.text
        for sequence in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?2004l", b"\x1b[?1004l"):
            assert kiosk.raw.rindex(sequence) > kiosk.raw.rindex(WELCOME.encode())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_visit_that_is_killed_is_followed_by_the_next(tmp_path: Path, number: int) -> None:
    with terminal(*run(tmp_path)) as kiosk:
        kiosk.wait_for(WELCOME)
        kiosk.press(ENTER)
        kiosk.wait_for("cannot be reached")
        visits(kiosk)[0].send_signal(number)
        kiosk.wait_for(WELCOME)


def test_no_visit_outlives_its_supervisor(tmp_path: Path) -> None:
    with terminal(*run(tmp_path), warm=False) as kiosk:
        kiosk.wait_for(WELCOME)
        child = visits(kiosk)[0]
        kiosk.kill(signal.SIGKILL)
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
    with terminal(*run(tmp_path)) as kiosk:
        kiosk.wait_for(WELCOME)
        child = visits(kiosk)[0]
        kiosk.press(garbage)
        kiosk.settle()
        assert visits(kiosk) == [child]
        assert child.memory_info().rss < 200 << 20
        assert "Traceback" not in kiosk.text


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGCONT, signal.SIGINT, signal.SIGQUIT])
def test_job_control_has_no_effect(tmp_path: Path, number: int) -> None:
    with terminal(*run(tmp_path)) as kiosk:
        kiosk.wait_for(WELCOME)
        child = visits(kiosk)[0]
        # Modules are loaded behind the first screen in a thread that ends.
        kiosk.settle(1)
        threads = child.num_threads()
        for _ in range(3):
            child.send_signal(number)
            kiosk.kill(number)
        kiosk.settle()
        assert visits(kiosk) == [child]
        assert child.num_threads() <= threads
        assert child.status() in {psutil.STATUS_SLEEPING, psutil.STATUS_RUNNING}
        kiosk.press(ENTER)
        kiosk.wait_for("cannot be reached")


def test_signals_without_a_meaning_have_no_effect(tmp_path: Path) -> None:
    numbers = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO]
    with terminal(*run(tmp_path)) as kiosk:
        kiosk.wait_for(WELCOME)
        child = visits(kiosk)[0]
        for number in (*numbers, signal.SIGRTMIN, signal.SIGRTMAX):
            child.send_signal(number)
            kiosk.kill(number)
        kiosk.press(ENTER)
        kiosk.wait_for("cannot be reached")
        assert visits(kiosk) == [child]


def test_a_descriptor_that_another_program_left_open_is_closed(tmp_path: Path) -> None:
    """The kiosk would keep its own terminal alive if it held the other end of it."""
    master, slave = pty.openpty()
    command = [*KIOSK, *run(tmp_path)]
    with subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, pass_fds=(master,)
    ) as kiosk:
        os.close(slave)
        seen = b""
        while WELCOME.encode() not in seen:
            seen += os.read(master, 65536)
        os.close(master)
        try:
            assert kiosk.wait(10) == EXIT_LOST
        finally:
            kiosk.kill()


def test_a_hangup_ends_everything(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    with subprocess.Popen(
        [*KIOSK, *run(tmp_path)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        # As login does: the terminal becomes the controlling one, so that its end is a hangup.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as kiosk:
        os.close(slave)
        seen = b""
        while WELCOME.encode() not in seen:
            seen += os.read(master, 65536)
        (visit,) = visits(kiosk)
        os.close(master)
        assert kiosk.wait(10) == EXIT_LOST
        visit.wait(10)


def test_a_line_that_ends_without_a_signal_ends_everything(tmp_path: Path) -> None:
    """End of file and POLLHUP only: without a controlling terminal, its end sends no SIGHUP."""
    master, slave = pty.openpty()
    command = [*KIOSK, *run(tmp_path)]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as kiosk:
        os.close(slave)
        seen = b""
        while WELCOME.encode() not in seen:
            seen += os.read(master, 65536)
        (visit,) = visits(kiosk)
        os.close(master)
        assert kiosk.wait(10) == EXIT_LOST
        visit.wait(10)


def test_the_screen_never_goes_into_a_file(tmp_path: Path) -> None:
    """Textual draws on standard error, so the kiosk does not start if that is redirected."""
    command = " ".join([*KIOSK, *run(tmp_path)]) + f" 2>{tmp_path}/log"
    kiosk = Terminal(["/bin/sh", "-c", command])
    assert kiosk.exit_code() == EXIT_NO_TERMINAL
    assert "expected one terminal" in kiosk.text
    assert (tmp_path / "log").read_bytes() == b""


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
    with terminal(*run(tmp_path), env=poison, warm=False) as kiosk:
        kiosk.wait_for(WELCOME)
        kiosk.press("\x03\x1c")
        kiosk.settle()
        assert WELCOME in kiosk.text
        # glibc splits the value of GLIBC_TUNABLES in place, and its parts then look like names.
        names = {name for name in visits(kiosk)[0].environ() if not name.startswith("glibc.")}
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
