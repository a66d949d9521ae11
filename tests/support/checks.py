"""An installation that tests of ``kiosk check`` can break: files, certificates, servers and kernel settings."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import json
import resource
import shutil
import socket
import socketserver
import ssl
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kiosk.broker.record.writer import open_record
from kiosk.checks.broker_side import CHECKS as BROKER_CHECKS
from kiosk.checks.broker_side import Broker
from kiosk.checks.kiosk_side import CHECKS as KIOSK_CHECKS
from kiosk.checks.kiosk_side import Kiosk
from kiosk.checks.result import Result, Run
from kiosk.clock import Clock, SystemClock
from kiosk.config.broker import BrokerConfig
from kiosk.config.loading import load
from tests.support.sandbox import RunningSandbox

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SHORT = rsa.generate_private_key(public_exponent=65537, key_size=1024)
CURVE = ec.generate_private_key(ec.SECP256R1())
# A machine as docs/deploy.md sets it up.
MACHINE = {
    "proc/sys/kernel/core_pattern": "|/bin/false",
    "proc/sys/fs/suid_dumpable": "0",
    "proc/sys/kernel/yama/ptrace_scope": "2",
    "proc/sys/dev/tty/legacy_tiocsti": "0",
    "proc/swaps": "Filename\tType\tSize\tUsed\tPriority",
    "proc/cmdline": "quiet init_on_free=1",
    "proc/sys/kernel/osrelease": "6.1.0",
    "proc/self/mounts": "/dev/vda / ext4 rw 0 0",
}
_ALLOWED = ("script", "asciinema", "tlog", "debugger", "sudo", "other_tty", "tmux", "screen")


@dataclass
class Installation:
    """Kiosk and broker configured in one folder, for a sandbox and a broker that run. Tests break one thing in it."""

    sandbox: RunningSandbox
    place: Path
    kiosk: dict[str, Any]
    broker: dict[str, Any]
    stack: contextlib.ExitStack
    clock: Clock = field(default_factory=SystemClock)
    public_key: Path | None = None

    @property
    def kiosk_toml(self) -> Path:
        return self.place / "kiosk.toml"

    @property
    def broker_toml(self) -> Path:
        return self.place / "broker.toml"

    @property
    def database(self) -> Path:
        return self.place / "record.db"

    @property
    def root(self) -> Path:
        return self.place / "machine"

    def write(self) -> None:
        """Write both configuration files from the current tables."""
        for path, tables in ((self.kiosk_toml, self.kiosk), (self.broker_toml, self.broker)):
            if not path.exists():
                path.touch(0o600)
            path.write_text(to_toml(tables))

    def machine(self, name: str, value: str | None) -> None:
        """Change a setting of the kernel; None removes it."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if value is None:
            file.unlink()
        else:
            file.write_text(value + "\n")

    def log(self) -> None:
        """Listen on the socket of the system log."""
        (self.root / "dev").mkdir()
        listener = self.stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        listener.bind(str(self.root / "dev" / "log"))

    def certificate(self, content: bytes) -> Path:
        """Replace the broker's certificate."""
        path = self.place / "broker.pem"
        path.write_bytes(content)
        return path

    def results(self, side: str) -> dict[str, Result]:
        """Run all checks of one side and return their results by name."""
        run: Run[Any]
        if side == "kiosk":
            run = Run(KIOSK_CHECKS, Kiosk(self.kiosk_toml, clock=self.clock, root=self.root))
        else:
            at = Broker(self.broker_toml, clock=self.clock, root=self.root, public_key=self.public_key)
            run = Run(BROKER_CHECKS, at)
        return {result.name: result for result in run}


@contextlib.contextmanager
def installation(sandbox: RunningSandbox, place: Path, socket: str) -> Iterator[Installation]:
    """Make an installation that passes all checks, for a broker that listens on ``socket``."""
    place.chmod(0o755)
    shutil.copy2(sandbox.directory / "broker.pem", place)
    shutil.copy2(sandbox.directory / "ca.pem", place)
    kiosk = tomllib.loads((sandbox.directory / "kiosk.toml").read_text())
    kiosk["broker"]["url"] = socket
    # The tests may themselves run under any of these.
    kiosk["recorders"] = dict.fromkeys(_ALLOWED, "allow")
    broker = tomllib.loads((sandbox.directory / "broker.toml").read_text())
    broker["listen"]["url"] = socket
    broker["record"]["database"] = f"sqlite:///{place / 'record.db'}"
    broker["graph"] |= {"read_seconds": 1, "total_seconds": 3}
    before = resource.getrlimit(resource.RLIMIT_CORE)
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_CORE, before)
        # As the program does at its start (kiosk/__main__.py).
        resource.setrlimit(resource.RLIMIT_CORE, (0, before[1]))
        made = Installation(sandbox, place, kiosk, broker, stack)
        for name, value in MACHINE.items():
            made.machine(name, value)
        made.log()
        made.write()
        _record(made)
        yield made


def _record(made: Installation) -> None:
    """Give the installation a record that a broker has begun. Beginning one takes longer than copying it."""
    begun = made.sandbox.directory / "begun"
    if begun.exists():
        for file in begun.iterdir():
            shutil.copy2(file, made.place)
        return
    before = set(made.place.iterdir())
    with open_record(load(made.broker_toml, BrokerConfig), SystemClock()).running():
        pass
    begun.mkdir()
    for file in set(made.place.iterdir()) - before:
        shutil.copy2(file, begun)


def to_toml(tables: dict[str, Any]) -> str:
    """Return tables, and arrays of tables, as TOML. The values must be ones that JSON and TOML write alike."""
    lines: list[str] = []
    for name, found in tables.items():
        for table in found if isinstance(found, list) else [found]:
            lines.append(f"[[{name}]]" if isinstance(found, list) else f"[{name}]")
            lines += [f"{key} = {json.dumps(value, default=str)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def certificate(key: Key = RSA, *, begins: float = -1, ends: float = 365, name: str = "localhost") -> x509.Certificate:
    """Make a self-signed certificate; ``begins`` and ``ends`` are days from now."""
    now = dt.datetime.now(dt.UTC)
    of = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(of).issuer_name(of).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now + dt.timedelta(days=begins)).not_valid_after(now + dt.timedelta(days=ends))
    alternative = x509.SubjectAlternativeName([x509.DNSName(name)])
    return builder.add_extension(alternative, critical=False).sign(key, hashes.SHA256())


def pem(*parts: x509.Certificate | Key) -> bytes:
    """Return certificates and keys as one PEM file."""
    return b"".join(
        part.public_bytes(Encoding.PEM)
        if isinstance(part, x509.Certificate)
        else part.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for part in parts
    )


@contextlib.contextmanager
def server(place: Path, shown: x509.Certificate | None, key: Key = RSA) -> Iterator[tuple[int, Path]]:
    """Run a server that has no pages, without TLS if ``shown`` is None. Yields its port and its CA file."""
    files = place / "shown.pem", place / "shown-key.pem"

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    if shown is not None:
        files[0].write_bytes(pem(shown))
        files[1].write_bytes(pem(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
    with _served(listener):
        yield listener.server_port, files[0]


@contextlib.contextmanager
def broker_that_says(path: Path, answers: dict[str, tuple[int, str]]) -> Iterator[None]:
    """Run a foreign server on a broker's socket. ``answers`` are status and body by path."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers[self.path]
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with _served(socketserver.UnixStreamServer(str(path), Handler)):
        yield


@contextlib.contextmanager
def _served(listener: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=lambda: listener.serve_forever(0.02), daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
