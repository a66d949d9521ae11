"""Run a program in tmux or GNU screen, and read the screen and the scrollback."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from tests.support.terminal import PATIENCE_SECONDS
from tests.support.time_limit import TimeLimit

ROWS = 24


class Multiplexer:
    """A program in one window of 80x24. ``name`` is the name of the multiplexer's server or session."""

    name: str

    def text(self, *, history: bool = False) -> str:
        raise NotImplementedError

    def press(self, key: str) -> None:
        raise NotImplementedError

    def root(self) -> psutil.Process:
        """Return the process that runs the window's program."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def until(self, holds: Callable[[str], object], patience: float = PATIENCE_SECONDS) -> str:
        """Wait until ``holds`` is true of the screen's text, and return the text."""
        limit = TimeLimit(patience)
        while not limit.passed():
            if holds(text := self.text()):
                return text
            time.sleep(0.1)
        raise AssertionError(self.text())

    def until_seen(self, words: str) -> str:
        """Wait for words on the screen, and return the screen's text."""
        return self.until(lambda text: words in text)


class Tmux(Multiplexer):
    """tmux with its default settings."""

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        self.name = name
        # The shell outlives the program, so that a test can read what the program left on the screen.
        self._run("new-session", "-d", "-x", "80", "-y", "24", f"{shlex.join(command)}; exec sleep 1000")

    def _run(self, *arguments: str) -> str:
        command = ["tmux", "-L", self.name, "-f", "/dev/null", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def text(self, *, history: bool = False) -> str:
        text = self._run("capture-pane", "-p", *(["-S", "-"] if history else []))
        if history:
            # The saved screen, which exists only while a program uses the alternate one.
            command = ["tmux", "-L", self.name, "capture-pane", "-p", "-a"]
            text += subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return text

    def press(self, key: str) -> None:
        self._run("send-keys", {"\r": "Enter", " ": "Space"}.get(key, key))

    def root(self) -> psutil.Process:
        return psutil.Process(int(self._run("display-message", "-p", "#{pane_pid}")))

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self.name, "kill-server"], check=False, capture_output=True)


class Screen(Multiplexer):
    """GNU screen with its default settings, which have no alternate screen."""

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._env = {**os.environ, "SCREENDIR": str(folder / "sockets"), "TERM": "xterm"}
        (folder / "sockets").mkdir(mode=0o700)
        rc = folder / "screenrc"
        rc.write_text("startup_message off\ndefscrollback 1000\ndefutf8 on\n")
        program = f"stty rows 24 cols 80; {shlex.join(command)}; exec sleep 1000"
        subprocess.run(
            ["screen", "-U", "-c", str(rc), "-dmS", name, "/bin/sh", "-c", program], env=self._env, check=True
        )

    def _run(self, *arguments: str) -> None:
        # screen sometimes refuses commands while it starts.
        limit = TimeLimit(PATIENCE_SECONDS)
        command = ["screen", "-S", self.name, "-X", *arguments]
        while subprocess.run(command, env=self._env, check=False, capture_output=True).returncode:
            assert not limit.passed(), command
            time.sleep(0.05)

    def text(self, *, history: bool = False) -> str:
        copy = self._folder / f"hardcopy-{time.monotonic_ns()}"
        self._run("hardcopy", *(["-h"] if history else []), str(copy))
        # screen answers before it has written the file, in which every line of the window ends in a newline.
        limit = TimeLimit(PATIENCE_SECONDS)
        while not limit.passed():
            content = copy.read_bytes() if copy.exists() else b""
            if content.count(b"\n") >= ROWS:
                return content.decode("utf-8", "replace")
            time.sleep(0.02)
        raise AssertionError("screen has written no copy")

    def press(self, key: str) -> None:
        self._run("stuff", {"Enter": "\r", "F10": "\x1b[21~", "Escape": "\x1b", "Space": " "}.get(key, key))

    def root(self) -> psutil.Process:
        for process in psutil.process_iter(["cmdline"]):
            if self.name in (process.info["cmdline"] or []):
                return process
        raise AssertionError("screen is gone")

    def close(self) -> None:
        subprocess.run(["screen", "-S", self.name, "-X", "quit"], env=self._env, check=False, capture_output=True)
