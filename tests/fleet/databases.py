"""Three database machines on loopback, each with etcd, Patroni and PostgreSQL, from the files of deploy/fleet."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from tests.fleet.programs import Program, database_account, find, free_port, render, signal_all
from tests.support.broker import wait_for
from tests.support.postgresql import find_binaries

NAMES = ("db1", "db2", "db3")
PROGRAMS = ("patroni", "etcd")
_SERVER_PASSWORDS = ("superuser", "replicator", "rewind")
_START_SECONDS = 90.0


@dataclass
class Ports:
    """The ports of one machine."""

    postgresql: int
    patroni: int
    etcd: int
    etcd_peer: int


class Machine:
    """One database machine: its programs, and what can happen to all of them together."""

    def __init__(self, name: str, folder: Path, ports: Ports, etcd: Program, patroni: Program) -> None:
        self.name = name
        self.ports = ports
        self.etcd = etcd
        self.patroni = patroni
        self._data = folder / "data"

    def start(self) -> None:
        self.etcd.start()
        self.patroni.start()

    def server(self) -> list[psutil.Process]:
        """Return PostgreSQL's first process; nothing if it does not run."""
        with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess):
            return [psutil.Process(int((self._data / "postmaster.pid").read_text().split("\n")[0]))]
        return []

    def lose_power(self) -> None:
        """Kill everything at once."""
        server = self.server()
        for program in (self.patroni, self.etcd):
            program.stop(signal.SIGKILL)
        signal_all(server, signal.SIGKILL)

    def freeze(self) -> None:
        """Stop everything, as when a virtual machine is paused or its storage hangs."""
        for number in (self.patroni, self.etcd):
            number.send(signal.SIGSTOP)
        signal_all(self.server(), signal.SIGSTOP)

    def thaw(self) -> None:
        signal_all(self.server(), signal.SIGCONT)
        for program in (self.patroni, self.etcd):
            program.send(signal.SIGCONT)

    def stop(self) -> None:
        """Stop everything at once, for good. PostgreSQL has the time to free its shared memory."""
        server = self.server()
        for program in (self.patroni, self.etcd):
            program.stop(signal.SIGKILL)
        signal_all(server, signal.SIGCONT)
        for process in server:
            process.send_signal(signal.SIGQUIT)
        psutil.wait_procs(server, timeout=30)


class Cluster:
    """The three machines."""

    def __init__(self, machines: list[Machine], folder: Path, tls: ssl.SSLContext) -> None:
        self.machines = machines
        self._folder = folder
        self._http = httpx.Client(verify=tls, timeout=3, trust_env=False)

    def members(self) -> list[dict[str, Any]]:
        """Return the members as the first Patroni that answers knows them; nothing if none does."""
        for machine in self.machines:
            with contextlib.suppress(httpx.HTTPError, ValueError):
                answer = self._http.get(f"https://localhost:{machine.ports.patroni}/cluster").json()
                return list(answer["members"])
        return []

    def with_role(self, role: str) -> list[Machine]:
        """Return the machines that run with this role: ``leader``, ``sync_standby`` or ``replica``."""
        names = {one["name"] for one in self.members() if one["role"] == role and one["state"] == "running"}
        return [machine for machine in self.machines if machine.name in names]

    def primary(self) -> Machine:
        return self.with_role("leader")[0]

    def complete(self) -> bool:
        """Whether there are a primary, a synchronous standby and another standby."""
        return all(len(self.with_role(role)) == 1 for role in ("leader", "sync_standby", "replica"))

    def metrics(self) -> list[str]:
        """Return what Prometheus would read from the machines."""
        urls = (f"https://localhost:{machine.ports.patroni}/metrics" for machine in self.machines)
        return [self._http.get(url).raise_for_status().text for url in urls]

    def restart(self, machine: Machine) -> None:
        """Restart PostgreSQL on one machine, as ``patronictl restart`` does."""
        self._order(machine, "restart", {})

    def switch_over(self) -> None:
        """Make the synchronous standby the primary, as ``patronictl switchover`` does."""
        leader, (standby,) = self.primary(), self.with_role("sync_standby")
        self._order(leader, "switchover", {"leader": leader.name, "candidate": standby.name})

    def _order(self, machine: Machine, what: str, words: dict[str, str]) -> None:
        url = f"https://localhost:{machine.ports.patroni}/{what}"
        self._http.post(url, json=words, timeout=60).raise_for_status()

    @contextlib.contextmanager
    def connection(self, user: str, password: str, database: str) -> Iterator[psycopg.Connection]:
        """Connect to the primary as a broker does: over TLS, to the one of the three that accepts writes."""
        with psycopg.connect(
            host=",".join("localhost" for _ in self.machines),
            port=",".join(str(machine.ports.postgresql) for machine in self.machines),
            user=user,
            password=password,
            dbname=database,
            target_session_attrs="read-write",
            sslmode="verify-full",
            sslrootcert=str(self._folder / "certificates" / "ca.pem"),
            connect_timeout=5,
            autocommit=True,
        ) as connection:
            yield connection

    def run_sql(self, name: str, user: str, database: str) -> None:
        """Run a file of deploy/fleet on the primary."""
        passwords = {f"change: {one}": f"{one}-1" for one in ("owner", "broker")}
        text = render(name, passwords if name == "database.sql" else {})
        with self.connection(user, _password(user), database) as connection:
            for statement in text.split(";\n"):
                if statement.strip():
                    connection.execute(statement.encode())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return what the primary answers."""
        with self.connection("kiosk_broker", _password("kiosk_broker"), "kiosk") as connection:
            return connection.execute(query.encode()).fetchall()

    def close(self) -> None:
        self._http.close()


def _password(user: str) -> str:
    return {"postgres": "superuser-1", "kiosk_owner": "owner-1", "kiosk_broker": "broker-1"}[user]


@contextlib.contextmanager
def cluster(folder: Path, tls: ssl.SSLContext) -> Iterator[Cluster]:
    """Start the machines on an empty folder, and make the database. ``folder`` holds ``certificates``."""
    ports = {name: Ports(free_port(), free_port(), free_port(), free_port()) for name in NAMES}
    machines = [_machine(name, folder, ports) for name in NAMES]
    made = Cluster(machines, folder, tls)
    try:
        for machine in machines:
            machine.start()
        wait_for(lambda: made.with_role("sync_standby"), _START_SECONDS)
        made.run_sql("database.sql", "postgres", "postgres")
        yield made
    finally:
        for machine in machines:
            machine.stop()
        made.close()


def _machine(name: str, folder: Path, ports: dict[str, Ports]) -> Machine:
    own = folder / name
    account = database_account()
    for place in (own, own / "socket", own / "etcd"):
        place.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(place, account.pw_uid, account.pw_gid)
    certificates = {"/etc/kiosk-database/": f"{folder}/certificates/"}
    hosts = {f"{one}.example:2379": f"localhost:{port.etcd}" for one, port in ports.items()}
    found = find_binaries()
    assert found
    # Patroni needs more of PostgreSQL's programs than what may be linked on the PATH.
    binaries = (found / "initdb").resolve().parent
    mine = ports[name]
    settings = own / "patroni.yml"
    settings.write_text(
        render(
            "patroni.yml",
            certificates
            | hosts
            | {f"change: {one}": f"{one}-1" for one in _SERVER_PASSWORDS}
            | {
                "0.0.0.0:8008": f"127.0.0.1:{mine.patroni}",
                "0.0.0.0:5432": f"127.0.0.1:{mine.postgresql}",
                "/var/lib/postgresql/15/kiosk": str(own / "data"),
                "/usr/lib/postgresql/15/bin": str(binaries),
                "/var/lib/postgresql/pgpass": str(own / "pgpass"),
                "/var/run/postgresql": str(own / "socket"),
            },
        )
    )
    if os.geteuid() == 0:
        os.chown(settings, account.pw_uid, account.pw_gid)
    patroni_environment = {
        "NAME=db1": f"NAME={name}",
        "db1.example:8008": f"localhost:{mine.patroni}",
        "db1.example:5432": f"localhost:{mine.postgresql}",
    }
    # The list of all members first: its part for db1 looks like the addresses of db1 alone.
    peers = {
        f"{one}=https://{one}.example:2380": f"{one}=https://localhost:{port.etcd_peer}" for one, port in ports.items()
    }
    etcd_environment = (
        peers
        | certificates
        | {
            "NAME=db1": f"NAME={name}",
            "https://db1.example:2380": f"https://localhost:{mine.etcd_peer}",
            "https://db1.example:2379": f"https://localhost:{mine.etcd}",
            "https://0.0.0.0:2380": f"https://127.0.0.1:{mine.etcd_peer}",
            "https://0.0.0.0:2379": f"https://127.0.0.1:{mine.etcd}",
            "/var/lib/etcd/kiosk": str(own / "etcd"),
        }
    )
    etcd = Program(
        [find("etcd") or ""], own / "etcd.log", environment=_assignments("etcd.env", etcd_environment), account=account
    )
    patroni = Program(
        [find("patroni") or "", settings],
        own / "patroni.log",
        environment=_assignments("patroni.env", patroni_environment),
        account=account,
    )
    return Machine(name, own, mine, etcd, patroni)


def _assignments(name: str, local: dict[str, str]) -> dict[str, str]:
    """Read a file of environment variables as systemd does."""
    lines = [line for line in render(name, local).splitlines() if line and not line.startswith("#")]
    return dict(shlex.split(line)[0].split("=", 1) for line in lines)
