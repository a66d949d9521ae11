"""A supervisor that is killed while a key is shown: the terminal is clean, and the record says how it ended."""

from __future__ import annotations

import contextlib
import shlex
import signal
from collections.abc import Iterator

import psutil
import pytest

from tests.support.tenant import Tenant, tenant, walk_to_key
from tests.support.terminal import KIOSK, PATIENCE_SECONDS, Terminal
from tests.support.time_limit import TimeLimit


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    with tenant(tmp_path_factory.mktemp("tenant")) as started:
        yield started


def drawn(kiosk: Terminal) -> str:
    """Return the screen after what can be read now. A terminal that is hung up can be opened again."""
    with contextlib.suppress(OSError):
        kiosk.read()
    kiosk.child.flag_eof = False
    return kiosk.text


# The kernel hangs a terminal up when the first process of its session ends.
@pytest.mark.parametrize(
    ("leads_the_session", "number"),
    [(False, signal.SIGKILL), (True, signal.SIGSEGV)],
    ids=["under a shell", "on its own"],
)
def test_no_key_stays_on_the_terminal(running: Tenant, leads_the_session: bool, number: int) -> None:
    command = [*KIOSK, *running.arguments]
    if not leads_the_session:
        command = ["/bin/sh", "-c", f"{shlex.join(command)}; read -r _"]
    kiosk = Terminal(command)
    running.broker.forget_rows()
    try:
        key = walk_to_key(kiosk)
        shell = psutil.Process(kiosk.pid)
        supervisor = shell if leads_the_session else shell.children()[0]
        (visit,) = supervisor.children()
        supervisor.send_signal(number)
        limit = TimeLimit(PATIENCE_SECONDS)
        while any(group in drawn(kiosk) for group in key.split("-")):
            assert not limit.passed(), kiosk.text
        assert not visit.is_running() or visit.status() == psutil.STATUS_ZOMBIE
        while not (ends := running.broker.rows("release.closed")):
            assert not limit.passed()
            drawn(kiosk)
        assert [row["outcome"] for row in ends] == ["crashed"]
    finally:
        kiosk.close()


def test_nothing_is_left_running_after_an_end_in_order(running: Tenant) -> None:
    before = {one.pid for one in psutil.process_iter()}
    kiosk = Terminal([*KIOSK, *running.arguments])
    kiosk.wait_for("Press Enter to begin")
    kiosk.kill(signal.SIGTERM)
    assert kiosk.exit_code() == 128 + signal.SIGTERM
    limit = TimeLimit(PATIENCE_SECONDS)
    path = str(running.kiosk_toml)
    while left := [one for one in psutil.process_iter() if one.pid not in before and path in _words(one)]:
        assert not limit.passed(), left


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
