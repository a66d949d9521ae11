"""A temporary machine inside this one, with its own processes, mounts, users and settings.

It sees this machine's files under an overlay in memory that receives every change. Tests can make accounts, install
the files of ``deploy/`` and start an sshd as docs/deploy.md says, without any change to this machine. The network is
shared.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from kiosk.config.broker import BrokerConfig
from kiosk.config.kiosk import KioskConfig
from kiosk.config.loading import load
from tests.support.broker import to_toml
from tests.support.sandbox import RunningSandbox
from tests.support.time_limit import TimeLimit

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SETTINGS = Path("/etc/recovery-kiosk")
BROKER_SOCKET = "/run/kiosk-broker/broker.sock"
PROGRAM = Path("/opt/recovery-kiosk")
# MemoryDenyWriteExecute, for kernels that know it: PR_SET_MDWE with PR_MDWE_REFUSE_EXEC_GAIN.
_NO_NEW_CODE = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
_TOOLS = ("unshare", "nsenter", "mount", "chroot", "setpriv", "systemd-sysusers", "systemd-tmpfiles")
_PATIENCE_SECONDS = 20.0

# $1 is a folder for the mounts, $2 the folder that both machines see, $3 the Python that becomes the first process, $4
# the virtual environment, and the rest are other folders that the program needs. All users get access to those, which
# are usually in somebody's home.
_BUILD = """
set -eu
place=$1 shared=$2 python=$3 environment=$4
shift 4
mount -t tmpfs -o mode=755 machine "$place"
mkdir "$place/upper" "$place/work" "$place/root"
mount -t overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" machine "$place/root"
cd "$place/root"
mount --rbind /dev dev
mount -t devpts -o "newinstance,ptmxmode=0666,mode=620,gid=$(getent group tty | cut -d: -f3)" devpts dev/pts
mount --bind dev/pts/ptmx dev/ptmx
mount -t proc proc proc
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
show() {
    mkdir -p ".$2"
    mount --rbind "$1" ".$2"
    mount -o remount,bind,ro ".$2"
    folder=$2
    while folder=$(dirname "$folder"); [ "$folder" != / ]; do chmod o+x ".$folder" 2>/dev/null || true; done
}
for needed in "$@"; do show "$needed" "$needed"; done
show "$environment" /opt/recovery-kiosk
mkdir -p srv/shared run/sshd
mount --bind "$shared" srv/shared
exec chroot . "$python" -I -c '
import signal, sys

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
sys.stdin.read()
'
"""


def needs(*more: str) -> None:
    """Skip the test if such a machine cannot be made here."""
    if sys.platform != "linux":
        pytest.skip("needs Linux")
    if os.geteuid() != 0:
        pytest.skip("needs root: sshd changes users, and the machine of the test is made of mounts")
    for tool in (*_TOOLS, *more):
        if not find(tool):
            pytest.skip(f"needs {tool}, which is not installed")


def find(tool: str) -> str | None:
    """Return the path of a program, including those that only root has in the search path."""
    return shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


class Machine:
    """Runs commands on the machine. ``shared`` is the folder of this machine that is ``/srv/shared`` there."""

    def __init__(self, init: int, shared: Path) -> None:
        self.init = init
        self.shared = shared
        self._namespace = Path(f"/proc/{init}/ns/pid").readlink()

    def command(self, *command: str, user: str = "") -> list[str]:
        """Return the command to run here so that ``command`` runs there."""
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"] if user else []
        enter = ["nsenter", f"--target={self.init}", "--mount", "--pid", "--root", "--wd", "--"]
        return [str(find(enter[0])), *enter[1:], *as_user, *command]

    def run(self, *command: str, user: str = "", check: bool = True, **options: Any) -> str:
        """Run a command to its end, and return what it wrote on both outputs."""
        done = subprocess.run(
            self.command(*command, user=user),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
            env=_environment(),
            **options,
        )
        assert done.returncode == 0 or not check, done.stdout
        return str(done.stdout)

    def write(self, path: Path, content: str | bytes, mode: int = 0o644, owner: str = "root") -> None:
        """Write a file there."""
        data = content.encode() if isinstance(content, str) else content
        script = 'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod "$2" "$1" && chown "$3:" "$1"'
        command = self.command("sh", "-c", script, "write", str(path), f"{mode:o}", owner)
        subprocess.run(command, input=data, check=True, timeout=30)

    def install(self, *names: str) -> None:
        """Run the named blocks of docs/deploy.md."""
        for name in names:
            self.run("sh", "-eu", "-c", f"cd {ROOT}\n{documented(name)}")

    @contextlib.contextmanager
    def service(self, *command: str, log: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command there while the block runs. Its output goes to a file in ``shared``."""
        with (
            (self.shared / log).open("ab") as output,
            subprocess.Popen(
                self.command(*command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(),
                **options,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def processes(self) -> list[psutil.Process]:
        """Return all running processes there."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                inside = Path(f"/proc/{process.pid}/ns/pid").readlink() == self._namespace
                if inside and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def kiosks(self) -> list[psutil.Process]:
        """Return the supervisors, visits and caretakers."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if {"-m", "kiosk", "run"} <= set(process.cmdline()):
                    found.append(process)
        return found

    def sshds(self) -> list[psutil.Process]:
        """Return all sshd processes; each connection has several."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if process.name().startswith("sshd"):
                    found.append(process)
        return found


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


@contextlib.contextmanager
def running_machine(place: Path) -> Iterator[Machine]:
    """Make the machine, and end all its processes with the block. Skips the test if that is not possible here."""
    needs()
    shared = place / "shared"
    shared.mkdir(mode=0o755)
    (place / "machine").mkdir()
    needed = {str(ROOT), sys.base_prefix, os.path.realpath(sys.prefix)}
    build = ["sh", "-c", _BUILD, "build", str(place / "machine"), str(shared), os.path.realpath(sys.executable)]
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "--"]
    with subprocess.Popen(
        [*unshare, *build, os.path.realpath(sys.prefix), *sorted(needed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        if process.stdout.readline() != b"ready\n":
            pytest.skip(f"needs mounts and namespaces: {process.stderr.read().decode().strip()}")
        (init,) = psutil.Process(process.pid).children()
        try:
            yield Machine(init.pid, shared)
        finally:
            process.stdin.close()
            process.wait(timeout=30)


def documented(name: str) -> str:
    """Return the commands of a named block in docs/deploy.md."""
    found = re.findall(rf"^```sh {name}\n(.*?)^```$", (ROOT / "docs/deploy.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 1, name
    return str(found[0])


def wait_until(holds: Callable[[], object], patience: float = _PATIENCE_SECONDS) -> None:
    """Poll until ``holds`` returns something true."""
    limit = TimeLimit(patience)
    while not holds():
        assert not limit.passed()
        time.sleep(0.05)


def free_port() -> int:
    """Return a free port on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def configure(machine: Machine, sandbox: RunningSandbox, **visit: Any) -> None:
    """Write the kiosk's example configuration with the sandbox's values filled in, as an administrator would."""
    for example in ("console/kiosk.toml", "ssh/kiosk-ssh.toml"):
        shipped = load(DEPLOY / example, KioskConfig)
        given = load(sandbox.directory / "kiosk.toml", KioskConfig)
        filled = msgspec.structs.replace(
            given, broker=shipped.broker, visit=msgspec.structs.replace(shipped.visit, **visit)
        )
        _write(machine, SETTINGS / Path(example).name, filled, {"device_code": {"ca_bundle": SETTINGS / "ca.pem"}})
    machine.write(SETTINGS / "ca.pem", sandbox.ca.read_bytes())


def configure_broker(machine: Machine, sandbox: RunningSandbox) -> None:
    """Write the broker's example configuration likewise, and put its certificate where systemd would."""
    filled = load(sandbox.directory / "broker.toml", BrokerConfig)
    shipped = tomllib.loads((DEPLOY / "broker/broker.toml").read_text())
    paths = {
        "listen": {"url": shipped["listen"]["url"]},
        "tokens": {"ca_bundle": SETTINGS / "ca.pem"},
        "graph": {"ca_bundle": SETTINGS / "ca.pem", "certificate": Path(shipped["graph"]["certificate"])},
        "record": {"database": "sqlite:////var/lib/kiosk-broker/record.db"},
        "rules": {"per_person": ("100/hour",), "per_device": ("100/hour",)},
    }
    _write(machine, SETTINGS / "broker.toml", filled, paths)
    machine.write(
        Path(shipped["graph"]["certificate"]), (sandbox.directory / "broker.pem").read_bytes(), 0o400, "kiosk-broker"
    )


def _write(machine: Machine, path: Path, config: Any, changes: Mapping[str, Mapping[str, Any]]) -> None:
    for name, values in changes.items():
        section = msgspec.structs.replace(getattr(config, name), **values)
        config = msgspec.structs.replace(config, **{name: section})
    machine.write(path, to_toml(config))


def settings(unit: Path) -> dict[str, str]:
    """Return the settings of a unit file; the last value of repeated ones."""
    lines = [line for line in unit.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return dict(line.split("=", maxsplit=1) for line in lines)


def start_of(unit: Path) -> list[str]:
    """Return ExecStart of a unit, wrapped in those restrictions that can be applied without systemd."""
    said = settings(unit)
    python = f"{PROGRAM}/bin/python"
    capabilities = [f"+{name.removeprefix('CAP_').lower()}" for name in said["CapabilityBoundingSet"].split()]
    # Under systemd, sshd has no netlink and skips the audit log. Here it has netlink, so without the right to write to
    # the log it would give up.
    confined = ["setpriv", "--no-new-privs", f"--bounding-set={','.join(['-all', '+audit_write', *capabilities])}"]
    user = [f"--reuid={said['User']}", f"--regid={said['Group']}", "--init-groups"] if "User" in said else []
    return [*confined, *user, "--", python, "-I", "-c", _NO_NEW_CODE, *shlex.split(said["ExecStart"].removeprefix("-"))]


@contextlib.contextmanager
def running_broker_service(machine: Machine) -> Iterator[None]:
    """Run the broker as its unit does: as its own user, with the socket that kiosk-broker.socket describes."""
    said = settings(DEPLOY / "broker/kiosk-broker.socket")
    path = said["ListenStream"]
    listener = ["systemd-socket-activate", f"--listen={path}"]
    with machine.service(*listener, *start_of(DEPLOY / "broker/kiosk-broker.service"), log="broker.log"):
        wait_until(lambda: machine.run("stat", "--format=%F", path, check=False).strip() == "socket")
        machine.run("chown", f"{said['SocketUser']}:{said['SocketGroup']}", path)
        machine.run("chmod", said["SocketMode"], path)
        yield
