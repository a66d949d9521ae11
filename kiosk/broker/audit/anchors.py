"""Reads anchors: numbers and hashes of rows that were copied off the machine, to be compared with the record."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kiosk.broker.audit.source import read_line
from kiosk.broker.record.checkpoints import InvalidCheckpoint, opened
from kiosk.errors import ConfigError

_LONGEST_LINE = 1 << 20
_BEYOND = 1 << 63


@contextlib.contextmanager
def anchors(path: Path | None, keys: Sequence[Ed25519PublicKey]) -> Iterator[Iterator[tuple[int, str]]]:
    """Open a file of any size and yield its anchors in the order of their numbers. Raises ConfigError.

    Each line has a row or a checkpoint as JSON, as sinks receive them, possibly after a collector's prefix.
    """
    # Sorted on disk: a collector may have received rows of several brokers in any order.
    with contextlib.closing(sqlite3.connect("")) as sorting:
        sorting.execute("create table anchor (n integer, hash text)")
        if path:
            sorting.executemany("insert into anchor values (?, ?)", _read(path, keys))
            if not sorting.execute("select count(*) from anchor").fetchone()[0]:
                raise ConfigError(path, "expected anchors: rows or checkpoints as JSON, one per line")
        yield iter(sorting.execute("select distinct n, hash from anchor order by n"))


def _read(path: Path, keys: Sequence[Ed25519PublicKey]) -> Iterator[tuple[int, str]]:
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_LONGEST_LINE):
                number += 1
                found = read_line(line[max(line.find(b"{"), 0) :])
                n, digest = found.get("n"), found.get("hash")
                if type(n) is int and 0 < n < _BEYOND and isinstance(digest, str):
                    yield n, digest
                elif isinstance(found.get("checkpoint"), dict):
                    checkpoint = opened(str(found["checkpoint"].get("note")), keys)
                    yield checkpoint.size, checkpoint.head
    except InvalidCheckpoint as invalid:
        raise ConfigError(path, f"expected a checkpoint that holds: {invalid}", line=number) from None
    except OSError as error:
        raise ConfigError(path, f"expected anchors: {error.strerror or error}") from None
