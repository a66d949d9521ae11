"""The chain: each row of the record carries the hash of the row before it, so that no row changes unseen.

The encoding that is hashed is described in ``docs/record.md``; a change to it needs a new version of the record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TypeAlias

import msgspec

from kiosk.broker.record.schema import RECORD, VERSION, Entry

FIELDS = tuple(column.name for column in RECORD.columns)
"""The members of a row, in the order in which they are hashed and exported; the hash itself is the last."""

_HASHED = FIELDS[:-1]
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Row:
    """One row as it is stored: an entry with its number, its time (UTC) and its place in the chain."""

    n: int
    time: str
    entry: Entry
    previous: str
    hash: str
    version: int = VERSION

    @classmethod
    def follow(cls, n: int, time: str, entry: Entry, previous: str) -> Row:
        """The row number ``n``, chained to the one before it."""
        if entry.shown_seconds is not None:
            # Milliseconds: few enough digits to be written in one way only, everywhere. And no sign on a zero: SQLite
            # does not keep it, so the row would not be what was hashed.
            entry = replace(entry, shown_seconds=round(entry.shown_seconds, 3) + 0.0)
        return cls(n, time, entry, previous, digest(_members(n, time, entry, previous)))

    def members(self) -> dict[str, object]:
        """Every column with its value, in order."""
        return {**_members(self.n, self.time, self.entry, self.previous), "hash": self.hash}

    def line(self) -> bytes:
        """The row as one line of JSON, without the line's end; the same bytes wherever the row is written to."""
        return _encode(self.members())


@dataclass(frozen=True)
class Checkpoint:
    """A signed statement: at this time this record had ``size`` rows, and ``head`` was the hash of the last."""

    origin: str
    size: int
    head: str
    time: str
    note: str

    def members(self) -> dict[str, object]:
        """What is stored and exported of it; ``note`` holds the rest."""
        return {"size": self.size, "time": self.time, "head": self.head, "note": self.note}

    def line(self) -> bytes:
        """The checkpoint as one line of JSON, without the line's end."""
        return _encode({"checkpoint": self.members()})


Appended: TypeAlias = Row | Checkpoint
"""What is added to the record; each knows how to write itself as one ``line``."""


def first_previous(origin: str) -> str:
    """What the first row carries in place of a hash: it ties the chain to its own name."""
    return hashlib.sha256(origin.encode()).hexdigest()


def digest(members: Mapping[str, object]) -> str:
    """SHA-256 over the members but ``hash``, in the order of ``FIELDS``, as hexadecimal digits.

    Raises UnicodeEncodeError for text that is none.
    """
    return hashlib.sha256(_encode({name: members[name] for name in _HASHED})).hexdigest()


def _members(n: int, time: str, entry: Entry, previous: str) -> dict[str, object]:
    values = asdict(entry)
    values["event"] = str(entry.event)
    return {"n": n, "version": VERSION, "time": time, **values, "previous": previous}
