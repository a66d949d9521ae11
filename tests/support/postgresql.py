"""A temporary PostgreSQL server on a unix socket."""

from __future__ import annotations

import contextlib
import getpass
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.broker import wait_for

MISSING = (
    "no PostgreSQL server here: put its initdb and postgres on the PATH, as with the package postgresql of the system, "
    "and psycopg into the environment (recovery-kiosk[postgresql])"
)
_PLACES = "/usr/lib/postgresql/*/bin"


def find_binaries() -> Path | None:
    """Return the folder with ``initdb`` and ``postgres``, from PATH or Debian's location; None if not installed."""
    on_path = shutil.which("initdb")
    known = [Path(on_path).parent] if on_path else []
    known += sorted(Path("/").glob(_PLACES.lstrip("/")), reverse=True)
    return next((folder for folder in known if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


@contextlib.contextmanager
def cluster(binaries: Path) -> Iterator[str]:
    """Run a server with one empty database. Yields the database's address for ``[record] database``."""
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
