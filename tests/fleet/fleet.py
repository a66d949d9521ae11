"""A whole fleet on loopback: sandbox, databases, three brokers and a balancer, from the files of deploy/fleet."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import trustme

from kiosk.broker.record.checkpoints import Signer
from kiosk.config.kiosk import BrokerAddress, KioskConfig
from kiosk.config.loading import load
from tests.fleet.databases import NAMES, Cluster, cluster
from tests.fleet.programs import Program, database_account, find, free_port, render, replaced
from tests.fleet.wire import Wire, wire
from tests.support.broker import wait_for
from tests.support.sandbox import RunningSandbox, running_sandbox

BROKERS = ("broker1", "broker2", "broker3")
_CREDENTIALS = "/run/credentials/kiosk-broker.service/"
_START_SECONDS = 60.0


@dataclass
class Broker:
    """One broker: its program, its port, and its cables to the database machines."""

    name: str
    port: int
    folder: Path
    program: Program
    http: httpx.Client
    wires: list[Wire] = field(default_factory=list)

    def ready(self) -> bool:
        """Whether it says that it could release a key."""
        with contextlib.suppress(httpx.HTTPError):
            return self.http.get("/readyz").is_success
        return False


@dataclass
class Front:
    """Brokers and balancer. ``kiosk`` is the configuration of a kiosk whose broker is the balancer."""

    folder: Path
    sandbox: RunningSandbox
    brokers: list[Broker]
    balancer: Program
    kiosk: KioskConfig

    def verify(self) -> str:
        """Run ``kiosk audit verify`` with what the sinks of all brokers hold as anchors; returns what it says."""
        anchors = self.folder / "anchors.jsonl"
        files = (broker.folder / "record.jsonl" for broker in self.brokers)
        anchors.write_bytes(b"".join(_whole_lines(file) for file in files))
        said = subprocess.run(
            [*_kiosk("audit", "verify"), "--config", self.brokers[0].folder / "broker.toml", "--public-key",
             self.folder / "credentials" / "record-key.pub", "--anchors", anchors],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        return (said.stdout + said.stderr).strip()

    def balancer_says(self, command: str) -> str:
        """Send a command to HAProxy's administrative socket."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(self.folder / "balancer" / "admin.sock"))
            admin.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: admin.recv(1 << 16), b"")).decode()

    def servers(self, backend: str) -> dict[str, dict[str, str]]:
        """Return what the balancer knows of each broker in one part of its configuration."""
        rows = csv.DictReader(io.StringIO(self.balancer_says("show stat").removeprefix("# ")))
        names = {broker.name for broker in self.brokers}
        return {row["svname"]: row for row in rows if row["pxname"] == backend and row["svname"] in names}

    def serving(self, backend: str) -> int:
        """Return how many brokers the balancer counts as good in this part of its configuration."""
        return sum(row["status"] == "UP" for row in self.servers(backend).values())

    def metrics(self) -> list[str]:
        """Return what Prometheus would read from the brokers and the balancer."""
        found = []
        for folder in (*(broker.folder for broker in self.brokers), self.folder / "balancer"):
            transport = httpx.HTTPTransport(uds=str(folder / "metrics.sock"))
            with httpx.Client(transport=transport, base_url="http://metrics", trust_env=False) as http:
                found.append(http.get("/metrics").raise_for_status().text)
        return found


@dataclass
class Fleet(Front):
    """Everything that runs."""

    databases: Cluster


def _whole_lines(file: Path) -> bytes:
    """Return a file up to its last line end: a broker that was killed may have written half a line."""
    content = file.read_bytes() if file.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def _kiosk(*words: str) -> list[str | Path]:
    return [sys.executable, "-P", "-s", "-m", "kiosk", *words]


@contextlib.contextmanager
def fleet(folder: Path, **sandbox_settings: Any) -> Iterator[Fleet]:
    """Start a fleet in an empty folder."""
    with contextlib.ExitStack() as stack:
        sandbox = stack.enter_context(running_sandbox(folder, **sandbox_settings))
        tls = prepare(folder, sandbox)
        databases = stack.enter_context(cluster(folder, tls))
        ports = [machine.ports.postgresql for machine in databases.machines]
        _make_tables(folder, sandbox, databases, ports, tls)
        brokers = []
        for name in BROKERS:
            wires = [stack.enter_context(wire(port)) for port in ports]
            brokers.append(_broker(name, folder, sandbox, _hosts([one.port for one in wires]), tls))
            brokers[-1].wires += wires
        running = stack.enter_context(front(folder, sandbox, brokers))
        yield Fleet(**vars(running), databases=databases)


@contextlib.contextmanager
def small_fleet(folder: Path, database: str, **sandbox_settings: Any) -> Iterator[Front]:
    """Start two of three brokers with a database that is there already; the third is away for maintenance."""
    shipped = tomllib.loads(render("broker.toml", {}))["record"]["database"]
    with running_sandbox(folder, **sandbox_settings) as sandbox:
        tls = prepare(folder, sandbox)
        brokers = [_broker(name, folder, sandbox, {shipped: database}, tls) for name in BROKERS[:2]]
        with front(folder, sandbox, brokers) as running:
            yield running


@contextlib.contextmanager
def front(folder: Path, sandbox: RunningSandbox, brokers: list[Broker]) -> Iterator[Front]:
    """Start the brokers and a balancer in front of them."""
    with contextlib.ExitStack() as stack:
        for broker in brokers:
            stack.callback(broker.http.close)
            stack.callback(broker.program.stop)
            broker.program.start()
        port, balancer = _balancer(folder, brokers)
        stack.callback(balancer.stop)
        balancer.start()
        # They end together, which takes no longer than one.
        for broker in brokers:
            stack.callback(broker.program.send, signal.SIGTERM)
        for broker in brokers:
            wait_for(broker.ready, _START_SECONDS)
        kiosk = load(sandbox.directory / "kiosk.toml", KioskConfig)
        address = BrokerAddress(url=f"https://localhost:{port}", ca_bundle=folder / "certificates" / "ca.pem")
        running = Front(folder, sandbox, brokers, balancer, msgspec.structs.replace(kiosk, broker=address))
        wait_for(lambda: running.serving("ready") == len(brokers), _START_SECONDS)
        yield running


def prepare(folder: Path, sandbox: RunningSandbox) -> ssl.SSLContext:
    """Make certificates and the brokers' credentials. Returns a context for clients that have a certificate."""
    folder.chmod(0o711)
    tls = _certificates(folder)
    credentials = folder / "credentials"
    credentials.mkdir(mode=0o700)
    Signer.load(credentials / "record-key", make=True)
    (credentials / "tls-certificate").symlink_to(folder / "certificates" / "server.pem")
    (credentials / "tls-key").symlink_to(folder / "certificates" / "server-key.pem")
    (credentials / "graph-certificate").symlink_to(sandbox.directory / "broker.pem")
    passwords = credentials / "pgpass"
    passwords.write_text("*:*:kiosk:kiosk_owner:owner-1\n*:*:kiosk:kiosk_broker:broker-1\n")
    passwords.chmod(0o600)
    return tls


def _certificates(folder: Path) -> ssl.SSLContext:
    """Make a CA and one certificate for every machine. Returns a context for clients that have it."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    place = folder / "certificates"
    place.mkdir(mode=0o755)
    (place / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (place / "server.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key = place / "server-key.pem"
    key.write_bytes(issued.private_key_pem.bytes())
    if os.geteuid() == 0:
        os.chown(key, 0, database_account().pw_gid)
    key.chmod(0o640 if os.geteuid() == 0 else 0o600)
    context = ssl.create_default_context(cafile=place / "ca.pem")
    context.load_cert_chain(place / "server.pem", key)
    return context


def _settings(folder: Path, own: Path, sandbox: RunningSandbox, port: int, database: dict[str, str]) -> Path:
    """Write the broker.toml of one broker. Returns its path."""
    text = render("broker.toml", database)
    local = {
        "https://broker.example:443": f"https://localhost:{port}",
        _CREDENTIALS: f"{folder}/credentials/",
        "/var/log/kiosk-broker/": f"{own}/",
        "/var/lib/kiosk-broker/": f"{own}/",
        "http://0.0.0.0:9464": f"unix:{own}/metrics.sock",
    }
    if "database-ca.pem" in text:
        local |= {"/etc/recovery-kiosk/database-ca.pem": f"{folder}/certificates/ca.pem"}
    tables = tomllib.loads(replaced(text, local))
    # What an operator fills in: the tenant.
    tenant = tomllib.loads((sandbox.directory / "broker.toml").read_text())
    for name in ("tokens", "graph"):
        tables[name] = tenant[name] | {"certificate": tables[name]["certificate"]} if name == "graph" else tenant[name]
        tables[name]["ca_bundle"] = str(sandbox.ca)
    # Its people sign in with device codes, all at one kiosk, which has no certificate.
    tables |= {"sign_in": tenant["sign_in"], "limits": tables.get("limits", {}) | tenant["limits"]}
    del tables["listen"]["client_ca"]
    lines = []
    for name, found in tables.items():
        for table in found if isinstance(found, list) else [found]:
            lines.append(f"[[{name}]]" if isinstance(found, list) else f"[{name}]")
            # For these values, JSON is valid TOML.
            lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    file = own / "broker.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def _make_tables(
    folder: Path, sandbox: RunningSandbox, databases: Cluster, ports: list[int], tls: ssl.SSLContext
) -> None:
    """Start a broker once with the account that may make tables, as docs/fleet.md says; then give out the rights."""
    owner = _broker("owner", folder, sandbox, _hosts(ports) | {"kiosk_broker@": "kiosk_owner@"}, tls)
    owner.program.start()
    try:
        wait_for(owner.ready, _START_SECONDS)
    finally:
        owner.program.stop()
        owner.http.close()
    databases.run_sql("grants.sql", "kiosk_owner", "kiosk")


def _hosts(ports: list[int]) -> dict[str, str]:
    """Return the replacements for the addresses of the database machines."""
    return {f"{name}.example:5432": f"localhost:{port}" for name, port in zip(NAMES, ports, strict=True)}


def _broker(name: str, folder: Path, sandbox: RunningSandbox, local: dict[str, str], tls: ssl.SSLContext) -> Broker:
    own, port = folder / name, free_port()
    own.mkdir(mode=0o700)
    program = Program([*_kiosk("broker", "--config"), _settings(folder, own, sandbox, port, local)], own / "broker.log")
    http = httpx.Client(base_url=f"https://localhost:{port}", verify=tls, timeout=15, trust_env=False)
    return Broker(name, port, own, program, http)


def _balancer(folder: Path, brokers: list[Broker]) -> tuple[int, Program]:
    own, port = folder / "balancer", free_port()
    own.mkdir(mode=0o755)
    local = {
        "bind :443": f"bind 127.0.0.1:{port}",
        "bind :8405": f"bind unix@{own}/metrics.sock",
        "/dev/log": "stdout format raw",
        "/var/lib/haproxy": str(own),
        "/run/haproxy/": f"{own}/",
        "/etc/haproxy/broker-ca.pem": f"{folder}/certificates/ca.pem",
        # These brokers have no client_ca.
        " crt /etc/haproxy/balancer.pem": "",
    }
    ports = {broker.name: broker.port for broker in brokers}
    local |= {f"{name}.example:443": f"127.0.0.1:{ports.get(name) or free_port()}" for name in BROKERS}
    local |= {"broker.example": "localhost"}
    if os.geteuid() != 0:
        local |= {"    user haproxy\n": "", "    group haproxy\n": "", f"    chroot {own}\n": ""}
    file = own / "haproxy.cfg"
    file.write_text(render("haproxy.cfg", local))
    return port, Program([find("haproxy") or "", "-W", "-f", file], own / "haproxy.log")
