"""With either setup of sshd, everything that SSH can do besides a terminal is refused."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiosk.process.exit_codes import EXIT_NO_TERMINAL
from tests.ssh.machine import BROKER_SOCKET, Machine, find, free_port, wait_until
from tests.ssh.sessions import PROCESSES, WELCOME, Door, kiosk_of

SENTENCE = "It needs a terminal"
ROOT_KEYS = Path("/root/.ssh/authorized_keys")


class Target:
    """A TCP service on the machine that must not be reached, and that counts its connections."""

    def __init__(self, listener: socket.socket) -> None:
        self.port = listener.getsockname()[1]
        self.reached = 0
        self._listener = listener

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._listener.accept()[0].close()
                self.reached += 1


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Target(listener)
        threading.Thread(target=made.serve, daemon=True).start()
        yield made
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def open_reveals(machine: Machine) -> Iterator[None]:
    """Run a server that would answer on the broker's socket."""
    answer = "import socket; s = socket.socket(1); s.bind('" + BROKER_SOCKET + "'); s.listen()\nwhile True: s.accept()"
    with machine.service("/opt/recovery-kiosk/bin/python", "-I", "-c", answer, log="reveals.log"):
        wait_until(lambda: "socket" in machine.run("stat", "-c", "%F", BROKER_SOCKET, check=False))
        machine.run("chmod", "666", BROKER_SOCKET)
        yield


@contextlib.contextmanager
def client(door: Door, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a client without a session, which keeps the connection open for forwardings."""
    with subprocess.Popen(
        door.ssh("-N", *arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def answered(address: tuple[str, int] | str, first: bytes = b"") -> bytes:
    """Connect to the client's listener, send ``first``, and return what arrives until the end."""
    with _connected(address) as connection:
        connection.settimeout(20)
        heard = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(first)
            while data := connection.recv(4096):
                heard += data
        return heard


def _connected(address: tuple[str, int] | str) -> socket.socket:
    found: list[socket.socket] = []

    def connects() -> bool:
        attempt = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        try:
            attempt.connect(address)
        except OSError:
            attempt.close()
            return False
        found.append(attempt)
        return True

    wait_until(connects)
    return found[0]


@pytest.mark.parametrize("command", [["sh", "-i"], ["/bin/touch", "/tmp/was-here"]])
def test_a_command_of_the_client_is_not_run(any_door: Door, command: list[str]) -> None:
    with any_door.terminal("-tt", command=command) as kiosk:
        kiosk.wait_for(WELCOME)
        assert len(kiosk_of(any_door)) == 2
        assert not any_door.machine.run("find", "/tmp", "-name", "was-here")


@pytest.mark.parametrize("command", [[], ["sh"], ["scp", "-t", "/tmp"], ["rsync", "--server", ".", "/"]])
def test_without_a_terminal_there_is_no_kiosk(any_door: Door, command: list[str]) -> None:
    done = any_door.run("-T", command=command)
    assert done.returncode == EXIT_NO_TERMINAL
    assert SENTENCE in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    "command",
    [
        ["sftp", "127.0.0.1:/etc/hostname", "out"],
        ["scp", "127.0.0.1:/etc/hostname", "out"],
        ["scp", "-O", "127.0.0.1:/etc/hostname", "out"],
        ["scp", "in", "127.0.0.1:/tmp/in"],
        ["scp", "-O", "in", "127.0.0.1:/tmp/in"],
    ],
    ids=" ".join,
)
def test_no_files_go_in_or_out(any_door: Door, tmp_path: Path, command: list[str]) -> None:
    tool, *way = command
    if not find(tool):
        pytest.skip(f"needs {tool}, which is not installed")
    (tmp_path / "in").write_text("x")
    whole = [tool, *any_door.options(), *way]
    done = subprocess.run(whole, cwd=tmp_path, capture_output=True, check=False, timeout=30, stdin=subprocess.DEVNULL)
    assert done.returncode != 0
    assert not (tmp_path / "out").exists()
    # Not deeper: a checkout may be in there.
    assert not any_door.machine.run("find", "/tmp", "-maxdepth", "1", "-type", "f")


def test_no_ports_of_the_machine_are_reached(any_door: Door, target: Target) -> None:
    """-L, -D, -W and -J, which are all the same request to sshd."""
    local, dynamic = free_port(), free_port()
    socks = b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01" + target.port.to_bytes(2, "big")
    with client(any_door, "-L", f"127.0.0.1:{local}:127.0.0.1:{target.port}", "-D", f"127.0.0.1:{dynamic}"):
        assert answered(("127.0.0.1", local)) == b""
        # The SOCKS greeting is the client's own answer; the answer to the connection request never comes.
        assert answered(("127.0.0.1", dynamic), socks)[2:] == b""
    done = any_door.run("-W", f"127.0.0.1:{target.port}")
    assert done.returncode != 0
    assert target.reached == 0
    answered(("127.0.0.1", target.port))
    wait_until(lambda: target.reached == 1)
    target.reached = 0


def test_the_broker_is_not_reached_from_outside(any_door: Door, open_reveals: None, tmp_path: Path) -> None:
    """The kiosk's user may open the broker's socket, so a forwarding to it would bypass the kiosk."""
    with client(any_door, "-L", f"{tmp_path}/broker.sock:{BROKER_SOCKET}"):
        assert answered(f"{tmp_path}/broker.sock", b"GET /healthz HTTP/1.1\r\n\r\n") == b""
    hello = f"import socket; s = socket.socket(1); s.connect('{BROKER_SOCKET}'); print('connected')"
    python = "/opt/recovery-kiosk/bin/python"
    assert "connected" in any_door.machine.run(python, "-I", "-c", hello, user="kiosk")


@pytest.mark.parametrize("what", ["{port}:127.0.0.1:{target}", "{port}", "/tmp/in.sock:127.0.0.1:{target}"])
def test_nothing_is_brought_in(any_door: Door, target: Target, what: str) -> None:
    """-R to a port, as a proxy, and to a unix socket."""
    port = free_port()
    done = any_door.run("-N", "-o", "ExitOnForwardFailure=yes", "-R", what.format(port=port, target=target.port))
    assert done.returncode == 255
    assert "remote port forwarding failed" in done.stderr
    assert not any_door.machine.run("find", "/tmp", "-type", "s")


def test_no_agent_comes_along(any_door: Door, tmp_path: Path) -> None:
    agent_socket = str(tmp_path / "agent.sock")
    with subprocess.Popen(["ssh-agent", "-D", "-a", agent_socket], stdout=subprocess.DEVNULL) as agent:
        wait_until(lambda: Path(agent_socket).exists())
        try:
            with any_door.terminal("-tt", "-A", env={"SSH_AUTH_SOCK": agent_socket}) as kiosk:
                kiosk.wait_for(WELCOME)
                assert not any_door.machine.run("find", "/tmp", "-name", "ssh-*")
        finally:
            agent.send_signal(signal.SIGTERM)


def test_no_display_comes_along(any_door: Door) -> None:
    # Without xauth, the client does not request it.
    with any_door.terminal("-tt", "-X", "-v", env={"DISPLAY": "127.0.0.1:7"}) as kiosk:
        kiosk.wait_for(WELCOME)
        if b"Requesting X11 forwarding" in kiosk.raw:
            assert b"X11 forwarding request failed" in kiosk.raw


def test_one_connection_has_one_session(any_door: Door, tmp_path: Path) -> None:
    path = tmp_path / "control"
    with any_door.terminal("-tt", "-o", "ControlMaster=yes", "-o", f"ControlPath={path}") as kiosk:
        kiosk.wait_for(WELCOME)
        # A master blocked on its output answers no other client.
        kiosk.settle(1)
        # A refused client falls back to its own connection, to a port on which nobody listens.
        second = ["ssh", "-F", "/dev/null", "-o", f"ControlPath={path}", "-p", "1", "-tt", "127.0.0.1"]
        done = subprocess.run(second, capture_output=True, text=True, check=False, timeout=30, stdin=subprocess.DEVNULL)
        assert done.returncode == 255
        assert "refused" in done.stderr
        assert len(any_door.machine.kiosks()) == PROCESSES


def test_nobody_else_comes_in(any_door: Door, tmp_path: Path) -> None:
    """Other keys and passwords are refused."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    stranger = dataclasses.replace(any_door, key=tmp_path / "other")
    for options in ([], ["-o", "PreferredAuthentications=password,keyboard-interactive,none"]):
        refused = stranger.run("-tt", *options)
        assert refused.returncode == 255
        assert "Permission denied (publickey)" in refused.stderr


def test_the_own_sshd_has_one_account(door: Door) -> None:
    door.machine.write(ROOT_KEYS, (door.key.parent / "client.pub").read_bytes(), 0o600)
    refused = dataclasses.replace(door, user="root").run("-tt")
    assert refused.returncode == 255
    assert "Permission denied" in refused.stderr
