"""A real terminal around a real process: what is written to it, what stands on it, what becomes of its settings."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pexpect
import pyte

from tests.support.time_limit import TimeLimit

KIOSK = [sys.executable, "-P", "-s", "-m", "kiosk"]
PATIENCE_SECONDS = 30.0


class Terminal:
    """One program on one pty, its output drawn by a terminal emulator."""

    def __init__(self, command: Sequence[str], *, columns: int = 80, rows: int = 24, env: dict[str, str] | None = None):
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = bytearray()
        self.child: pexpect.spawn[bytes] = pexpect.spawn(
            command[0],
            list(command[1:]),
            dimensions=(rows, columns),
            env={"TERM": "xterm-256color", "PATH": os.environ["PATH"], "HOME": "/", **(env or {})},
            timeout=PATIENCE_SECONDS,
        )
        self.settings = self._attributes()

    @property
    def pid(self) -> int:
        """The process of the program."""
        assert self.child.pid is not None
        return self.child.pid

    def _attributes(self) -> list[Any]:
        return termios.tcgetattr(self.child.child_fd)

    @property
    def text(self) -> str:
        """What stands on the screen."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def read(self, seconds: float = 0.05) -> bool:
        """Take what is there; False when the program has closed the terminal."""
        try:
            data = self.child.read_nonblocking(65536, timeout=seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        # pyte 0.8.2 takes the private sequence for the kitty protocol, CSI < u, for a cursor restore.
        self._stream.feed(data.replace(b"\x1b[<u", b""))
        return True

    def wait_for(self, *words: str, gone: bool = False, patience: float = PATIENCE_SECONDS) -> str:
        """Wait until one of these words stands on the screen, or, with ``gone``, until none does."""
        limit = TimeLimit(patience)
        while not limit.passed():
            alive = self.read()
            found = [word for word in words if word in self.text]
            if bool(found) is not gone:
                return found[0] if found else ""
            if not alive:
                break
        raise AssertionError(f"{'still there' if gone else 'never seen'}: {words}\n{self.text}")

    def press(self, keys: str | bytes) -> None:
        """Type."""
        self.child.send(keys)

    def settle(self, seconds: float = 0.3) -> None:
        """Read for a while."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.read()

    def kill(self, number: int = signal.SIGTERM) -> None:
        """Signal the program."""
        self.child.kill(number)

    def exit_code(self) -> int:
        """Wait for the end; a signal is 128 and its number, as a shell says it."""
        limit = TimeLimit(PATIENCE_SECONDS)
        while self.child.isalive() and not limit.passed():
            self.read()
        assert not self.child.isalive(), self.text
        self.settle(0.1)
        return self.child.exitstatus if self.child.exitstatus is not None else 128 + (self.child.signalstatus or 0)


ENTER, ESCAPE, F1, F9, F10, DOWN = "\r", "\x1b", "\x1bOP", "\x1b[20~", "\x1b[21~", "\x1b[B"


@contextlib.contextmanager
def terminal(*arguments: str, **options: Any) -> Iterator[Terminal]:
    """The kiosk's own program on a terminal; gone at the end."""
    opened = Terminal([*KIOSK, *arguments], **options)
    try:
        yield opened
    finally:
        # Patient with a program that is busy dying, unlike pexpect's own tenth of a second.
        process: Any = opened.child
        process.delayafterterminate = process.ptyproc.delayafterterminate = 2
        opened.child.close(force=True)


def dead_end(folder: Path, **visit: object) -> Path:
    """A kiosk.toml whose sign-in service nobody runs."""
    path = folder / "kiosk.toml"
    lines = [f"{name} = {value!r}".replace("'", '"') for name, value in visit.items()]
    path.write_text(
        '[organisation]\nname = "Nordwind"\nhelpdesk = "Ground floor"\n'
        '[sign_in]\nauthority = "https://localhost:1/tenant"\nclient_id = "c"\nscope = "api://k/Session.Open"\n'
        "[visit]\n" + "\n".join(lines) + "\n"
    )
    return path
