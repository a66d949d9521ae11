"""Exports the record: as JSON lines that can be verified, or as CSV for a spreadsheet."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from kiosk.broker.audit.source import DatabaseSource, Members, Stored
from kiosk.broker.record.chain import FIELDS
from kiosk.broker.record.head import COLUMNS
from kiosk.errors import ConfigError
from kiosk.text import escaped

_FILE_MODE = 0o600
# A spreadsheet calculates a cell that begins with one of these, in East Asia also with the wide and small forms.
_ACTS = r"[=+\-@＝＋－＠﹦﹢﹣﹫]"
# With another separator than the comma, a cell begins within one of ours. A quote or a blank before it may be dropped.
_SEPARATORS = frozenset(",;|")
_BEFORE_ACT = re.compile(rf'\A(?={_ACTS})|(?<![\s",;|])[\s",;|]++(?={_ACTS})')


def pieces(source: DatabaseSource, form: str) -> Iterator[bytes]:
    """Yield the record as ``jsonl`` or ``csv``, piece by piece."""
    return _csv(source) if form == "csv" else _jsonl(source)


def line(members: Members) -> bytes:
    """Return a row as JSON that no terminal obeys.

    Invalid text is replaced: such a row does not hold anyway, but stays readable.
    """
    readable = {name: _readable(value) for name, value in members.items()}
    return escaped(msgspec.json.encode(readable).decode()).encode()


@contextlib.contextmanager
def target(path: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Open standard output, or a new file that appears when it is complete. Raises ConfigError."""
    if path is None:
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with _created(draft) as file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        # A link never overwrites: an existing file may be the only copy of an older record.
        os.link(draft, path)
    except OSError as error:
        raise ConfigError(path, f"expected to write a new file: {error.strerror or error}") from None
    finally:
        draft.unlink(missing_ok=True)


def _created(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE), "wb")


def _jsonl(source: DatabaseSource) -> Iterator[bytes]:
    head = source.head() or {}
    named = {column.name: head.get(column.name) for column in COLUMNS}
    yield line({"record": named}) + b"\n"
    for item in source.items():
        if isinstance(item, Stored):
            yield line({"checkpoint": item.members}) + b"\n"
        else:
            yield line(item) + b"\n"


def _csv(source: DatabaseSource) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(FIELDS)
    for row in source.rows():
        writer.writerow([inert(row[name]) for name in FIELDS])
        yield _taken(buffer)
    yield _taken(buffer)


def inert(value: object) -> str:
    """Return a cell that no spreadsheet calculates, whatever separates its cells, and that no terminal obeys."""
    if value is None:
        return ""
    return _BEFORE_ACT.sub(_with_apostrophe, escaped(str(_readable(value))))


def _with_apostrophe(found: re.Match[str]) -> str:
    begins_a_cell = found.start() == 0 or not _SEPARATORS.isdisjoint(found[0])
    return f"{found[0]}'" if begins_a_cell else found[0]


def _readable(value: object) -> object:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _taken(buffer: io.StringIO) -> bytes:
    piece = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return piece
