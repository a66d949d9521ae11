"""Start a broker, a sandbox or a command from a process that has imported it before.

They are processes of their own, as on a real machine. Importing a broker takes as long as several tests, and nearly
every file of tests starts one. What a start from nothing does, tests/broker/test_process.py and the fleet show.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from kiosk.__main__ import environment
from kiosk.cli.main import cli
from kiosk.process.hardening import harden

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    [
        "kiosk.broker.server",
        "kiosk.checks.broker_side",
        "kiosk.checks.kiosk_side",
        "kiosk.checks.report",
        "kiosk.cli.check",
        "kiosk.cli.main",
        "kiosk.sandbox.server",
        "msal",
        "tests.support.sandbox_process",
        "tests.support.warm_keys",
    ]
)


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


def warm_command(*words: object) -> subprocess.CompletedProcess[str]:
    """Run ``kiosk`` with these words, and return what it said."""
    arguments = [str(word) for word in words]
    with tempfile.TemporaryDirectory() as place:
        log = Path(place) / "stderr"
        with warm_process(command_line, arguments, log=log) as process:
            said = process.stdout.read().decode()
        return subprocess.CompletedProcess(arguments, process.exit_code or 0, said, log.read_text())


def command_line(arguments: Sequence[str]) -> None:
    """Be ``kiosk`` with these arguments, as after its entry point."""
    os.environ.clear()
    os.environ.update(environment({}))
    os.umask(0o077)
    harden()
    cli(arguments, prog_name="kiosk")


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
