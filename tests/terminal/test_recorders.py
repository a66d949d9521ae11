"""The kiosk notices programs that may record the screen before it shows a key, and applies the policy for each."""

from __future__ import annotations

import ctypes
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiosk.config.kiosk import Policy, RecorderPolicies
from kiosk.terminal.recorders import find_recorders
from tests.support.multiplexer import Screen, Tmux
from tests.support.tenant import KEY, WELCOME, Tenant, tenant
from tests.support.terminal import ENTER, KIOSK, Terminal, terminal, visits

_PTRACE_SEIZE = 0x4206
_PTRACE_DETACH = 17
RIGHT = "\x1b[C"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    with tenant(tmp_path_factory.mktemp("tenant")) as both:
        yield both


def configured(running: Tenant, folder: Path, **policies: str) -> list[str]:
    """Return the kiosk's command line, with these policies."""
    text = running.kiosk_toml.read_text()
    own = folder / "kiosk.toml"
    lines = [f'{kind} = "{policy}"' for kind, policy in policies.items()]
    ca = running.kiosk_toml.parent / "ca.pem"
    own.write_text(text.replace('"ca.pem"', f'"{ca}"') + "\n[recorders]\n" + "\n".join(lines) + "\n")
    return [*KIOSK, "run", "--config", str(own)]


def walk_to_devices(kiosk: Terminal) -> None:
    for words in (WELCOME, "Is this you?"):
        kiosk.wait_for(words)
        kiosk.press(ENTER)
    kiosk.wait_for("Which Mac is locked?")


def under_script(command: list[str]) -> Terminal:
    if not shutil.which("script"):
        pytest.skip("script is not installed")
    return Terminal(["script", "-q", "-c", shlex.join(command), "/dev/null"])


def test_under_script_no_key_is_asked_for(running: Tenant, tmp_path: Path) -> None:
    before = len(running.broker.rows("release"))
    kiosk = under_script(configured(running, tmp_path))
    walk_to_devices(kiosk)
    kiosk.press(ENTER)
    kiosk.wait_for("No key can be shown on this terminal")
    kiosk.wait_for("(terminal_watched)")
    kiosk.close()
    assert len(running.broker.rows("release")) == before
    # The record names the terminal and the recorder.
    assert running.broker.rows("session.opened")[-1]["terminal"].endswith("under script")


def test_masked_one_group_is_shown_at_a_time(running: Tenant, tmp_path: Path) -> None:
    kiosk = under_script(configured(running, tmp_path, script="mask"))
    walk_to_devices(kiosk)
    kiosk.press(ENTER)
    kiosk.wait_for("Time left")
    kiosk.wait_for("Another program may see or save this screen: script")
    key = running.sandbox.device("NW-AKESSLER-14").key
    assert key
    for place, group in enumerate(key.split("-")):
        kiosk.wait_for(group)
        assert [other for other in key.split("-") if other in kiosk.text] == [group]
        assert not KEY.search(kiosk.text)
        if place < 5:
            kiosk.press(RIGHT)
    kiosk.close()


@pytest.mark.parametrize("kind", [Tmux, Screen], ids=["tmux", "screen"])
def test_a_multiplexer_is_warned_of(running: Tenant, tmp_path: Path, kind: type[Tmux | Screen]) -> None:
    name = kind.__name__.lower()
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    kiosk = kind(f"kiosk-{name}-watch", configured(running, tmp_path), tmp_path)
    try:
        for words in (WELCOME, "Is this you?", "Which Mac is locked?"):
            kiosk.until_seen(words)
            kiosk.press("Enter")
        text = kiosk.until(KEY.search)
        assert f"Another program may see or save this screen: {name}" in text
    finally:
        kiosk.close()


def test_a_debugger_is_refused(running: Tenant, tmp_path: Path) -> None:
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    with terminal(*configured(running, tmp_path)[len(KIOSK) :]) as kiosk:
        walk_to_devices(kiosk)
        (visit,) = visits(kiosk)
        if ptrace(_PTRACE_SEIZE, visit.pid, 0, 0):
            pytest.skip("this machine does not let one process trace another")
        kiosk.press(ENTER)
        kiosk.wait_for("No key can be shown on this terminal")
        visit.kill()


def test_what_is_found_decides_by_its_strictest_policy() -> None:
    policies = RecorderPolicies(tmux=Policy.WARN, other_tty=Policy.MASK)
    alone = find_recorders(policies, "pts/1", {"TERM": "xterm"})
    assert not {"tmux", "other_tty"} & set(alone.kinds)
    both = find_recorders(policies, "pts/1", {"TERM": "tmux-256color", "SSH_TTY": "/dev/pts/2"})
    assert {"tmux", "other_tty"} <= set(both.kinds)
    assert both.policy in {Policy.MASK, Policy.REFUSE}
    assert "other_tty" not in find_recorders(policies, "pts/2", {"SSH_TTY": "/dev/pts/2"}).kinds


@pytest.mark.parametrize("recorder", ["asciinema", "tlog-rec", "sudo"])
def test_a_recorder_above_the_kiosk_is_noticed(tmp_path: Path, recorder: str) -> None:
    """Recorders are recognised by name, so a renamed shell can replace one that is not installed."""
    named = tmp_path / recorder
    named.symlink_to(shutil.which("sh") or "/bin/sh")
    code = (
        "from kiosk.config.kiosk import RecorderPolicies; from kiosk.terminal.recorders import find_recorders;"
        " print(find_recorders(RecorderPolicies(), 'pts/1'))"
    )
    shell = [str(named), "-c", f"{shlex.join([sys.executable, '-c', code])}; true"]
    done = subprocess.run(shell, capture_output=True, text=True, check=True, timeout=30)
    assert recorder.removesuffix("-rec") in done.stdout.strip().split(", ")
