"""Once a key is hidden, no process has a copy of it, or of two neighbouring groups, in its memory.

Runs once by default, many times in a row with --residue-runs.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.broker import started_broker
from tests.support.memory import scan, writable_regions
from tests.support.socket_proxy import SocketProxy, cut, damaged, socket_proxy
from tests.support.tenant import Tenant, shown_key, tenant, walk_to_key
from tests.support.terminal import ENTER, ESCAPE, F1, F10, Terminal, terminal

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may read the memory of our processes"
)
REVEAL_SECONDS = 5
TOKEN = re.compile(rb"eyJ[\w-]{20,}\.eyJ[\w-]{50,}")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    place = tmp_path_factory.mktemp("tenant")
    with tenant(place, started_broker, reveal_seconds=REVEAL_SECONDS, idle_seconds=60) as both:
        yield both


def places(kiosk: Terminal, running: Tenant, key: str) -> dict[str, int]:
    """Return how many copies each of our processes holds."""
    found = {"visit": 0}
    for child in psutil.Process(kiosk.pid).children():
        # A process can end meanwhile, and its memory with it.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found["visit"] += len(scan(child.pid, key))
    lasting = {"supervisor": kiosk.pid, "broker": running.broker.pid}
    return found | {name: len(scan(pid, key)) for name, pid in lasting.items()}


NONE = {"supervisor": 0, "broker": 0, "visit": 0}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "run" in metafunc.fixturenames:
        metafunc.parametrize("run", range(metafunc.config.getoption("--residue-runs")))


def gone(kiosk: Terminal, running: Tenant, key: str) -> None:
    kiosk.settle(0.2)
    assert places(kiosk, running, key) == NONE


def test_no_process_keeps_a_key(running: Tenant, run: int) -> None:
    with terminal(*running.arguments, warm=False) as kiosk:
        key = walk_to_key(kiosk)
        while_shown = places(kiosk, running, key)
        # The key is on the screen, so the scan must find it; otherwise the zeros below would prove nothing.
        assert while_shown["visit"] > 0
        assert (while_shown["supervisor"], while_shown["broker"]) == (0, 0)
        kiosk.wait_for("Time is up")
        gone(kiosk, running, key)
        kiosk.press(ENTER)
        shown_key(kiosk)
        kiosk.press(" ")
        kiosk.wait_for("The key is hidden")
        gone(kiosk, running, key)
        kiosk.press(ENTER)
        assert shown_key(kiosk) == key
        kiosk.press(ESCAPE)
        kiosk.wait_for("Which Mac is locked?")
        gone(kiosk, running, key)
        kiosk.press(ENTER)
        shown_key(kiosk)
        kiosk.press(F1)
        kiosk.wait_for("Write down the 24 characters")
        kiosk.settle(REVEAL_SECONDS + 0.5)
        gone(kiosk, running, key)
        kiosk.press(ESCAPE)
        kiosk.wait_for("Time is up")
        kiosk.press(ENTER)
        shown_key(kiosk)
        (visit,) = psutil.Process(kiosk.pid).children()
        kiosk.press(F10)
        kiosk.wait_for("This terminal is locked")
        gone(kiosk, running, key)
        kiosk.press(ENTER)
        visit.wait(10)
        kiosk.wait_for("Press Enter to begin")
        gone(kiosk, running, key)


@pytest.fixture
def meddler(running: Tenant, tmp_path: Path) -> Iterator[tuple[SocketProxy, list[str]]]:
    """Start a proxy in front of the broker. Yields it with the arguments of a kiosk that uses it."""
    address = f"unix:{running.sandbox.directory}/broker.sock"
    settings = running.kiosk_toml.with_name(f"{tmp_path.name}.toml")
    with socket_proxy(tmp_path / "proxy.sock", Path(address.removeprefix("unix:"))) as between:
        text = running.kiosk_toml.read_text()
        assert address in text
        settings.write_text(text.replace(address, f"unix:{between.path}"))
        yield between, ["run", "--config", str(settings)]


@pytest.mark.parametrize("damage", [damaged, cut], ids=["a broken seal", "half an answer"])
def test_an_answer_that_fails_leaves_no_key(
    running: Tenant, meddler: tuple[SocketProxy, list[str]], damage: Callable[[bytes], bytes], run: int
) -> None:
    between, arguments = meddler
    with terminal(*arguments) as kiosk:
        key = walk_to_key(kiosk)
        kiosk.press(ESCAPE)
        kiosk.wait_for("Which Mac is locked?")
        between.meddle = damage
        kiosk.press(ENTER)
        kiosk.wait_for("Reference")
        gone(kiosk, running, key)
        between.meddle = bytes
        kiosk.press(ENTER)
        assert shown_key(kiosk) == key
        kiosk.press(F10)
        kiosk.wait_for("This terminal is locked")
        gone(kiosk, running, key)


@pytest.mark.parametrize("meanwhile", [ESCAPE, F10], ids=["given up", "locked"])
def test_a_key_that_comes_too_late_leaves_nothing(
    running: Tenant, meddler: tuple[SocketProxy, list[str]], meanwhile: str, run: int
) -> None:
    between, arguments = meddler
    with terminal(*arguments) as kiosk:
        key = walk_to_key(kiosk)
        kiosk.press(ESCAPE)
        kiosk.wait_for("Which Mac is locked?")
        between.hold()
        kiosk.press(ENTER)
        assert between.holding.wait(10)
        kiosk.wait_for("Getting the recovery key")
        kiosk.press(meanwhile)
        kiosk.wait_for("Which Mac is locked?", "This terminal is locked")
        between.let_go()
        gone(kiosk, running, key)
        assert not [group for group in key.split("-") if group in kiosk.text]
        kiosk.press(F10)
        kiosk.press(ENTER)
        kiosk.wait_for("Press Enter to begin")
        gone(kiosk, running, key)


def test_the_token_is_gone_before_the_goodbye_is_over(running: Tenant, run: int) -> None:
    """During the visit the token must be in the visit's memory, and never in the supervisor's."""
    with terminal(*running.arguments) as kiosk:
        walk_to_key(kiosk)
        (visit,) = psutil.Process(kiosk.pid).children()
        assert tokens(visit.pid) > 0
        assert tokens(kiosk.pid) == 0
        kiosk.press(F10)
        kiosk.wait_for("This terminal is locked")
        while tokens(visit.pid):
            # The report to the broker needs the token; after the goodbye there is no process to scan.
            kiosk.settle(0.1)
        assert visit.is_running()
        kiosk.press(ENTER)
        visit.wait(10)
        kiosk.wait_for("Press Enter to begin")
        assert tokens(kiosk.pid) == 0


def tokens(pid: int) -> int:
    return sum(len(TOKEN.findall(content)) for _, _, content in writable_regions(pid))


def test_no_core_and_no_stranger(running: Tenant) -> None:
    with terminal(*running.arguments, warm=False) as kiosk:
        kiosk.wait_for("Press Enter to begin")
        for process in [psutil.Process(kiosk.pid), *psutil.Process(kiosk.pid).children()]:
            assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)
            # In /proc, an undumpable process belongs to root; its own user may not trace it.
            assert Path(f"/proc/{process.pid}/status").read_text().split("CoreDumping:")[1].split()[0] == "0"
            assert dumpable(process.pid) is False


def dumpable(pid: int) -> bool:
    """Whether another process of the same user may read the memory. Asks as ``nobody``, because root always may."""
    code = f"open('/proc/{pid}/mem', 'rb')"
    drop = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534); "
    done = subprocess.run([sys.executable, "-c", drop + code], capture_output=True, check=False)
    return done.returncode == 0


CARELESS = """
import sys
key = sys.stdin.readline().strip()
groups = key.split("-")
forms = [key, key.encode("utf-16-le"), key.encode("utf-32-le"), "\\x1b[0m".join(key), (groups[2] + "-" + groups[3])]
forms.append("\\r\\n".join(f"Group {number}: {' '.join(group)}" for number, group in enumerate(groups, 1)))
print("ready", flush=True)
sys.stdin.readline()
"""


def test_the_scanner_finds_every_form() -> None:
    """The scanner's own check, with a program that keeps a key on purpose."""
    key = "HJ4W-7QXB-MNPR-K2LC-9YTG-D5FA"
    with subprocess.Popen(
        [sys.executable, "-c", CARELESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(key + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        forms = {find.form for find in scan(process.pid, key)}
        assert forms == {"ascii", "utf-16", "utf-32"}
        assert not scan(process.pid, "AAAA-BBBB-CCCC-DDDD-EEEE-FFFF")
        process.stdin.close()


@pytest.mark.parametrize(("number", "how"), [(signal.SIGKILL, "crashed"), (signal.SIGTERM, "terminal_lost")])
def test_a_visit_that_dies_with_a_key_on_the_screen_is_on_the_record(running: Tenant, number: int, how: str) -> None:
    with terminal(*running.arguments) as kiosk:
        key = walk_to_key(kiosk)
        (visit,) = psutil.Process(kiosk.pid).children()
        visit.send_signal(number)
        kiosk.wait_for("Press Enter to begin")
        kiosk.wait_for("The last visit ended in an error and was erased. Reference")
        assert not [group for group in key.split("-") if group in kiosk.text]
        (last,) = running.broker.rows("release.closed")[-1:]
        assert (last["outcome"], last["name"]) == (how, "Ada Kessler")
        assert last["release_id"] == running.broker.rows("release.done")[-1]["release_id"]
        gone(kiosk, running, key)
