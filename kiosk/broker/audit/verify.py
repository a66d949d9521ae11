"""Verifies a record: every row is chained to the one before, every checkpoint is signed, every anchor is met."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kiosk.broker.audit.source import Members, Source, Stored
from kiosk.broker.record.chain import FIELDS, digest, first_previous
from kiosk.broker.record.checkpoints import InvalidCheckpoint, opened
from kiosk.broker.record.schema import VERSION

_TYPES = {"n": (int,), "version": (int,), "shown_seconds": (float, type(None))}
_TYPE = [(name, _TYPES.get(name, (str,))) for name in FIELDS]


@dataclass(frozen=True)
class Verdict:
    """The result of an audit. ``certain`` is the last row that a checkpoint or an anchor vouches for.

    If the record does not hold, ``first`` is the row at which that shows, and ``says`` is one sentence about it. What
    was changed lies after ``certain``: recomputing the chain moves ``first`` to the next checkpoint or anchor.
    """

    holds: bool
    rows: int
    checkpoints: int
    anchors: int
    certain: int
    first: int | None = None
    says: str = ""


def verify(source: Source, keys: Sequence[Ed25519PublicKey], anchors: Iterator[tuple[int, str]]) -> Verdict:
    """Read the whole record once and return the verdict. Raises ConfigError if it cannot be read.

    ``anchors`` are numbers of rows with their hashes, in the order of the numbers.
    """
    audit = _Audit(source, keys, anchors)
    finding: _Finding | None = None
    try:
        audit.run()
    except _Finding as found:
        finding = found
    numbers = audit.n, audit.checkpoints, audit.anchors, audit.certain
    return Verdict(False, *numbers, finding.row, str(finding)) if finding else Verdict(True, *numbers)


class _Finding(Exception):
    """The first thing that does not hold, and the row at which it shows."""

    def __init__(self, row: int, says: str) -> None:
        super().__init__(says)
        self.row = row


def _not_as_written(row: int) -> _Finding:
    # How it was changed would be a guess, and nobody acts on the difference.
    return _Finding(row, f"row {row} is missing or is not the one that was written")


class _Audit:
    def __init__(self, source: Source, keys: Sequence[Ed25519PublicKey], anchors: Iterator[tuple[int, str]]) -> None:
        self._source, self._keys, self._anchors = source, keys, anchors
        self._anchor = next(anchors, None)
        self._origin = self._hash = ""
        self._signed = 0
        self.n = self.checkpoints = self.anchors = self.certain = 0

    def run(self) -> None:
        head = self._source.head()
        if head is None:
            raise _Finding(1, "the head of the record is missing")
        self._origin = str(head["origin"])
        self._hash = first_previous(self._origin)
        for item in self._source.items():
            if isinstance(item, Stored):
                self._checkpoint(item.members)
            else:
                self._row(item)
        self._end(head)

    def _row(self, row: Members) -> None:
        if not (_holds(row) and row["n"] == self.n + 1 and row["previous"] == self._hash):
            raise _not_as_written(self.n + 1)
        self.n += 1
        self._hash = row["hash"]
        while self._anchor and self._anchor[0] <= self.n:
            if self._anchor[1] != self._hash:
                raise _Finding(self.n, f"row {self.n} is not the one that the anchor names")
            self.certain = self.n
            self.anchors += 1
            self._anchor = next(self._anchors, None)

    def _checkpoint(self, stored: Members) -> None:
        try:
            checkpoint = opened(str(stored.get("note")), self._keys)
        except InvalidCheckpoint as invalid:
            raise self._bad_checkpoint(str(invalid)) from None
        if checkpoint.members() != stored:
            raise self._bad_checkpoint("it does not say what was signed")
        if checkpoint.origin != self._origin:
            raise self._bad_checkpoint(f"it belongs to {checkpoint.origin}")
        if checkpoint.size > self.n:
            raise _not_as_written(self.n + 1)
        if (checkpoint.size, checkpoint.head) != (self.n, self._hash):
            raise self._bad_checkpoint("it signed another row")
        self.checkpoints += 1
        self.certain = self._signed = self.n

    def _bad_checkpoint(self, why: str) -> _Finding:
        row = max(self.n, 1)
        return _Finding(row, f"the checkpoint of row {row} does not hold: {why}")

    def _end(self, head: Members) -> None:
        if self._anchor or not isinstance(head["n"], int) or head["n"] > self.n:
            raise _not_as_written(self.n + 1)
        if (head["n"], head["hash"]) != (self.n, self._hash):
            raise _Finding(self.n, f"row {self.n} is not the last one that the head of the record names")
        if self.n and not self._signed:
            raise _Finding(self.n, "there is no checkpoint")
        if self.n and self._signed != head["sealed"]:
            raise _Finding(self.n, f"the checkpoint of row {head['sealed']} is missing")


def _holds(row: Members) -> bool:
    """Whether the row has the hash of its members, of a version that this program knows."""
    if not _well_typed(row) or row["version"] != VERSION:
        return False
    try:
        return bool(digest(row) == row["hash"])
    except UnicodeEncodeError:
        return False


def _well_typed(row: Members) -> bool:
    """Whether each value has exactly the type of its column: otherwise two rows could have the same encoding."""
    return len(row) == len(_TYPE) and all(type(row.get(name)) in types for name, types in _TYPE)
