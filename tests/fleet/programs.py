"""Runs the programs of a fleet as their systemd units do, and does to them what happens to machines."""

from __future__ import annotations

import contextlib
import getpass
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from kiosk.process.exit_codes import EXIT_CONFIGURATION
from tests.support.broker import ROOT

DEPLOY = ROOT / "deploy" / "fleet"
# What systemd gives to a service. libpq looks for certificates at home.
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}
_RESTART_SECONDS = 2.0
_STOP_SECONDS = 60.0
# Below the ports that the kernel picks for connections, one of which could take the port of a program that restarts.
_PORTS = range(20_000, 30_000)
_given: set[int] = set()


def missing(*programs: str) -> str:
    """Return why a fleet cannot be started here; empty if it can."""
    absent = [name for name in (*programs, "setpriv") if find(name) is None]
    return f"needs {', '.join(absent)}" if absent else ""


def find(name: str) -> str | None:
    """Return the path of a program, also of one that only root has on the PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")


def free_port() -> int:
    """Return a port on which nothing listens, and which was not returned before."""
    while True:
        port = random.choice(_PORTS)
        if port in _given:
            continue
        _given.add(port)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def render(name: str, local: Mapping[str, str]) -> str:
    """Return a file of deploy/fleet with addresses and paths replaced by local ones."""
    return replaced((DEPLOY / name).read_text(), local)


def replaced(text: str, local: Mapping[str, str]) -> str:
    """Replace texts by others. Each of them must occur, so that no file changes without the tests."""
    for shipped, here in local.items():
        assert shipped in text, f"{shipped} is not in\n{text}"
        text = text.replace(shipped, here)
    return text


def database_account() -> pwd.struct_passwd:
    """Return the account for PostgreSQL, which refuses to run as root."""
    return pwd.getpwnam("nobody" if os.geteuid() == 0 else getpass.getuser())


class Program:
    """A program that is started again two seconds after it ended, unless its configuration was to blame."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        account: pwd.struct_passwd | None = None,
    ) -> None:
        # The kernel ends the program with the tests, whatever ends those.
        self._command = [find("setpriv") or "setpriv", "--pdeathsig", "KILL", "--", *command]
        self._log = log
        self._environment = {**_ENVIRONMENT, **(environment or {})}
        self._as: dict[str, Any] = {}
        if account and os.geteuid() == 0:
            self._as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self._wanted = threading.Event()
        self._unwanted = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self.ends: list[int] = []

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def start(self) -> None:
        self._unwanted.clear()
        begun = threading.Event()
        self._thread = threading.Thread(target=self._keep_running, args=(begun,), daemon=True)
        self._thread.start()
        begun.wait()

    def runs(self) -> bool:
        """Whether it runs, or will be started again."""
        return self._thread is not None and self._thread.is_alive()

    def send(self, number: int) -> None:
        """Send a signal, if the program runs."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the program and leave it so. Kills it if it takes a minute."""
        if self._thread is None:
            return
        self._unwanted.set()
        self.send(number)
        self._thread.join(_STOP_SECONDS)
        if self._thread.is_alive():
            self.send(signal.SIGKILL)
            self._thread.join()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def _keep_running(self, begun: threading.Event) -> None:
        while not self._unwanted.is_set():
            with (
                self._log.open("ab") as log,
                subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=self._environment,
                    **self._as,
                ) as self._process,
            ):
                begun.set()
                self.ends.append(self._process.wait())
            if self.ends[-1] == EXIT_CONFIGURATION:
                return
            self._unwanted.wait(_RESTART_SECONDS)


def signal_all(processes: Iterable[psutil.Process], number: int) -> None:
    """Send a signal to processes and their children, parents first."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.send_signal(number)
