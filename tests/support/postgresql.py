"""A temporary PostgreSQL server on a unix socket."""

from __future__ import annotations

import contextlib
import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trustme

from tests.support.broker import wait_for

MISSING = (
    "no PostgreSQL server here: put its initdb and postgres on the PATH, as with the package postgresql of the system, "
    "and psycopg into the environment (recovery-kiosk[postgresql])"
)
# A loopback address of this process, so that servers of other tests can have the same port.
TLS_ADDRESS = f"127.87.{os.getpid() >> 8 & 255}.{max(os.getpid() & 255, 1)}"
_PLACES = "/usr/lib/postgresql/*/bin"


def find_binaries() -> Path | None:
    """Return the folder with ``initdb`` and ``postgres``, from PATH or Debian's location; None if not installed."""
    on_path = shutil.which("initdb")
    known = [Path(on_path).parent] if on_path else []
    known += sorted(Path("/").glob(_PLACES.lstrip("/")), reverse=True)
    return next((folder for folder in known if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


@contextlib.contextmanager
def cluster(binaries: Path, *, tls: trustme.CA | None = None, careless: bool = False) -> Iterator[str]:
    """Run a server with one empty database. Yields the database's address for ``[record] database``.

    With ``tls``, it also listens at ``TLS_ADDRESS``: for TLS, with a certificate of this authority, and passwords.
    A ``careless`` one does not wait for the disk: nothing is lost unless the machine dies.
    """
    # PostgreSQL refuses to run as root.
    account = "nobody" if os.geteuid() == 0 else getpass.getuser()
    with tempfile.TemporaryDirectory(prefix="kp") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam(account).pw_uid, pwd.getpwnam(account).pw_gid)
        data = folder / "data"
        as_account = _as(account)
        initialise: list[str | Path] = [binaries / "initdb", "-D", data, "-U", "broker"]
        initialise += ["--auth=trust", "--no-sync", "-E", "UTF8"]
        subprocess.run(initialise, check=True, capture_output=True, cwd=folder, **as_account)
        settings = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "max_connections=50"]
        if careless:
            settings += ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "autovacuum=off"]
        if tls:
            settings += _with_tls(folder, tls, as_account)
        with (
            (folder / "log").open("ab") as log,
            subprocess.Popen(
                [binaries / "postgres", "-D", data, *settings], stdout=log, stderr=log, cwd=folder, **as_account
            ) as server,
        ):
            try:
                wait_for(lambda: _answers(folder), 30)
                yield address(folder, "postgres")
            finally:
                # SIGINT is a fast shutdown, which closes open connections.
                server.send_signal(2)
                server.wait(30)


def _with_tls(folder: Path, authority: trustme.CA, account: dict[str, Any]) -> list[str]:
    """Write what the server needs for TLS, and return its settings."""
    pem = folder / "server.pem"
    authority.issue_cert(TLS_ADDRESS).private_key_and_cert_chain_pem.write_to_path(pem)
    pem.chmod(0o600)
    if account:
        os.chown(pem, account["user"], account["group"])
    (folder / "data/pg_hba.conf").write_text("local all all trust\nhostssl all all 127.0.0.0/8 scram-sha-256\n")
    set_ = {"listen_addresses": TLS_ADDRESS, "ssl": "on", "ssl_cert_file": pem, "ssl_key_file": pem}
    return [word for name, value in set_.items() for word in ("-c", f"{name}={value}")]


def address(folder: Path, name: str) -> str:
    return f"postgresql+psycopg://broker@/{name}?host={folder}"


@contextlib.contextmanager
def database(server: str, name: str, template: str = "template1") -> Iterator[str]:
    """Create a database on a server, empty or as a copy of another. Yields its address."""
    import psycopg

    plain = server.replace("+psycopg", "", 1)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield server.replace("/postgres?", f"/{name}?")
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _answers(folder: Path) -> bool:
    import psycopg

    try:
        with psycopg.connect(f"host={folder} user=broker dbname=postgres"):
            return True
    except psycopg.OperationalError:
        return False


def _as(account: str) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    found = pwd.getpwnam(account)
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def pgbouncer(url: str, mode: str) -> Iterator[str]:
    """Run PgBouncer before a database, with two connections to the server. Yields the address that leads through it."""
    plain, _, server = url.partition("?host=")
    account = "nobody" if os.geteuid() == 0 else getpass.getuser()
    with tempfile.TemporaryDirectory(prefix="kp") as name, socket.create_server(("127.0.0.1", 0)) as free:
        folder, port = Path(name), free.getsockname()[1]
        free.close()
        file = folder / "pgbouncer.ini"
        file.write_text(
            f"[databases]\n* = host={server} user=broker\n[pgbouncer]\nauth_type = any\npool_mode = {mode}\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\ndefault_pool_size = 2\n"
        )
        folder.chmod(0o755)
        binary = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        with (
            (folder / "log").open("ab") as log,
            subprocess.Popen([binary, file], stdout=log, stderr=log, cwd="/", **_as(account)) as process,
        ):
            try:
                wait_for(lambda: _listens(port), 30)
                yield plain.replace("broker@", f"broker@127.0.0.1:{port}")
            finally:
                process.terminate()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
