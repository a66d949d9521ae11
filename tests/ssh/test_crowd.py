"""Many sessions at once."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import psutil
import pytest

from tests.ssh.machine import wait_until
from tests.ssh.sessions import PROCESSES, WELCOME, Door
from tests.support.terminal import ENTER, PATIENCE_SECONDS, Terminal

# Supervisor and visit together, after the sign-in and the broker's answer.
MOST_MIB_EACH = 96


def proportional_set_mib(process: psutil.Process) -> float:
    """Return the PSS: memory with shared pages divided by the number of processes that share them."""
    rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    (kibibytes,) = [int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")]
    return kibibytes / 1024


def all_show(terminals: list[Terminal], words: str) -> None:
    """Wait until all terminals show these words. Reads them in turn, so that none blocks on its output."""
    waiting = list(terminals)

    def seen() -> bool:
        waiting[:] = [terminal for terminal in waiting if terminal.read(0.01) and words not in terminal.text]
        return not waiting

    wait_until(seen, patience=2 * PATIENCE_SECONDS)
    assert all(words in terminal.text for terminal in terminals)


def test_sessions_fit_into_their_memory(door: Door, pytestconfig: pytest.Config) -> None:
    sessions: int = pytestconfig.getoption("--sessions")
    with contextlib.ExitStack() as stack:
        terminals = [Terminal(door.ssh("-tt")) for _ in range(sessions)]
        for terminal in terminals:
            stack.callback(terminal.close)
        all_show(terminals, WELCOME)
        for terminal in terminals:
            terminal.press(ENTER)
        all_show(terminals, "Is this you?")
        kiosks = door.machine.kiosks()
        assert len(kiosks) == PROCESSES * sessions
        each = sum(map(proportional_set_mib, kiosks)) / sessions
        assert each < MOST_MIB_EACH, f"{each:.1f} MiB for one session"
        print(f"one session of {sessions}: {each:.1f} MiB")
        for terminal in terminals:
            terminal.kill(signal.SIGKILL)
        wait_until(lambda: not door.machine.kiosks() and not door.machine.sshds())
