"""Checks of the record's database: whether it can be written, and whether a commit survives a crash."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, update
from sqlalchemy.exc import SQLAlchemyError

from kiosk.broker.record.database import open_engine, sqlite_file
from kiosk.broker.record.schema import HEAD
from kiosk.broker.record.shared_time import MOST_SKEW, SharedTime
from kiosk.broker.record.time_limits import BUSY_SECONDS
from kiosk.checks.files import owner, user_name, writes
from kiosk.checks.result import Finding, NotChecked, failed, together, warning
from kiosk.clock import Clock, SystemClock
from kiosk.text import clean

_FULL = 100 << 20
_ALMOST_FULL = 1 << 30
_IN_MEMORY = {"tmpfs", "ramfs"}
# SQLite's write-ahead log needs memory that processes share, which these do not have.
_OVER_THE_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs"}
_LONGEST_ERROR = 200
_FILE_SYSTEM = "put record.database on a file system of the machine's own disk, such as ext4"


def database(url: str, root: Path = Path("/"), clock: Clock | None = None) -> Finding:
    """Check the database at this address. Raises NotChecked and ConfigError."""
    file = sqlite_file(url)
    return _sqlite(file, root) if file else _postgresql(url, SharedTime(clock or SystemClock()))


def ours(file: Path) -> None:
    """Refuse unless we own the file: SQLite would create -wal and -shm files that the broker cannot open.

    For root, SQLite gives them to the owner of the database. Raises NotChecked.
    """
    found = file.stat()
    if os.geteuid() not in {0, found.st_uid}:
        raise NotChecked(f"{file} belongs to {owner(found)}", "run the check as root, or as the broker's user")


def _sqlite(file: Path, root: Path) -> Finding:
    folder = file.parent
    if not folder.is_dir():
        return failed(f"there is no folder {folder}", f"create it for the broker's user: install -d -m 700 {folder}")
    findings = [*_space(folder), *_kind(folder, root)]
    if not file.exists():
        findings.append(warning(f"{file} does not exist yet", "start the broker: it creates the record"))
        return together(findings, "")
    found = file.stat()
    ours(file)
    within = folder.stat()
    # Happens when somebody once ran the broker by hand as root.
    if within.st_uid != found.st_uid and (found.st_uid == 0 or not writes(within, user_name(found.st_uid))):
        theirs = owner(within)
        findings.append(
            failed(
                f"{file} belongs to {owner(found)}, its folder to {theirs}",
                f"chown {theirs} {file} {file}-wal {file}-shm (those that exist)",
            )
        )
    try:
        _sync(folder)
        findings += _try_sqlite(file)
    except OSError as error:
        findings.append(
            failed(f"{folder} cannot be written: {error.strerror}", "free up space, or mount it read-write")
        )
    except sqlite3.Error as error:
        findings.append(
            failed(
                f"{file} cannot be written: {clean(str(error), _LONGEST_ERROR)}",
                f"check that {file} is intact, that the broker's user may write it, and that no other program locks it",
            )
        )
    return together(findings, f"{file} can be written and stays: WAL, synchronous, {_free(folder)} free")


def _try_sqlite(file: Path) -> list[Finding]:
    """Try a write, and roll it back."""
    findings: list[Finding] = []
    connection = sqlite3.connect(
        f"file:{quote(str(file))}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None
    )
    try:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        if mode != "wal":
            findings.append(
                warning(f"{file} has journal mode {clean(mode)}, not WAL", "restart the broker: it sets the mode")
            )
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'head'").fetchone():
                findings.append(warning(f"{file} holds no record yet", "start the broker: it creates the record"))
            elif connection.execute("UPDATE head SET trials = trials + 1").rowcount != 1:
                findings.append(failed("the head of the record is missing", "kiosk audit verify says what was lost"))
        finally:
            connection.execute("ROLLBACK")
    finally:
        connection.close()
    return findings


def _postgresql(url: str, shared: SharedTime) -> Finding:
    findings: list[Finding] = []
    engine = open_engine(url, tells=shared.tell)
    try:
        with engine.connect() as connection:
            if _shown(connection, "fsync") != "on":
                findings.append(failed("the server does not sync to its disk (fsync is off)", "set fsync = on there"))
            if _shown(connection, "full_page_writes") != "on":
                findings.append(
                    warning(
                        "a crash can tear pages (full_page_writes is off)", "set full_page_writes = on on the server"
                    )
                )
            standbys, told = (_shown(connection, name) for name in ("synchronous_standby_names", "synchronous_commit"))
            connection.rollback()
            with connection.begin() as trial:
                if connection.execute(update(HEAD).values(trials=HEAD.c.trials + 1)).rowcount != 1:
                    findings.append(
                        failed("the head of the record is missing", "kiosk audit verify says what was lost")
                    )
                trial.rollback()
    except SQLAlchemyError as error:
        origin = getattr(error, "orig", None) or error
        state = getattr(origin, "sqlstate", None)
        if state == "42P01":
            return warning(
                "the database holds no record yet", "start the broker: it creates the record at its first start"
            )
        said = clean(" ".join(str(origin).split()), _LONGEST_ERROR)
        return failed(
            f"the server does not accept writes: {said}",
            "check that it runs, is not a standby, and admits the user that record.database names",
        )
    finally:
        engine.dispose()
    if shared.ahead and abs(shared.ahead) > MOST_SKEW:
        seconds = f"{abs(shared.ahead).total_seconds():.0f} s"
        findings.append(
            warning(
                f"the clocks of this machine and of the database differ by {seconds}",
                "synchronise both, for example with chrony: brokers use the database's clock",
            )
        )
    where = f", and on {clean(standbys, _LONGEST_ERROR)}" if standbys else ""
    return together(findings, f"PostgreSQL can be written, and a commit is on its disk{where} ({told})")


def _shown(connection: Connection, name: str) -> str:
    return str(connection.exec_driver_sql(f"SHOW {name}").scalar())


def _sync(folder: Path) -> None:
    """Write and sync a file without a name, which disappears when it is closed. Raises OSError."""
    descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, b"\0" * 4096)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _space(folder: Path) -> list[Finding]:
    free = shutil.disk_usage(folder).free
    if free >= _ALMOST_FULL:
        return []
    say = failed if free < _FULL else warning
    return [say(f"{folder} has {_free(folder)} of space left", f"free up space on the file system of {folder}")]


def _free(folder: Path) -> str:
    free = shutil.disk_usage(folder).free
    return f"{free / (1 << 30):.0f} GB" if free >= 1 << 30 else f"{free / (1 << 20):.0f} MB"


def _kind(folder: Path, root: Path) -> list[Finding]:
    kind = _file_system(folder, root)
    if kind in _OVER_THE_NETWORK:
        return [failed(f"{folder} is on {kind}, where SQLite is not safe", f"{_FILE_SYSTEM}; or use PostgreSQL")]
    if kind in _IN_MEMORY:
        return [warning(f"{folder} is on {kind}: the record disappears when the machine restarts", _FILE_SYSTEM)]
    return []


def _file_system(folder: Path, root: Path) -> str:
    """Return the kind of file system, from the longest mount point above the folder."""
    try:
        lines = (root / "proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    place, found = folder.resolve(), ("", "")
    for words in (line.split() for line in lines):
        mount = words[1].encode().decode("unicode_escape") if len(words) > 2 else ""
        if mount and place.is_relative_to(mount) and len(mount) >= len(found[0]):
            found = mount, words[2]
    return found[1]
