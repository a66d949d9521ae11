"""Connections to the kiosk with the real client, and the two setups of sshd in deploy/."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.ssh.machine import DEPLOY, SETTINGS, Machine, free_port, start_of, wait_until
from tests.support.terminal import Terminal

WELCOME = "Locked out of your Mac?"
# Of one session: supervisor, visit and caretaker.
PROCESSES = 3
_HOST_KEY = Path("/etc/ssh/ssh_host_ed25519_key")
# Debian's own settings around the Include line, so that the Match block has something to close.
_MACHINES_OWN = """
Include /etc/ssh/sshd_config.d/*.conf
KbdInteractiveAuthentication no
UsePAM {pam}
X11Forwarding yes
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
"""


@dataclass
class Door:
    """An sshd that leads to the kiosk, and what the client needs to connect."""

    machine: Machine
    port: int
    key: Path
    known_hosts: Path
    user: str = "kiosk"

    def options(self) -> list[str]:
        """Return options for ssh, scp and sftp that exclude the settings of this account."""
        settings = {
            "Port": self.port,
            "User": self.user,
            "IdentityFile": self.key,
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "UserKnownHostsFile": self.known_hosts,
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
        }
        return ["-F", "/dev/null", *(part for name, value in settings.items() for part in ("-o", f"{name}={value}"))]

    def ssh(self, *arguments: str, command: Sequence[str] = ()) -> list[str]:
        """Return the command line of the client."""
        return ["ssh", *self.options(), *arguments, "127.0.0.1", *command]

    def run(self, *arguments: str, command: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run a client without a terminal to its end."""
        return subprocess.run(
            self.ssh(*arguments, command=command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=40,
        )

    @contextlib.contextmanager
    def terminal(
        self, *arguments: str, command: Sequence[str] = (), env: dict[str, str] | None = None
    ) -> Iterator[Terminal]:
        """Run a client on a terminal. At the end of the block, wait until everything that ran for it has ended."""
        opened = Terminal(self.ssh(*arguments, command=command), env=env)
        try:
            yield opened
        finally:
            opened.close()
            wait_until(lambda: not self.machine.kiosks())


def kiosk_of(door: Door) -> list[psutil.Process]:
    """Return supervisor and visit of the only session, in this order."""
    wait_until(lambda: len(door.machine.kiosks()) == PROCESSES)
    kiosks = door.machine.kiosks()
    # The caretaker has no parent among them: it must not end with the supervisor.
    [supervisor] = [one for one in kiosks if any(other.ppid() == one.pid for other in kiosks)]
    return [supervisor, *(one for one in kiosks if one.ppid() == supervisor.pid)]


def make_keys(machine: Machine, place: Path) -> tuple[Path, Path]:
    """Make a host key and a key for the client. Returns the client's key file and its known_hosts file."""
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)], check=True)
    machine.write(_HOST_KEY, (place / "host").read_bytes(), 0o600)
    machine.write(SETTINGS / "authorized_keys", (place / "client.pub").read_bytes())
    known = place / "known_hosts"
    kind, public, *_ = (place / "host.pub").read_text().split()
    known.write_text(f"* {kind} {public}\n")
    return place / "client", known


@contextlib.contextmanager
def own_sshd(machine: Machine, keys: tuple[Path, Path], *options: str) -> Iterator[Door]:
    """Run one ``sshd -i`` for each connection, as kiosk-sshd.socket does."""
    port = free_port()
    listener = ["systemd-socket-activate", "--accept", "--inetd", f"--listen=127.0.0.1:{port}"]
    sshd = start_of(DEPLOY / "ssh/kiosk-sshd@.service")
    with machine.service(*listener, *sshd, "-e", *options, log="sshd.log"):
        wait_until(lambda: _listens(port))
        yield Door(machine, port, *keys)


@contextlib.contextmanager
def shared_sshd(machine: Machine, keys: tuple[Path, Path]) -> Iterator[Door]:
    """Run the machine's own sshd, with the Match block in its settings."""
    port = free_port()
    pam = "yes" if Path("/etc/pam.d/sshd").exists() else "no"
    machine.write(Path("/etc/ssh/sshd_config"), _MACHINES_OWN.format(pam=pam))
    options = ["-p", str(port), "-o", "ListenAddress=127.0.0.1", "-o", f"HostKey={_HOST_KEY}"]
    with machine.service("/usr/sbin/sshd", "-D", "-e", *options, log="sshd.log"):
        wait_until(lambda: _listens(port))
        yield Door(machine, port, *keys)


def _listens(port: int) -> bool:
    # From the kernel's table, because a trial connection would be a session.
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(local.endswith(f":{port:04X}") and state == "0A" for _, local, _, state, *_ in sockets)
