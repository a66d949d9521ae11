"""Anchors: numbers and hashes of rows that were carried off the machine, to be met again in the record."""

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
    """The anchors in a file, in the order of their numbers; from a file of any size. Raises ConfigError.

    Each line holds a row or a checkpoint as JSON, as sinks receive them, whatever stands before the JSON.
    """
    # Sorted on the disk: several brokers may have sent to one collector, in whatever order it received them.
    with contextlib.closing(sqlite3.connect("")) as sorting:
        sorting.execute("create table anchor (n integer, hash text)")
        if path:
            sorting.executemany("insert into anchor values (?, ?)", _read(path, keys))
            if not sorting.execute("select count(*) from anchor").fetchone()[0]:
                raise ConfigError(path, "expected anchors: rows or checkpoints as JSON, one a line")
        yield iter(sorting.execute("select distinct n, hash from anchor order by n"))


def _read(path: Path, keys: Sequence[Ed25519PublicKey]) -> Iterator[tuple[int, str]]:
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_LONGEST_LINE):
                number += 1
                found = read_line(line[max(line.find(b"{"), 0) :])
                n, digest = found.get("n"), found.get("hash")
                if isinstance(n, int) and 0 < n < _BEYOND and isinstance(digest, str):
                    yield n, digest
                elif isinstance(found.get("checkpoint"), dict):
                    checkpoint = opened(str(found["checkpoint"].get("note")), keys)
                    yield checkpoint.size, checkpoint.head
    except InvalidCheckpoint as invalid:
        raise ConfigError(path, f"expected a checkpoint that holds: {invalid}", line=number) from None
    except OSError as error:
        raise ConfigError(path, f"expected anchors: {error.strerror or error}") from None
