"""Start a kiosk on a terminal from a process that has imported it before.

It is a process of its own with the environment, flags and allocator of a real one, and begins at the same entry point.
Importing Textual and MSAL takes four times as long as all else that most tests do with a kiosk. What a start from
nothing does, tests/terminal/test_launcher.py, tests/ssh and tests/system show.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pexpect.fdpexpect import fdspawn

from kiosk.__main__ import environment
from tests.support.time_limit import slowness

_ENDING_SECONDS = 5.0

if TYPE_CHECKING:
    _OnTerminal = fdspawn[bytes]
else:
    _OnTerminal = fdspawn


@functools.cache
def _nursery() -> socket.socket:
    """Start the process that forks kiosks, once for each pytest worker. Returns the socket for requests."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-P", "-s", str(Path(__file__).with_name("kiosk_nursery.py"))]
    with theirs:
        started = subprocess.Popen(command, stdin=theirs.fileno(), env=environment({}), cwd=Path(__file__).parents[2])

    def end() -> None:
        ours.close()
        started.wait()

    atexit.register(end)
    return ours


class WarmKiosk(_OnTerminal):
    """A kiosk on a terminal of ``size``, with the part of pexpect's interface to a process that ``Terminal`` uses."""

    pid: int

    def __init__(self, arguments: Sequence[str], env: dict[str, str], size: tuple[int, int]) -> None:
        ours, theirs = pty.openpty()
        self._report, report = os.pipe()
        self._status: int | None = None
        super().__init__(ours)
        self.setwinsize(*size)
        message = json.dumps([list(arguments), environment(env)]).encode()
        socket.send_fds(_nursery(), [message], [theirs, report])
        os.close(theirs)
        os.close(report)
        self.pid = int(self._line())

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            read = os.read(self._report, 1)
            assert read, "the process that forks kiosks has failed; see its stderr"
            line += read
        return line

    def setwinsize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.child_fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def getwinsize(self) -> tuple[int, int]:
        size = os.get_terminal_size(self.child_fd)
        return size.lines, size.columns

    def kill(self, number: int) -> None:
        if self.isalive():
            os.kill(self.pid, number)

    def isalive(self) -> bool:
        """Whether the program has not ended yet."""
        return self._ended(0) is None

    def _ended(self, seconds: float) -> int | None:
        if self._status is None and select.select([self._report], [], [], seconds)[0]:
            self._status = int(self._line())
            os.close(self._report)
            code = os.waitstatus_to_exitcode(self._status)
            self.exitstatus, self.signalstatus = (code, None) if code >= 0 else (None, -code)
        return self._status

    def close(self, force: bool = True) -> None:
        """Hang the terminal up, and wait for the program's end."""
        if not self.closed:
            super().close()
        if self._ended(_ENDING_SECONDS * slowness()) is None:
            os.kill(self.pid, signal.SIGKILL)
            self._ended(_ENDING_SECONDS * slowness())
