"""The chain: each row of the record carries the hash of the row before it, so that a changed row is noticed.

``docs/record.md`` describes the encoding that is hashed. Changing it requires a new version of the record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import msgspec

from kiosk.broker.record.schema import RECORD, VERSION, VERSIONS, Entry

FIELDS = tuple(column.name for column in RECORD.columns)
"""The members of a row in the order in which they are hashed and exported. The hash is the last."""

_HASHED = FIELDS[:-1]
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Row:
    """A stored row: an entry with its number, its time (UTC) and its place in the chain."""

    n: int
    time: str
    entry: Entry
    previous: str
    hash: str
    version: int = VERSION

    @classmethod
    def follow(cls, n: int, time: str, entry: Entry, previous: str) -> Row:
        """Return row number ``n``, chained to the row whose hash is ``previous``."""
        if entry.shown_seconds is not None:
            # Milliseconds have one decimal form everywhere. A zero must have no sign, because SQLite does not store it.
            entry = replace(entry, shown_seconds=round(entry.shown_seconds, 3) + 0.0)
        return cls(n, time, entry, previous, digest(_members(n, VERSION, time, entry, previous)))

    def members(self) -> dict[str, object]:
        """Return every column with its value, in order."""
        return {**_members(self.n, self.version, self.time, self.entry, self.previous), "hash": self.hash}

    def holds(self) -> bool:
        """Whether the hash is that of the row, and the version one that this program knows."""
        try:
            return self.version in VERSIONS and digest(self.members()) == self.hash
        except UnicodeEncodeError:
            return False

    def line(self) -> bytes:
        """Return the row as JSON without a line end: the same bytes in an export and in every sink."""
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
        """Return what is stored and exported; ``note`` includes the origin."""
        return {"size": self.size, "time": self.time, "head": self.head, "note": self.note}

    def line(self) -> bytes:
        """Return the checkpoint as JSON without a line end."""
        return _encode({"checkpoint": self.members()})


Appended: TypeAlias = Row | Checkpoint
"""What is appended to the record: each has a ``line`` for exports and sinks."""


def first_previous(origin: str) -> str:
    """Return what the first row carries as ``previous``: it ties the chain to the record's name."""
    return hashlib.sha256(origin.encode()).hexdigest()


def digest(members: Mapping[str, object]) -> str:
    """Return SHA-256 over all members except ``hash``, in the order of ``FIELDS``, in hexadecimal.

    Raises UnicodeEncodeError if a text cannot be encoded as UTF-8.
    """
    return hashlib.sha256(_encode({name: members[name] for name in _HASHED})).hexdigest()


def _members(n: int, version: int, time: str, entry: Entry, previous: str) -> dict[str, object]:
    # Not asdict, which copies each value and takes longer than the hash.
    values = vars(entry) | {"event": str(entry.event)}
    return {"n": n, "version": version, "time": time, **values, "previous": previous}
