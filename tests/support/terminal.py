"""A real process on a real terminal: its output, the text on the screen, and the terminal's settings."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pexpect
import psutil
import pyte

from tests.support.time_limit import TimeLimit
from tests.support.warm_kiosk import WarmKiosk

KIOSK = [sys.executable, "-P", "-s", "-m", "kiosk"]
PATIENCE_SECONDS = 30.0
_ENDING_SECONDS = 2.0


class _Answering(pyte.Screen):
    def __init__(self, columns: int, rows: int, answer: Callable[[str], None]) -> None:
        super().__init__(columns, rows)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        self._answer(data)


class Terminal:
    """A program on a pty, with its output drawn by a terminal emulator."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        env: dict[str, str] | None = None,
        utf8: bool = True,
        answers: bool = True,
        warm: bool = False,
    ):
        """``utf8`` or Latin-1; ``answers`` says where the cursor is when it is asked.

        ``warm`` starts a kiosk, ``command`` being its arguments, from a process that has imported it.
        """
        self.screen: pyte.Screen = _Answering(columns, rows, self.press) if answers else pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        if not utf8:
            self._stream.select_other_charset("@")
        self.raw = bytearray()
        self._text = ""
        self.child: pexpect.spawn[bytes] | WarmKiosk
        env = {"TERM": "xterm-256color", "PATH": os.environ["PATH"], "HOME": "/", **(env or {})}
        if warm:
            self.child = WarmKiosk(command, env, (rows, columns))
        else:
            self.child = pexpect.spawn(command[0], list(command[1:]), dimensions=(rows, columns), env=env)
        self.settings = self._attributes()

    @property
    def pid(self) -> int:
        """The process id of the program."""
        assert self.child.pid is not None
        return self.child.pid

    def _attributes(self) -> list[Any]:
        return termios.tcgetattr(self.child.child_fd)

    @property
    def text(self) -> str:
        """The text on the screen."""
        if self.screen.dirty:
            self._text = "\n".join(line.rstrip() for line in self.screen.display)
            self.screen.dirty.clear()
        return self._text

    def read(self, seconds: float = 0.05) -> bool:
        """Read available output. Returns False when the program has closed the terminal."""
        try:
            data = self.child.read_nonblocking(65536, timeout=seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        # pyte 0.8.2 mistakes CSI < u, a sequence of the kitty protocol, for a cursor restore.
        self._stream.feed(data.replace(b"\x1b[<u", b""))
        return True

    def wait_for(self, *words: str, gone: bool = False, patience: float = PATIENCE_SECONDS) -> str:
        """Wait until the screen shows one of these texts, and return it. With ``gone``, wait until it shows none."""
        limit = TimeLimit(patience)
        while not limit.passed():
            alive = self.read()
            found = [word for word in words if word in self.text]
            if bool(found) is not gone:
                return found[0] if found else ""
            if not alive:
                break
        raise AssertionError(f"{'still there' if gone else 'never seen'}: {words}\n{self.text}")

    def wait_for_raw(self, words: str, patience: float = PATIENCE_SECONDS) -> None:
        """Wait until the program writes this text. Draws nothing, which takes long for large screens."""
        limit, began = TimeLimit(patience), len(self.raw)
        while words.encode() not in self.raw[began:]:
            assert not limit.passed(), f"never written: {words}"
            with contextlib.suppress(pexpect.TIMEOUT):
                self.raw += self.child.read_nonblocking(65536, timeout=0.05)

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
        """Wait for the program's end and return its exit code; 128 plus the signal's number, as in a shell."""
        limit = TimeLimit(PATIENCE_SECONDS)
        while self.child.isalive() and not limit.passed():
            self.read()
        assert not self.child.isalive(), self.text
        self.settle(0.1)
        return self.child.exitstatus if self.child.exitstatus is not None else 128 + (self.child.signalstatus or 0)

    def close(self) -> None:
        """Hang up, and wait for the program's end."""
        if isinstance(self.child, WarmKiosk):
            self.child.close()
            return
        # pexpect waits for a fixed time before it looks whether the program has ended.
        process: Any = self.child
        if not process.closed:
            process.ptyproc.fileobj.close()
            limit = TimeLimit(_ENDING_SECONDS)
            while process.isalive() and not limit.passed():
                time.sleep(0.01)
            process.ptyproc.delayafterclose = 0
            process.close(force=True)


ENTER, ESCAPE, F1, F9, F10, DOWN = "\r", "\x1b", "\x1bOP", "\x1b[20~", "\x1b[21~", "\x1b[B"


@contextlib.contextmanager
def terminal(*arguments: str, warm: bool = True, **options: Any) -> Iterator[Terminal]:
    """Run the kiosk on a terminal while the block runs. Where its start is what is tested, it must not be ``warm``."""
    opened = Terminal(arguments if warm else [*KIOSK, *arguments], warm=warm, **options)
    try:
        yield opened
    finally:
        opened.close()


def dead_end(folder: Path, **visit: object) -> Path:
    """Write a kiosk.toml whose sign-in service does not exist, and return its path."""
    path = folder / "kiosk.toml"
    lines = [f"{name} = {value!r}".replace("'", '"') for name, value in visit.items()]
    path.write_text(
        '[organisation]\nname = "Nordwind"\nhelpdesk = "Ground floor"\n'
        '[sign_in]\nmethod = "device_code"\n[device_code]\n'
        'authority = "https://localhost:1/tenant"\nclient_id = "c"\nscope = "api://k/Session.Open"\n'
        "[visit]\n" + "\n".join(lines) + "\n"
    )
    return path


def visits(kiosk: Terminal | subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the visit of this supervisor, or nothing while there is none."""
    limit = TimeLimit(PATIENCE_SECONDS)
    # For a moment there is another child, which starts the caretaker and ends.
    while len(children := psutil.Process(kiosk.pid).children()) > 1 and not limit.passed():
        time.sleep(0.01)
    return children
