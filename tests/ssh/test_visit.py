"""Visits over SSH, with every file of deploy/ installed: sshd, launcher, kiosk, broker."""

from __future__ import annotations

import signal
from collections.abc import Callable

import psutil
import pytest

from kiosk.__main__ import environment
from kiosk.process.watchdog import STUCK_SECONDS
from tests.ssh.machine import Machine, wait_until
from tests.ssh.sessions import WELCOME, Door, kiosk_of, own_sshd
from tests.support.sandbox import RunningSandbox
from tests.support.terminal import DOWN, ENTER, ESCAPE, F1, F10, Terminal

HOSTILE = {
    "TEXTUAL_DRIVER": "evil:Driver",
    "TEXTUAL_LOG": "/tmp/keys.log",
    "TEXTUAL_PRESS": "enter",
    "PYTHONPATH": "/tmp",
    "PYTHONINSPECT": "1",
    "PYTHONSTARTUP": "/tmp/evil.py",
    "LC_ALL": "tr_TR.UTF-8",
    "LANG": "tr_TR.UTF-8",
    "SSLKEYLOGFILE": "/tmp/tls.log",
    "SSL_CERT_FILE": "/tmp/ca.pem",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "OPENSSL_CONF": "/tmp/openssl.cnf",
    "BASH_ENV": "/tmp/evil.sh",
    "ENV": "/tmp/evil.sh",
    "COLUMNS": "20",
}
# The client must send this, but not load it itself.
PRELOAD = {"LD_PRELOAD": "/tmp/evil.so"}


def walk_to_the_key(kiosk: Terminal, key: str) -> None:
    """Walk from the welcome screen to the key with Enter alone."""
    kiosk.wait_for(WELCOME)
    kiosk.press(ENTER)
    kiosk.wait_for("Is this you?")
    kiosk.press(ENTER)
    kiosk.wait_for("Which Mac is locked?")
    kiosk.press(ENTER)
    kiosk.wait_for(key)


def key_of(sandbox: RunningSandbox) -> str:
    key = sandbox.device("NW-AKESSLER-14").key
    assert key
    return key


def record(machine: Machine) -> str:
    """Return the broker's database as it is on disk."""
    return machine.run("sh", "-c", "cat /var/lib/kiosk-broker/record.db*", errors="replace")


def test_a_line_that_is_cut_while_the_key_is_shown(broker: Machine, door: Door, sandbox: RunningSandbox) -> None:
    with door.terminal("-tt") as kiosk:
        walk_to_the_key(kiosk, key_of(sandbox))
        running = kiosk_of(door)
        kiosk.kill(signal.SIGKILL)
        _, alive = psutil.wait_procs(running, timeout=10)
        assert not alive
        assert not broker.kiosks()
        wait_until(lambda: not broker.sshds())
    written = record(broker)
    assert "release.done" in written
    assert "from 127.0.0.1" in written
    assert key_of(sandbox) not in written


def test_a_visit_that_ends_ends_the_connection(broker: Machine, door: Door, sandbox: RunningSandbox) -> None:
    key = key_of(sandbox)
    with door.terminal("-tt") as kiosk:
        walk_to_the_key(kiosk, key)
        kiosk.press(ESCAPE)
        kiosk.wait_for("Which Mac is locked?")
        kiosk.press(F10)
        kiosk.wait_for("This terminal is locked")
        kiosk.press(ENTER)
        assert kiosk.exit_code() == 0
        assert not [group for group in key.split("-") if group in kiosk.text]
        wait_until(lambda: not broker.sshds())


def test_keys_arrive_and_a_new_size_is_taken(door: Door) -> None:
    with door.terminal("-tt") as kiosk:
        kiosk.wait_for(WELCOME)
        kiosk.press("\x03\x1a\x1c\x04")
        kiosk.press(F1)
        kiosk.wait_for("Close")
        kiosk.press(DOWN + ENTER)
        kiosk.wait_for(WELCOME)
        kiosk.screen.resize(20, 60)
        kiosk.child.setwinsize(20, 60)
        kiosk.wait_for("This window is too small", "60 x 20")
        kiosk.screen.resize(40, 120)
        kiosk.child.setwinsize(40, 120)
        kiosk.wait_for(WELCOME)
        assert len(kiosk_of(door)) == 2


def test_a_hangup_ends_the_visit(door: Door) -> None:
    with door.terminal("-tt") as kiosk:
        kiosk.wait_for(WELCOME)
        kiosk.press(ENTER)
        kiosk.wait_for("Is this you?")
        running = kiosk_of(door)
        kiosk.kill(signal.SIGHUP)
        _, alive = psutil.wait_procs(running, timeout=10)
        assert not alive


def test_a_client_that_is_stopped_with_much_to_draw(door: Door) -> None:
    """The connection is full, so the app blocks in drawing. The watchdog ends the visit long before any deadline."""
    with door.terminal("-tt") as kiosk:
        kiosk.wait_for(WELCOME)
        # A larger screen fills the SSH window sooner.
        kiosk.child.setwinsize(200, 500)
        kiosk.press(ENTER)
        kiosk.wait_for_raw("Is this you?")
        running = kiosk_of(door)
        # The client sends all keys, and is stopped while the kiosk still draws the first of them.
        kiosk.press((F1 + ENTER) * 60)
        kiosk.wait_for_raw("Close")
        kiosk.kill(signal.SIGSTOP)
        _, alive = psutil.wait_procs(running, timeout=STUCK_SECONDS + 10)
        assert not alive
        kiosk.kill(signal.SIGCONT)


def test_a_client_that_is_stopped_with_nothing_to_draw(door: Door) -> None:
    """sshd closes the connection, here sooner than with the shipped settings."""
    keys = (door.key, door.known_hosts)
    with own_sshd(door.machine, keys, "-o", "ClientAliveInterval=1") as strict, strict.terminal("-tt") as kiosk:
        kiosk.wait_for(WELCOME)
        running = kiosk_of(strict)
        kiosk.kill(signal.SIGSTOP)
        _, alive = psutil.wait_procs(running, timeout=20)
        assert not alive
        kiosk.kill(signal.SIGCONT)


def test_nobody_at_the_keyboard(door: Door, configured: Callable[..., None]) -> None:
    """The idle lock ends the visit and the connection, even if the client has been stopped."""
    configured(idle_seconds=2)
    try:
        with door.terminal("-tt") as kiosk:
            kiosk.wait_for(WELCOME)
            kiosk.press(ENTER)
            kiosk.wait_for("Is this you?")
            kiosk.press(ENTER)
            kiosk.wait_for("Which Mac is locked?")
            running = kiosk_of(door)
            kiosk.kill(signal.SIGSTOP)
            _, alive = psutil.wait_procs(running, timeout=20)
            assert not alive
            kiosk.kill(signal.SIGCONT)
    finally:
        configured()


@pytest.mark.parametrize("how", ["SetEnv", "SendEnv"])
def test_nothing_of_the_environment_comes_along(door: Door, how: str) -> None:
    hostile = HOSTILE | PRELOAD
    options = [f"{name}={value}" for name, value in hostile.items()] if how == "SetEnv" else list(hostile)
    with door.terminal("-tt", "-o", f"{how}={' '.join(options)}", env=HOSTILE if how == "SendEnv" else None) as kiosk:
        kiosk.wait_for(WELCOME)
        for process in kiosk_of(door):
            given = own_environment(process)
            assert not set(given) & (set(hostile) - {"LANG"})
            assert given["LANG"] == "C.UTF-8"
            assert given["TERM"] == "xterm-256color"
            assert given["SSH_CONNECTION"].startswith("127.0.0.1 ")


def test_the_launcher_lets_python_read_nothing(door: Door) -> None:
    """Whatever sshd and PAM pass on, the program gets its own environment and does not start Python again."""
    # A terminal from the machine itself, because this machine's terminals have no name there.
    inside = ["/opt/recovery-kiosk/bin/python", "-I", "-c", "import pty, sys; pty.spawn(sys.argv[1:])"]
    machine = door.machine
    command = machine.command(*inside, "/usr/local/libexec/kiosk-ssh", "-c", "/bin/sh", user="kiosk")
    kiosk = Terminal(command, env=HOSTILE | {"SSH_TTY": "/dev/pts/0"})
    try:
        kiosk.wait_for(WELCOME)
        given = own_environment(machine.kiosks()[0])
        assert given == environment(given)
        assert given["PYTHONMALLOC"] == "malloc"
        assert given["GLIBC_TUNABLES"] == "glibc.malloc.tcache_count=0"
    finally:
        kiosk.close()


def own_environment(process: psutil.Process) -> dict[str, str]:
    """Return the environment with GLIBC_TUNABLES rejoined, which glibc splits in place into what looks like names."""
    found = process.environ()
    parts = [f"{name}={found.pop(name)}" for name in list(found) if name.startswith("glibc.")]
    found["GLIBC_TUNABLES"] = ":".join([found["GLIBC_TUNABLES"], *parts])
    return found
