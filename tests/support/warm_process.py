"""Start a broker or a sandbox from a process that has imported it before.

They are processes of their own, as on a real machine. Importing a broker takes as long as several tests, and nearly
every file of tests starts one. What a start from nothing does, tests/broker/test_process.py and the fleet show.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["kiosk.broker.server", "kiosk.cli.main", "kiosk.sandbox.server", "msal"])


@dataclass
class WarmProcess:
    """A program that ends when its standard input is closed. ``exit_code`` is set when the block has ended."""

    pid: int
    stdout: BufferedReader
    exit_code: int | None = None


@contextlib.contextmanager
def warm_process(program: Callable[..., None], *arguments: Any, log: Path | None = None) -> Iterator[WarmProcess]:
    """Run ``program``, a function of a module, in a process of its own, until the block ends."""
    theirs, stdin = _PROCESSES.Pipe(duplex=False)
    stdout, theirs_too = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=_run, args=(theirs, theirs_too, log, program, arguments))
    with stdin, open(os.dup(stdout.fileno()), "rb") as lines:  # noqa: PTH123
        process.start()
        for end in (theirs, theirs_too, stdout):
            end.close()
        assert process.pid
        running = WarmProcess(process.pid, lines)
        try:
            yield running
        finally:
            stdin.close()
            running.exit_code = _ended(process)


def _ended(process: ForkServerProcess) -> int | None:
    process.join(30)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError("the process did not end within 30 seconds")
    return process.exitcode


def _run(
    stdin: Connection, stdout: Connection, log: Path | None, program: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    os.dup2(stdin.fileno(), 0)
    os.dup2(stdout.fileno(), 1)
    # multiprocessing has closed standard input, and opened another file in its place.
    sys.stdin = os.fdopen(0, closefd=False)
    if log:
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
    stdin.close()
    stdout.close()
    program(*arguments)
