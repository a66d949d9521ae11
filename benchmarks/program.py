"""Run a program on a real terminal of 80x24, type keys, and measure when text is painted."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import minimal
from benchmarks.resources import children

ROWS, COLUMNS = 24, 80
_PATIENCE_SECONDS = 30
_STOP_SECONDS = 10
_READ_BYTES = 65_536
# The kiosk asks where the cursor is after a character, as any terminal can tell.
_WHERE, _SECOND_COLUMN = b"\x1b[6n", b"\x1b[1;2R"

ENTER, SPACE, BACKSPACE, ESCAPE, DOWN, F1, F10 = b"\r", b" ", b"\x7f", b"\x1b", b"\x1b[B", b"\x1bOP", b"\x1b[21~"

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/nonexistent",
    "TERM": "xterm-256color",
    "COLORTERM": "truecolor",
}
# Overwrites freed memory from the start. The kiosk does so from the moment a visit begins.
WIPING = ENVIRONMENT | {
    "PYTHONMALLOC": "malloc",
    "GLIBC_TUNABLES": "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0",
}
# The environment that the launchers in deploy/ make before Python starts.
LAUNCHED = ENVIRONMENT | {
    "PYTHONMALLOC": "malloc",
    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0",
    "TEXTUAL_DISABLE_KITTY_KEY": "1",
    "TEXTUAL_FPS": "240",
}


class Program:
    """A program, and the other end of its terminal."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.begun = time.perf_counter()
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            os.execve(command[0], list(command), dict(environment))
        self._output = bytearray()
        self.first_frame = 0.0

    def press(self, keys: bytes) -> float:
        """Type keys, forget earlier output, and return the time."""
        self._output.clear()
        now = time.perf_counter()
        os.write(self._terminal, keys)
        return now

    def painted(self, words: bytes) -> float:
        """Wait until these words are painted, and return the time."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while words not in self._output:
            if time.monotonic() > until or not self._read(1.0):
                raise RuntimeError(f"never painted: {words!r}; but {bytes(self._output[-2000:])!r}")
        return time.perf_counter()

    def settle(self, seconds: float) -> None:
        """Read output for a while."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self._read(left):
            pass

    def processes(self) -> list[int]:
        """Return the process ids of the program and all its descendants."""
        found, new = [], [self.pid]
        while new:
            found += new
            new = [child for pid in new for child in children(pid)]
        return found

    def close(self) -> None:
        """End the program. Keeps reading, because a program waits until its last output is read."""
        os.kill(self.pid, signal.SIGTERM)
        until = time.monotonic() + _STOP_SECONDS
        while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            if not self._read(0.01):
                time.sleep(0.01)
            if time.monotonic() > until:
                os.kill(self.pid, signal.SIGKILL)
        os.close(self._terminal)

    def _read(self, seconds: float) -> bool:
        """Read output. Returns False at the end of file."""
        if not select.select([self._terminal], [], [], seconds)[0]:
            return True
        try:
            output = os.read(self._terminal, _READ_BYTES)
            self._output += output
            if _WHERE in output:
                os.write(self._terminal, _SECOND_COLUMN)
        except OSError:
            return False
        return True

    def walk_to_devices(self) -> None:
        """Walk from the welcome screen to the list of Macs, with a sandbox that approves by itself."""
        self.press(ENTER)
        self.painted(b"Is this you?")
        self.press(ENTER)
        self.painted(b"Which Mac is locked?")
        self.settle(0.5)


WELCOME = b"Press Enter to begin"
HELP = b"Never type your password here"
MINIMAL = (sys.executable, "-s", str(Path(minimal.__file__)))


@contextmanager
def kiosk(config: Path, environment: Mapping[str, str] = LAUNCHED) -> Iterator[Program]:
    """Start a kiosk and wait for its welcome screen. Outside a launcher's environment it starts itself again."""
    command = [sys.executable, "-P", "-s", "-m", "kiosk", "run", "--config", str(config)]
    with _painted(command, WELCOME, environment) as program:
        yield program


@contextmanager
def minimal_app(environment: Mapping[str, str] = ENVIRONMENT) -> Iterator[Program]:
    """Start the minimal app and wait until it is ready for its key."""
    with _painted(MINIMAL, minimal.READY.encode(), environment) as program:
        yield program


@contextmanager
def _painted(command: Sequence[str], words: bytes, environment: Mapping[str, str] = ENVIRONMENT) -> Iterator[Program]:
    program = Program(command, environment)
    try:
        program.first_frame = program.painted(words) - program.begun
        yield program
    finally:
        program.close()
