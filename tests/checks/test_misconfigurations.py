"""Real misconfigurations: ``kiosk check`` finds each of them, and the fix names what to do."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kiosk import __version__
from kiosk.broker.record.checkpoints import Signer
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.head import Seen
from kiosk.checks.kiosk_side import Kiosk
from kiosk.checks.result import Check, Level, Run
from kiosk.checks.ssh import sign_ins
from tests.support.broker import ROOT, MovedClock
from tests.support.checks import CURVE, RSA, SHORT, Installation, broker_that_says, certificate, pem, server
from tests.support.record import head_of

Seed = Callable[[Installation], object]
PASS, WARN, FAIL = Level.PASS, Level.WARN, Level.FAIL
READ = "DeviceManagementManagedDevices.Read.All"
PRIVILEGED = "DeviceManagementManagedDevices.PrivilegedOperations.All"
CONFIGURATION = "DeviceManagementConfiguration.Read.All"


@dataclass(frozen=True)
class Case:
    """A fault, and what one check must report; ``found`` and ``fix`` are parts of its text."""

    seed: Seed
    check: str
    level: Level
    found: str
    fix: str


def kiosk(table: str, **values: Any) -> Seed:
    return lambda installation: installation.kiosk.setdefault(table, {}).update(values)


def broker(table: str, **values: Any) -> Seed:
    return lambda installation: installation.broker.setdefault(table, {}).update(values)


def mode(name: str, bits: int) -> Seed:
    return lambda installation: (installation.place / name).chmod(bits)


def machine(name: str, value: str | None) -> Seed:
    return lambda installation: installation.machine(name, value)


def ahead(**by: float) -> Seed:
    def seed(installation: Installation) -> None:
        installation.clock = clock = MovedClock()
        clock.ahead = timedelta(**by)

    return seed


def permissions(*names: str) -> Seed:
    return lambda installation: installation.sandbox.register("broker", permissions=names)


def fault(path: str, kind: str, **more: Any) -> Seed:
    return lambda installation: installation.sandbox.fault(path, kind, **more)


def own(content: bytes) -> Seed:
    """Another certificate for Graph."""
    return lambda installation: installation.certificate(content)


def shown(name: str = "localhost", *, trusted: bool = True, **dates: Any) -> Seed:
    """A sign-in service with another certificate."""

    def seed(installation: Installation) -> None:
        there = server(installation.place, certificate(name=name, **dates))
        port, authority = installation.stack.enter_context(there)
        installation.kiosk["device_code"]["authority"] = f"https://localhost:{port}/{installation.sandbox.tenant}"
        if trusted:
            installation.kiosk["device_code"]["ca_bundle"] = str(authority)

    return seed


def sshd(**changed: str) -> Seed:
    """A kiosk over SSH, with these lines in place of those of deploy/ssh."""

    def seed(installation: Installation) -> None:
        # The unit of sshd makes it; without it sshd does not even read its configuration.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        key = installation.place / "host_key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        lines = (ROOT / "deploy" / "ssh" / "sshd_config").read_text().splitlines()
        kept = [line for line in lines if line.partition(" ")[0] not in {"HostKey", *changed}]
        added = [f"{name} {value}" for name, value in (changed | {"HostKey": str(key)}).items()]
        installation.machine("etc/recovery-kiosk/sshd_config", "\n".join([*kept, *added]))

    return seed


def without_tls(installation: Installation) -> None:
    port, _ = installation.stack.enter_context(server(installation.place, None))
    installation.kiosk["device_code"]["authority"] = f"https://localhost:{port}/{installation.sandbox.tenant}"


def tenant(name: str) -> Seed:
    return lambda installation: installation.kiosk["device_code"].update(authority=f"{installation.sandbox.url}/{name}")


def says(version: str = __version__, ready: tuple[int, str] | None = None) -> Seed:
    """Another broker."""

    def seed(installation: Installation) -> None:
        path = installation.place / "other.sock"
        fine = 200, f'{{"healthy":true,"version":"{version}"}}'
        installation.stack.enter_context(broker_that_says(path, {"/healthz": fine, "/readyz": ready or fine}))
        installation.kiosk["broker"]["url"] = f"unix:{path}"

    return seed


def left_over(installation: Installation) -> None:
    path = installation.place / "dead.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    installation.kiosk["broker"]["url"] = f"unix:{path}"


def dead_log(installation: Installation) -> None:
    installation.machine("dev/log", None)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(installation.root / "dev" / "log"))


def no_broker_at_all(installation: Installation) -> None:
    path = installation.place / "other.sock"
    installation.stack.enter_context(broker_that_says(path, {"/healthz": (200, "<html>"), "/readyz": (200, "")}))
    installation.kiosk["broker"]["url"] = f"unix:{path}"


NOT_READY = '{"type":"urn:recovery-kiosk:problem:record_unavailable","title":"x","status":503,"reference":"12AB34CD"}'
ZEROS = "00000000-0000-0000-0000-000000000000"

KIOSK_CASES = {
    "a key that is misspelt": Case(
        kiosk("organisation", helpdesc="x"), "configuration", FAIL, "kiosk.toml:", "correct the key that the line names"
    ),
    "a file that is no TOML": Case(
        lambda installation: setattr(installation, "kiosk", {"device_code": {"authority = ": 1}}),
        "configuration",
        FAIL,
        "expected TOML",
        "correct the key that the line names",
    ),
    "the ids of the example": Case(
        kiosk("device_code", client_id=ZEROS),
        "configuration",
        FAIL,
        "device_code.client_id is still",
        "device_code.client_id",
    ),
    "a scope in short": Case(
        kiosk("device_code", scope="Session.Open"), "configuration", FAIL, '"Session.Open"', "api://<its client id>"
    ),
    "a visit that is too short": Case(
        kiosk("visit", visit_seconds=120), "configuration", WARN, "120 s", "visit.visit_seconds to 600"
    ),
    "a file that everybody can change": Case(
        mode("kiosk.toml", 0o666), "file-modes", FAIL, "changed by everybody (mode 0666)", "chmod go-w"
    ),
    "authorities that everybody can change": Case(mode("ca.pem", 0o666), "file-modes", FAIL, "ca.pem", "chmod go-w"),
    "a folder that everybody can change": Case(mode(".", 0o777), "file-modes", FAIL, "replace files in", "chmod o-w"),
    "a name that nobody knows": Case(
        kiosk("device_code", authority=f"https://no-such-host.invalid/{ZEROS[:-1]}1"),
        "authority",
        FAIL,
        "no-such-host.invalid cannot be resolved",
        "/etc/resolv.conf",
    ),
    "a name that is none": Case(
        kiosk("device_code", authority="https://login..example/x"),
        "authority",
        FAIL,
        "is not a host name",
        "device_code.authority",
    ),
    "a port that nobody listens on": Case(
        kiosk("device_code", authority=f"https://localhost:1/{ZEROS}"),
        "authority",
        FAIL,
        "refuses connections",
        "its port",
    ),
    "an authority that is not trusted": Case(
        lambda installation: installation.kiosk["device_code"].pop("ca_bundle"),
        "authority",
        FAIL,
        "recovery-kiosk sandbox",
        "device_code.ca_bundle",
    ),
    "a certificate for another name": Case(
        shown("other.example"), "authority", FAIL, "is for other.example, not for localhost", "device_code.authority"
    ),
    "a certificate that has expired": Case(
        shown(begins=-20, ends=-10), "authority", FAIL, "expired on", "renew the certificate of localhost"
    ),
    "a certificate of the future": Case(shown(begins=5), "authority", FAIL, "is not valid before", "timedatectl"),
    "a service without TLS": Case(without_tls, "authority", FAIL, "does not speak TLS", "https port"),
    "a tenant that is not there": Case(tenant(f"{ZEROS[:-1]}1"), "authority", FAIL, "AADSTS90002", "the tenant's id"),
    "no tenant": Case(tenant("common"), "authority", FAIL, "does not name a tenant", "the tenant's id"),
    "a tenant by its domain": Case(tenant("nordwind.example"), "authority", WARN, "by its domain", "a GUID"),
    "a portal in the way": Case(
        fault("*/openid-configuration", "html"),
        "authority",
        FAIL,
        "does not answer with a discovery document",
        "no proxy or portal",
    ),
    "a service that refuses": Case(
        fault("*/openid-configuration", "status", status=503), "authority", FAIL, "status 503", "device_code.authority"
    ),
    "an application that is not registered": Case(
        kiosk("device_code", client_id=f"{ZEROS[:-1]}1"), "device-code", FAIL, "AADSTS700016", "device_code.client_id"
    ),
    "a scope that is not there": Case(
        kiosk("device_code", scope="api://0a1f6a52-7d0e-4f6b-8f43-5f0c2d9be701/Session.Close"),
        "device-code",
        FAIL,
        "AADSTS650053",
        "Session.Open",
    ),
    "an API that is not there": Case(
        kiosk("device_code", scope=f"api://{ZEROS[:-1]}1/Session.Open"),
        "device-code",
        FAIL,
        "AADSTS500011",
        "Kiosk API",
    ),
    "no consent": Case(
        lambda installation: installation.sandbox.register("kiosk_client", consented=()),
        "device-code",
        FAIL,
        "AADSTS65001",
        "grant admin consent",
    ),
    "no public client flows": Case(
        lambda installation: installation.sandbox.register("kiosk_client", public=False),
        "device-code",
        FAIL,
        "AADSTS7000218",
        "allow public client flows",
    ),
    "no broker": Case(
        kiosk("broker", url="unix:/run/nowhere/b.sock"), "broker", FAIL, "no socket", "kiosk-broker.socket"
    ),
    "a broker that died": Case(left_over, "broker", FAIL, "nothing listens", "systemctl start kiosk-broker"),
    "somebody else's socket": Case(no_broker_at_all, "broker", FAIL, "not as a broker", "the broker's"),
    "a newer broker": Case(says("0.9.0"), "broker", WARN, "the broker is 0.9.0", "same version on both"),
    "a broker of another age": Case(says("7.0.0"), "broker", FAIL, "the broker is 7.0.0", "same version on both"),
    "a broker that cannot write": Case(says(ready=(503, NOT_READY)), "broker", FAIL, "record_unavailable", "12AB34CD"),
    "a broker whose certificate is not trusted": Case(
        lambda installation: installation.kiosk.update(broker={"url": installation.sandbox.url}),
        "broker",
        FAIL,
        "sandbox",
        "broker.ca_bundle",
    ),
    "a clock that is ten minutes off": Case(ahead(minutes=10), "clock", FAIL, " s ahead of", "timedatectl"),
    "a clock that is two minutes off": Case(ahead(minutes=-2), "clock", WARN, "s behind", "timedatectl"),
    "core dumps into a program": Case(
        machine("proc/sys/kernel/core_pattern", "|/usr/lib/systemd/systemd-coredump %P"),
        "core-dumps",
        WARN,
        "systemd-coredump",
        "kernel.core_pattern = |/bin/false",
    ),
    "core dumps of everything": Case(
        machine("proc/sys/fs/suid_dumpable", "1"), "core-dumps", FAIL, "suid_dumpable is 1", "fs.suid_dumpable = 0"
    ),
    "tracing for everybody": Case(
        machine("proc/sys/kernel/yama/ptrace_scope", "0"), "tracing", WARN, "is 0", "kernel.yama.ptrace_scope = 2"
    ),
    "a kernel without Yama": Case(
        machine("proc/sys/kernel/yama/ptrace_scope", None), "tracing", WARN, "no Yama", "a kernel with Yama"
    ),
    "typing into another's terminal": Case(
        machine("proc/sys/dev/tty/legacy_tiocsti", "1"), "typing", WARN, "is 1", "dev.tty.legacy_tiocsti = 0"
    ),
    "a kernel that cannot forbid that": Case(
        machine("proc/sys/dev/tty/legacy_tiocsti", None), "typing", WARN, "no dev.tty.legacy_tiocsti", "Linux 6.2"
    ),
    "swap on a disk": Case(
        machine("proc/swaps", "Filename\tType\n/dev/zram0 partition\n/dev/sda3 partition"),
        "swap",
        WARN,
        "swapped to /dev/sda3",
        "swapoff --all",
    ),
    "memory that is not cleared": Case(
        machine("proc/cmdline", "init_on_free=1 init_on_free=0"),
        "freed-memory",
        WARN,
        "does not clear",
        "init_on_free=1",
    ),
    "no log": Case(machine("dev/log", None), "log", WARN, "leads nowhere", "systemd-journald"),
    "a log that has ended": Case(dead_log, "log", WARN, "leads nowhere", "systemd-journald"),
    "not Linux": Case(machine("proc/swaps", None), "swap", WARN, "not checked", "under Linux"),
}


def left_unregistered(installation: Installation) -> None:
    installation.certificate(pem(RSA, certificate()))


def password(installation: Installation) -> None:
    installation.broker["record"] |= {"database": "postgresql+psycopg://broker:hunter2@localhost:1/record"}
    installation.broker_toml.chmod(0o644)


def passphrase(installation: Installation) -> None:
    path = installation.place / "passphrase"
    path.touch(0o644)
    path.chmod(0o644)
    installation.broker["graph"]["passphrase_file"] = str(path)


def held(installation: Installation) -> None:
    connection = installation.stack.enter_context(
        contextlib.closing(sqlite3.connect(installation.database, isolation_level=None))
    )
    connection.execute("BEGIN IMMEDIATE")


def spoilt(statement: str) -> Seed:
    def seed(installation: Installation) -> None:
        with contextlib.closing(sqlite3.connect(installation.database, isolation_level=None)) as connection:
            assert connection.execute(statement).rowcount == 1

    return seed


def gone_back(installation: Installation) -> None:
    """The broker saw one row more than there is now."""
    key = Signer.load(installation.database.with_suffix(".key"), make=False)
    engine = open_engine(f"sqlite:///{installation.database}")
    head = head_of(engine)
    engine.dispose()
    seen = replace(head, n=head.n + 1, hash="0" * 64).signed_by(key)
    Seen(installation.database.with_suffix(".seen")).remember(seen)


def torn(installation: Installation) -> None:
    content = bytearray(installation.database.read_bytes())
    content[:100] = b"\0" * 100
    installation.database.write_bytes(content)


def of_root(installation: Installation) -> None:
    """As when somebody has once started the broker as root."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(installation.place, 65534, 65534)


def sink(required: bool, **values: Any) -> Seed:
    mode = "required" if required else "best-effort"
    return lambda installation: installation.broker.update(sink=[values | {"mode": mode}])


def distrusted_sink(installation: Installation) -> None:
    port, _ = installation.stack.enter_context(server(installation.place, certificate()))
    installation.broker["sink"] = [{"kind": "syslog", "url": f"tls://localhost:{port}", "mode": "required"}]


def open_token(installation: Installation) -> None:
    path = installation.place / "token"
    path.touch()
    path.chmod(0o644)
    url = f"{installation.sandbox.url}/rows"
    one = {"kind": "webhook", "url": url, "token_file": str(path), "ca_bundle": str(installation.sandbox.ca)}
    installation.broker["sink"] = [one | {"mode": "required"}]


def open_socket(installation: Installation) -> None:
    path = installation.place / "open.sock"
    fine = 200, f'{{"healthy":true,"version":"{__version__}"}}'
    installation.stack.enter_context(broker_that_says(path, {"/healthz": fine}))
    path.chmod(0o666)
    installation.broker["listen"]["url"] = f"unix:{path}"


def https(key: Any = CURVE, signer: Any = None, **dates: Any) -> Seed:
    """A broker on https, which does not run."""

    def seed(installation: Installation) -> None:
        (installation.place / "listen.pem").write_bytes(pem(certificate(signer or key, **dates)))
        (installation.place / "listen-key.pem").touch(0o600)
        (installation.place / "listen-key.pem").write_bytes(pem(key))
        installation.broker["listen"] = {
            "url": "https://localhost:1",
            "certificate": str(installation.place / "listen.pem"),
            "key": str(installation.place / "listen-key.pem"),
        }

    return seed


def another_key(installation: Installation) -> None:
    """Checkpoints that somebody else has signed."""
    installation.public_key = installation.place / "kept.pub"
    public = Ed25519PrivateKey.generate().public_key()
    installation.public_key.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


BROKER_CASES = {
    "a table that is not known": Case(
        broker("records", x=1), "configuration", FAIL, "unknown key; did you mean record?", "docs/configuration.md"
    ),
    "a file that is not there": Case(
        broker("graph", certificate="/nowhere/broker.pem"),
        "configuration",
        FAIL,
        "/nowhere/broker.pem",
        "the line names",
    ),
    "a tenant by its domain": Case(
        broker("tokens", tenant="nordwind.example"), "configuration", FAIL, "every token is refused", "the tenant's id"
    ),
    "two tenants": Case(
        broker("tokens", tenant=f"{ZEROS[:-1]}1"), "configuration", FAIL, "tokens.tenant another", "same tenant's id"
    ),
    "an audience with api://": Case(
        broker("tokens", audience="api://0a1f6a52-7d0e-4f6b-8f43-5f0c2d9be701"),
        "configuration",
        FAIL,
        "not a GUID",
        "without api://",
    ),
    "no address of the sign-in page": Case(
        broker("sign_in", method="web"), "configuration", FAIL, "sign_in.page: missing", "docs/configuration.md"
    ),
    "a sign-in page that runs as nobody we know": Case(
        broker("sign_in", method="web", page="https://go.example", page_user="no-such-user"),
        "configuration",
        FAIL,
        "expected a user of this machine: no-such-user",
        "docs/configuration.md",
    ),
    "a client by its name": Case(
        broker("tokens", client="Kiosk client"),
        "configuration",
        FAIL,
        "every token is refused",
        "registration Kiosk client",
    ),
    "the API for the client": Case(
        lambda installation: installation.broker["tokens"].update(client=installation.broker["tokens"]["audience"]),
        "configuration",
        FAIL,
        "another registration",
        "registration Kiosk client",
    ),
    "a scope in full": Case(
        broker("tokens", scope="api://x/Session.Open"), "configuration", FAIL, "scope", "short name"
    ),
    "the version of Graph without keys": Case(
        lambda installation: installation.broker["graph"].update(url=f"{installation.sandbox.url}/v1.0"),
        "configuration",
        FAIL,
        "beta only",
        "/beta",
    ),
    "a certificate for all to read": Case(mode("broker.pem", 0o644), "file-modes", FAIL, "broker.pem", "chmod o-rwx"),
    "a passphrase for all to read": Case(passphrase, "file-modes", FAIL, "the passphrase in", "chmod o-rwx"),
    "a signing key for all to read": Case(mode("record.key", 0o604), "file-modes", FAIL, "record.key", "chmod o-rwx"),
    "a signing key for a group to write": Case(
        mode("record.key", 0o660), "file-modes", FAIL, "record.key", "chmod g-w"
    ),
    "a record for all to read": Case(mode("record.db", 0o644), "file-modes", FAIL, "record.db", "chmod o-rwx"),
    "a folder for all to write": Case(mode(".", 0o777), "file-modes", FAIL, "replace files", "chmod o-w"),
    "a configuration for all to write": Case(mode("broker.toml", 0o646), "file-modes", FAIL, "changed by", "chmod o-w"),
    "a password for all to read": Case(password, "file-modes", FAIL, "the database's password", "chmod o-rwx"),
    "no broker": Case(
        broker("listen", url="unix:/tmp/no-broker.sock"), "listening", WARN, "no socket", "systemctl start kiosk-broker"
    ),
    "no folder for the socket": Case(
        broker("listen", url="unix:/run/nowhere/b.sock"), "listening", FAIL, "no folder", "install -d -m 755"
    ),
    "a socket for everybody": Case(open_socket, "listening", FAIL, "mode 0666", "SocketMode"),
    "https without a certificate": Case(
        broker("listen", url="https://localhost:1"), "listening", FAIL, "listen.certificate is missing", "PEM file"
    ),
    "https with an expired certificate": Case(
        https(begins=-9, ends=-2), "listening", FAIL, "expired on", "get a new one"
    ),
    "https with a certificate that runs out": Case(
        https(ends=9), "listening", WARN, "expires in 8 days", "get a new one"
    ),
    "https with a key that is too short": Case(https(SHORT), "listening", FAIL, "1024 bits", "get a new one"),
    "https with another key": Case(https(RSA, CURVE), "listening", FAIL, "listen.pem", "listen.key"),
    "a certificate that has expired": Case(
        own(pem(RSA, certificate(begins=-9, ends=-1))),
        "certificate",
        FAIL,
        "this one expired",
        "docs/tenant.md, step 3",
    ),
    "a certificate that runs out": Case(
        own(pem(RSA, certificate(ends=12))),
        "certificate",
        WARN,
        "expires in 11 days",
        "create a new one and register it",
    ),
    "a certificate of the future": Case(
        own(pem(RSA, certificate(begins=3))), "certificate", FAIL, "is not valid before", "timedatectl"
    ),
    "another key": Case(
        own(pem(SHORT, certificate())), "certificate", FAIL, "the private key that belongs", "docs/tenant.md, step 3"
    ),
    "a key that is too short": Case(own(pem(SHORT, certificate(SHORT))), "certificate", FAIL, "1024 bits", "a new one"),
    "a key that is not RSA": Case(own(pem(CURVE, certificate(CURVE))), "certificate", FAIL, "an RSA key", "step 3"),
    "an authority that is not trusted": Case(
        lambda installation: installation.broker["tokens"].pop("ca_bundle"),
        "authority",
        FAIL,
        "is issued by",
        "tokens.ca_bundle",
    ),
    "signing keys that cannot be read": Case(
        fault("*/discovery/v2.0/keys", "html"), "signing-keys", FAIL, "signing keys of", "tokens.authority"
    ),
    "a clock that is an hour off": Case(ahead(hours=-1), "clock", FAIL, "behind", "timedatectl"),
    "a certificate that is not registered": Case(
        left_unregistered, "graph-token", FAIL, "700027", "upload the certificate that is in use"
    ),
    "an application that is not registered": Case(
        broker("graph", client_id=f"{ZEROS[:-1]}1"), "graph-token", FAIL, "700016", "graph.client_id"
    ),
    "no permission to list": Case(
        permissions(CONFIGURATION),
        "permissions",
        FAIL,
        f"missing: {READ}",
        f"grant {READ} as an application permission",
    ),
    "no permission for the key": Case(
        permissions(READ), "permissions", FAIL, "missing for the key", f"grant {CONFIGURATION}"
    ),
    "no permission at all": Case(permissions(), "permissions", FAIL, f"missing: {READ}", "admin consent"),
    "more than needed": Case(
        permissions(READ, CONFIGURATION, "Directory.ReadWrite.All"),
        "permissions",
        WARN,
        "more than needed: Directory.ReadWrite.All",
        "remove Directory.ReadWrite.All",
    ),
    "writing where reading is enough": Case(
        permissions("DeviceManagementManagedDevices.ReadWrite.All", PRIVILEGED),
        "permissions",
        WARN,
        "DeviceManagementManagedDevices.ReadWrite.All",
        "remove",
    ),
    "a Graph that refuses": Case(permissions("Directory.ReadWrite.All"), "graph", FAIL, "403", f"grant {READ}"),
    "a Graph that is busy": Case(
        fault("/beta/*", "status", status=429), "graph", WARN, "429", "check again in a few minutes"
    ),
    "a portal in front of Graph": Case(fault("/beta/*", "html"), "graph", FAIL, "text/html", "graph.url"),
    "a Graph that breaks off": Case(fault("/beta/*", "reset"), "graph", FAIL, "Graph:", "check again"),
    "a record that was changed": Case(
        spoilt("UPDATE record SET outcome = 'nothing' WHERE n = 1"),
        "record",
        FAIL,
        "row 1 is missing or is not the one that was written",
        "kiosk audit verify",
    ),
    "a record that was cut": Case(
        spoilt("DELETE FROM record WHERE n = 3"), "record", FAIL, "row 3 is missing", "docs/record.md"
    ),
    "a record that was rolled back": Case(
        gone_back, "record", FAIL, "it was rolled back to row", "kiosk record accept-loss"
    ),
    "a head that no broker wrote": Case(
        spoilt("UPDATE head SET losses = 7"), "record", FAIL, "no broker wrote the head", "who could write to it"
    ),
    "checkpoints of another key": Case(another_key, "record", FAIL, "another key", "keep a copy"),
    "no folder for the record": Case(
        broker("record", database="sqlite:////nowhere/record.db"),
        "database",
        FAIL,
        "no folder /nowhere",
        "install -d -m 700",
    ),
    "a record that somebody holds": Case(held, "database", FAIL, "locked", "no other program locks it"),
    "a record that is no database": Case(torn, "database", FAIL, "not a database", "is intact"),
    "a record of root in the broker's folder": Case(of_root, "database", FAIL, "its folder to nobody", "chown nobody"),
    "a record in memory": Case(
        machine("proc/self/mounts", "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0"),
        "database",
        WARN,
        "is on tmpfs",
        "record.database",
    ),
    "a record on a network drive": Case(
        machine("proc/self/mounts", "server:/x / nfs4 rw 0 0"), "database", FAIL, "is on nfs4", "use PostgreSQL"
    ),
    "a record that is not there yet": Case(
        lambda installation: installation.database.unlink(), "database", WARN, "does not exist yet", "start the broker"
    ),
    "a PostgreSQL that is not there": Case(
        broker("record", database="postgresql+psycopg://broker@localhost:1/record"),
        "database",
        FAIL,
        "does not accept writes",
        "check that it runs",
    ),
    "a required sink that is away": Case(
        sink(True, kind="syslog", url="tcp://localhost:1"), "sinks", FAIL, "refuses connections", "sink.0.url"
    ),
    "another sink that is away": Case(
        sink(False, kind="journald", url="unix:/run/nowhere/socket"), "sinks", WARN, "/run/nowhere/socket", "sink.0.url"
    ),
    "a sink that is not trusted": Case(distrusted_sink, "sinks", FAIL, "is issued by", "sink.0.ca_bundle"),
    "a sink's token for all to read": Case(open_token, "sinks", FAIL, "the token", "chmod o-rwx"),
    "a sink without a folder": Case(
        sink(True, kind="file", url="file:/nowhere/record.jsonl"), "sinks", FAIL, "no folder /nowhere", "install -d"
    ),
    "a sink of an unfit address": Case(
        sink(True, kind="webhook", url="tcp://localhost:1"),
        "sinks",
        FAIL,
        "not an address for webhook",
        "docs/sinks.md",
    ),
}


def found(installation: Installation, side: str, case: Case) -> None:
    case.seed(installation)
    installation.write()
    results = installation.results(side)
    result = results[case.check]
    assert result.level is case.level, results
    assert case.found in result.found, result
    assert case.fix in result.fix, result
    # Whatever else it hides, nothing breaks on it.
    assert not [one for one in results.values() if "itself failed" in one.found or "not finished" in one.found], results
    assert all(one.fix for one in results.values() if one.level is not PASS), results


@pytest.mark.parametrize("case", KIOSK_CASES.values(), ids=KIOSK_CASES)
def test_of_the_kiosk(healthy: Installation, case: Case) -> None:
    found(healthy, "kiosk", case)


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("sshd", path="/usr/sbin"), reason="sshd -T reads keys that belong to root"
)
@pytest.mark.parametrize(
    ("seed", "level", "found"),
    [
        (sshd(), PASS, "8 connections of one address may wait for a sign-in, 10 s each"),
        (sshd(LoginGraceTime="120"), WARN, "kept for 120 s"),
        (sshd(LoginGraceTime="0"), WARN, "LoginGraceTime is off"),
        (sshd(PerSourceMaxStartups="none"), WARN, "one address can take all 30 places"),
        (sshd(MaxStartups="8:30:60"), WARN, "one address can take all 8 places"),
        (sshd(MaxStartups="many"), WARN, "not checked: sshd -T:"),
    ],
)
def test_of_sshd(healthy: Installation, seed: Seed, level: Level, found: str) -> None:
    seed(healthy)
    result = Run([Check("ssh", "sshd", sign_ins)], Kiosk(healthy.kiosk_toml, root=healthy.root))
    (said,) = result
    assert (said.level, found in said.found) == (level, True), said


def test_an_sshd_that_only_keeps_the_kiosk_away_is_none(healthy: Installation) -> None:
    away = (ROOT / "deploy" / "ssh" / "other-sshd.conf").read_text()
    healthy.machine("etc/ssh/sshd_config.d/50-recovery-kiosk.conf", away)
    assert sign_ins(Kiosk(healthy.kiosk_toml, root=healthy.root)).found == "no kiosk over SSH on this machine"


@pytest.mark.parametrize("case", BROKER_CASES.values(), ids=BROKER_CASES)
def test_of_the_broker(healthy: Installation, case: Case) -> None:
    found(healthy, "broker", case)


@pytest.mark.parametrize("pair_of", [(READ, CONFIGURATION), (READ, PRIVILEGED)])
def test_either_set_of_permissions_is_enough(healthy: Installation, pair_of: tuple[str, str]) -> None:
    healthy.sandbox.register("broker", permissions=pair_of)
    results = healthy.results("broker")
    assert results["permissions"].level is PASS
    assert results["graph"].level is PASS
