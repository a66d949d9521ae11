"""Standard error is the page of linear mode, and a service's log: nothing else is written there."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiosk.process.logging import place_of


@pytest.mark.parametrize("where", ["to_syslog('test')", "to_stderr()"])
def test_warnings_of_libraries_are_not_written(where: str) -> None:
    program = (
        f"import warnings\nfrom kiosk.process import logging\nlogging.{where}\nwarnings.warn('Attempted too soon.')"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=30)
    assert ran.stdout + ran.stderr == b""


def test_of_an_exception_only_type_and_place_are_told() -> None:
    """The three innermost frames, without its text, which may quote a secret."""

    def fails(depth: int) -> None:
        if depth:
            fails(depth - 1)
        raise ValueError("a secret")

    with pytest.raises(ValueError, match="a secret") as raised:
        fails(5)
    inner = fails.__code__.co_firstlineno
    lines = [inner + 3, inner + 2, inner + 2]
    assert place_of(raised.value) == "ValueError at " + " < ".join(f"test_logging.py:{line}" for line in lines)
    assert place_of(LookupError("never raised")) == "LookupError at unknown"
    assert place_of(None) == "NoneType at unknown"


@contextlib.contextmanager
def collector(path: Path) -> Iterator[socket.socket]:
    """The system's log; it reads only when told to."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(10)
        yield listener


def logs(code: str, *sockets: Path) -> bytes:
    """Run a program that logs to the first of these that is there; returns what it wrote on its own output."""
    places = ", ".join(f"pathlib.Path({str(path)!r})" for path in sockets)
    begin = (
        "import asyncio, logging, pathlib, sys, threading\nfrom kiosk.process import logging as ours\n"
        f"ours.to_syslog('kiosk', ({places},))\nlog = logging.getLogger('x')\n"
    )
    ran = subprocess.run([sys.executable, "-c", begin + code], capture_output=True, check=False, timeout=30)
    return ran.stdout + ran.stderr


def test_the_log_goes_to_the_first_place_that_is_there(tmp_path: Path) -> None:
    with collector(tmp_path / "second") as listener:
        assert logs("log.error('AB12 broke')", tmp_path / "first", tmp_path / "second") == b""
        line = listener.recv(4096).decode()
    assert line.startswith("<11>kiosk[")
    assert line.endswith("]: AB12 broke")


def test_a_log_that_comes_later_or_comes_back_is_used(tmp_path: Path) -> None:
    code = "log.warning('lost'); print('now', flush=True); sys.stdin.read(1); log.warning('kept')"
    begin = (
        "import logging, pathlib, sys\nfrom kiosk.process import logging as ours\n"
        f"ours.to_syslog('kiosk', (pathlib.Path({str(tmp_path / 'log')!r}),))\nlog = logging.getLogger('x')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", begin + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        assert program.stdout
        assert program.stdout.readline() == b"now\n"
        with collector(tmp_path / "log") as listener:
            program.communicate(b".", timeout=30)
            assert listener.recv(4096).endswith(b"kept")


def test_a_log_that_nobody_reads_holds_up_nothing(tmp_path: Path) -> None:
    with collector(tmp_path / "log"):
        assert logs("for _ in range(2000): log.error('x')\nprint('done')", tmp_path / "log") == b"done\n"


BREAKS = {
    "logged": "try:\n  1 / 0\nexcept ArithmeticError:\n  log.exception('here')",
    "main": "raise ZeroDivisionError('secret')",
    "thread": "def f(): raise ZeroDivisionError('secret')\nt = threading.Thread(target=f); t.start(); t.join()",
    "destructor": "class C:\n  def __del__(self): raise ZeroDivisionError('secret')\nC()",
    "task": """
async def fails(): raise ZeroDivisionError('secret')
async def main():
    asyncio.get_running_loop().set_exception_handler(ours.log_loop_error)
    asyncio.ensure_future(fails())
    for _ in range(3): await asyncio.sleep(0)
asyncio.run(main())
""",
}


@pytest.mark.parametrize("code", BREAKS.values(), ids=BREAKS)
def test_of_what_breaks_only_type_and_place_are_logged_and_nothing_is_shown(tmp_path: Path, code: str) -> None:
    with collector(tmp_path / "log") as listener:
        assert logs(code, tmp_path / "log") == b""
        line = listener.recv(65536)
    assert b"ZeroDivisionError at <string>:" in line
    for part in (b"secret", b"Traceback", b"\n"):
        assert part not in line
