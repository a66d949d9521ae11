"""Verifies a record: its chain, its signatures, its anchors. Nothing that is read is believed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kiosk.broker.audit.source import Members, Source, Stored, TooLarge
from kiosk.broker.record.chain import FIELDS, digest, first_previous
from kiosk.broker.record.checkpoints import InvalidCheckpoint, InvalidSignature, opened
from kiosk.broker.record.head import COLUMNS, Head, Seen
from kiosk.broker.record.schema import LENGTHS, LOSS, VERSIONS, Event
from kiosk.text import clean

_HIGHEST = 1 << 63
_LONGEST_WORDS = 400
_MOST_LOSSES = 1000
_LOST = re.compile(r"rows [0-9]{1,19} to ([0-9]{1,19}) are lost")
_HEAD = [(column.name, column.type.python_type) for column in COLUMNS]
_LONGEST_IN_HEAD = 100
_KEYS = set(FIELDS)
_TEXTS = tuple(LENGTHS.items())


@dataclass(frozen=True)
class Verdict:
    """The result of an audit. ``certain`` is the last row that a signature or an anchor vouches for.

    If the record does not hold, ``first`` is the row at which that shows, and ``says`` is one sentence about it. What
    was changed lies after ``certain``: recomputing the chain moves ``first`` to the next signature or anchor.
    ``losses`` are the rows at which the operator accepted that the record had been rolled back.
    """

    holds: bool
    rows: int
    checkpoints: int
    anchors: int
    certain: int
    first: int | None = None
    says: str = ""
    losses: Sequence[int] = ()


def verify(
    source: Source,
    keys: Sequence[Ed25519PublicKey],
    anchors: Iterator[tuple[int, str]],
    seen: Head | None = None,
) -> Verdict:
    """Read the whole record once and return the verdict. Raises ConfigError if it cannot be read.

    ``anchors`` are numbers of rows with their hashes, in the order of the numbers; ``seen`` is the newest head that a
    broker saw.
    """
    return Audit(keys, anchors, seen).verdict(source)


class _Finding(Exception):
    """The first thing that does not hold, and the row at which it shows."""

    def __init__(self, row: int, says: str) -> None:
        super().__init__(says)
        self.row = row


def _not_as_written(row: int) -> _Finding:
    # How it was changed would be a guess, and nobody acts on the difference.
    return _Finding(row, f"row {row} is missing or is not the one that was written")


class Audit:
    """An audit that can be continued: with a later state of the record, it reads only what was added since."""

    def __init__(
        self,
        keys: Sequence[Ed25519PublicKey],
        anchors: Iterator[tuple[int, str]],
        seen: Head | None = None,
    ) -> None:
        self._keys, self._anchors, self._seen = keys, anchors, seen
        self._anchor = next(anchors, None)
        self._there = self._origin = self._hash = ""
        self._signed = self._version = 0
        self.losses: list[tuple[int, int]] = []
        self.n = self.checkpoints = self.anchors = self.certain = 0

    @property
    def reached(self) -> tuple[int, int]:
        """The numbers of the last row and of the last row with a checkpoint that were read."""
        return self.n, self._signed

    def verdict(self, source: Source) -> Verdict:
        """Read the record, from where the last reading ended, and return the verdict. Raises ConfigError."""
        finding: _Finding | None = None
        try:
            self._read(source)
        except _Finding as found:
            finding = found
        except TooLarge:
            finding = _not_as_written(self.n + 1)
        numbers = self.n, self.checkpoints, self.anchors, self.certain
        losses = tuple(first for first, _ in self.losses)
        if finding is None:
            return Verdict(True, *numbers, losses=losses)
        # The words may quote what the record holds, and the record must not write its own verdict.
        return Verdict(False, *numbers, finding.row, clean(str(finding), _LONGEST_WORDS), losses)

    def _read(self, source: Source) -> None:
        stored = source.head()
        if stored is None:
            raise _Finding(1, "the head of the record is missing")
        try:
            head = read_head(stored)
        except InvalidHead as invalid:
            raise _Finding(1, str(invalid)) from None
        if not self.n:
            self._origin, self._hash = head.origin, first_previous(head.origin)
        if head.origin != self._origin:
            raise _Finding(1, f"it is another record: {head.origin}")
        for item in source.items():
            if isinstance(item, Stored):
                self._checkpoint(item.members)
            else:
                self._row(item)
        self._end(head)

    def _row(self, row: Members) -> None:
        if not (holds(row) and row["n"] == self.n + 1 and row["previous"] == self._hash):
            raise _not_as_written(self.n + 1)
        if row["version"] < self._version:
            raise _not_as_written(self.n + 1)
        self.n += 1
        self._hash, self._version = row["hash"], row["version"]
        if self._seen and self.n == self._seen.n:
            self._there = self._hash
        if row["event"] == Event.ACCEPTED and row["outcome"] == LOSS and (lost := _LOST.fullmatch(row["detail"])):
            if len(self.losses) == _MOST_LOSSES:
                raise _not_as_written(self.n)
            self.losses.append((self.n, int(lost[1])))
        self._meet_anchors()

    def _meet_anchors(self) -> None:
        while self._anchor and self._anchor[0] <= self.n:
            if self._anchor[1] == self._hash:
                self.certain = self.n
                self.anchors += 1
            elif not self._lost(self._anchor[0]):
                raise _Finding(self.n, f"row {self.n} is not the one that the anchor names")
            self._anchor = next(self._anchors, None)

    def _lost(self, n: int) -> bool:
        """Whether a row with this number was lost, and the loss accepted: copies of it need not match any more."""
        return any(first <= n <= last for first, last in self.losses)

    def _checkpoint(self, stored: Members) -> None:
        try:
            checkpoint = opened(str(stored.get("note")), self._keys)
        except InvalidCheckpoint as invalid:
            raise self._bad_checkpoint(str(invalid)) from None
        if checkpoint.members() != stored or type(stored["size"]) is not int:
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

    def _end(self, head: Head) -> None:
        while self._anchor and self._lost(self._anchor[0]):
            self._anchor = next(self._anchors, None)
        if self._anchor or head.n > self.n:
            raise _not_as_written(self.n + 1)
        if (head.n, head.hash) != (self.n, self._hash):
            raise _Finding(self.n, f"row {self.n} is not the last one that the head of the record names")
        if self.n and not self._signed:
            raise _Finding(self.n, "there is no checkpoint")
        if self.n and self._signed != head.signed:
            raise _Finding(self.n, f"the checkpoint of row {head.signed} is missing")
        try:
            head.check(self._keys)
        except InvalidSignature as invalid:
            raise _Finding(max(self.n, 1), f"no broker wrote the head of the record: {invalid}") from None
        if self._seen and (why := Seen(head=self._seen).objection(head, self._there)):
            raise _Finding(min(self.n + 1, self._seen.n), f"this is not the record that the broker saw last: {why}")
        self.certain = self.n


class InvalidHead(Exception):
    """A head with a member that no broker would have written."""


def read_head(stored: Members) -> Head:
    """Return the head if every member has the type of its column. Raises InvalidHead."""
    values: dict[str, object] = {}
    for name, kind in _HEAD:
        value = stored.get(name)
        fits = 0 <= value < _HIGHEST if type(value) is int else isinstance(value, str) and len(value) < _LONGEST_IN_HEAD
        if type(value) is not kind or not fits or (kind is str and clean(value, _LONGEST_IN_HEAD) != value):
            raise InvalidHead(f"the head of the record does not say {name}")
        values[name] = value
    return Head(**values)  # type: ignore[arg-type]


def holds(row: Members) -> bool:
    """Whether the row has the hash of its members, of a version that this program knows."""
    if not _well_typed(row) or row["version"] not in VERSIONS:
        return False
    try:
        return bool(digest(row) == row["hash"])
    except UnicodeEncodeError:
        return False


def _well_typed(row: Members) -> bool:
    """Whether each value has exactly the type of its column: otherwise two rows could have the same encoding.

    Texts have lengths, so that none takes long to hash; numbers are finite, as JSON writes any other like a null.
    """
    if row.keys() != _KEYS:
        return False
    for name, longest in _TEXTS:
        value = row[name]
        if type(value) is not str or len(value) > longest:
            return False
    seconds = row["shown_seconds"]
    return _is_number(row["n"]) and _is_number(row["version"]) and (seconds is None or _is_finite(seconds))


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value < _HIGHEST


def _is_finite(value: object) -> bool:
    return type(value) is float and math.isfinite(value)
