"""Says whether a record holds: every row chained to the one before, every checkpoint signed, every anchor met."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kiosk.broker.audit.source import Broken, Members, Source, Stored
from kiosk.broker.record.chain import FIELDS, digest, first_previous
from kiosk.broker.record.checkpoints import Untrue, opened
from kiosk.broker.record.schema import VERSION

_FARTHEST_SHIFT = 1000
_TYPES = {"n": (int,), "version": (int,), "shown_seconds": (float, type(None))}
_TYPE = [(name, _TYPES.get(name, (str,))) for name in FIELDS]


@dataclass(frozen=True)
class Verdict:
    """What an audit found. ``first`` is the first row that does not hold, ``how`` one word for what happened to it.

    ``certain`` is the last row that a checkpoint or an anchor vouches for.
    """

    holds: bool
    rows: int
    checkpoints: int
    anchors: int
    certain: int
    first: int | None = None
    how: str = ""
    says: str = ""


class Finding(Exception):
    """The first thing that does not hold."""

    def __init__(self, first: int, how: str, says: str) -> None:
        super().__init__(says)
        self.first, self.how = first, how


def verify(source: Source, keys: Sequence[Ed25519PublicKey], anchors: Iterator[tuple[int, str]]) -> Verdict:
    """Read the whole record once; a second time only to say what happened. Raises ConfigError if it cannot be read."""
    audit = _Audit(source, keys, anchors)
    finding: Finding | None = None
    try:
        audit.run()
    except Finding as found:
        finding = found
    numbers = audit.n, audit.checkpoints, audit.anchors, audit.certain
    if finding is None:
        return Verdict(True, *numbers)
    return Verdict(False, *numbers, finding.first, finding.how, str(finding))


class _Audit:
    def __init__(self, source: Source, keys: Sequence[Ed25519PublicKey], anchors: Iterator[tuple[int, str]]) -> None:
        self._source, self._keys, self._anchors = source, keys, anchors
        self.n = self.checkpoints = self.anchors = self.certain = self._sealed = 0
        self._origin = self._hash = ""
        self._beyond: int | None = None
        self._anchor = next(anchors, None)

    def run(self) -> None:
        head = self._source.head()
        if head is None:
            raise Finding(1, "edited", "the head of the record is missing")
        self._origin = str(head["origin"])
        self._hash = first_previous(self._origin)
        for item in self._source.items():
            if isinstance(item, dict):
                self._row(item)
            elif isinstance(item, Stored):
                self._checkpoint(item)
            else:
                raise Finding(self.n + 1, "edited", f"line {item.line} is neither a row nor a checkpoint")
        self._end(head)

    def _row(self, row: Members) -> None:
        holds = _holds(row)
        if holds and row["n"] == self.n + 1 and row["previous"] == self._hash:
            self.n += 1
            self._hash = row["hash"]
            while self._anchor and self._anchor[0] <= self.n:
                self._meet(self._anchor[1])
        else:
            raise _Diagnosis(self._source, self.n + 1, self._hash, self._sealed).of(row, holds)

    def _meet(self, anchor: str) -> None:
        if anchor != self._hash:
            raise self._forked("that was sent away when it was written")
        self.certain = self.n
        self.anchors += 1
        self._anchor = next(self._anchors, None)

    def _forked(self, what: str) -> Finding:
        first, last = self.certain + 1, self.n
        rows = f"row {last} is" if first >= last else f"one of the rows {first} to {last} is"
        return Finding(first, "forked", f"{rows} not the one {what}, and everything from there on was recomputed")

    def _checkpoint(self, stored: Stored) -> None:
        claimed = stored.members.get("size")
        place = claimed if isinstance(claimed, int) else self.n
        try:
            checkpoint = opened(str(stored.members.get("note")), self._keys)
        except Untrue as untrue:
            raise Finding(place, untrue.how, f"the checkpoint of row {place} does not hold: {untrue}") from None
        if checkpoint.members() != stored.members:
            raise Finding(place, "edited", f"the checkpoint of row {place} does not say what was signed")
        if checkpoint.origin != self._origin:
            raise Finding(place, "forked", f"the checkpoint of row {place} belongs to {checkpoint.origin}")
        self.checkpoints += 1
        if checkpoint.size > self.n:
            # Whether rows are missing inside or at the end, the next row or the end will say.
            self._beyond = max(self._beyond or 0, checkpoint.size)
        elif checkpoint.size < self.n:
            raise Finding(
                checkpoint.size, "reordered", f"the checkpoint of row {checkpoint.size} stands in a wrong place"
            )
        elif checkpoint.head != self._hash:
            raise self._forked(f"that the checkpoint of {checkpoint.time} signed")
        else:
            self.certain = self._sealed = self.n

    def _end(self, head: Members) -> None:
        after = self.n + 1
        if self._beyond:
            raise Finding(
                after, "truncated", f"rows {after} to {self._beyond} are missing; a checkpoint signed the last"
            )
        if self._anchor:
            raise Finding(
                after, "truncated", f"rows {after} to {self._anchor[0]} are missing; an anchor names the last"
            )
        if not isinstance(head["n"], int) or head["n"] > self.n:
            raise Finding(after, "truncated", f"rows {after} to {head['n']} are missing; the head names the last")
        if head["n"] < self.n:
            raise Finding(head["n"] + 1, "inserted", f"row {head['n'] + 1} stands after the last that the broker wrote")
        if head["hash"] != self._hash:
            raise Finding(self.n, "edited", f"row {self.n} was changed and its hash recomputed; the head names another")
        if self.n and self._sealed != head["sealed"]:
            raise Finding(after, "truncated", f"the checkpoint of row {head['sealed']} is missing")
        if self.n and not self._sealed:
            raise Finding(1, "truncated", "there is no checkpoint")


@dataclass
class _Found:
    """What a second reading tells about the place where the first one stopped."""

    successor: int | None = None
    pointed: bool = False
    numbered: int | None = None
    twin: str = ""
    parent: int | None = None


class _Diagnosis:
    """Says what happened at the first row that does not hold: the one that should be ``expected``."""

    def __init__(self, source: Source, expected: int, previous: str, sealed: int) -> None:
        self._source, self._expected, self._previous, self._sealed = source, expected, previous, sealed

    def of(self, row: Members, holds: bool) -> Finding:
        expected = self._expected
        if not _well_typed(row):
            return Finding(expected, "edited", f"row {expected} holds a value that no broker writes")
        found = self._read_again(row)
        if row["n"] > expected:
            return self._missing(row["n"], found)
        if row["n"] < expected:
            return self._surplus(row, holds, found)
        if not holds and (number := _own_number(row)):
            return self._renumbered(number, found)
        if row["previous"] == self._previous:
            if found.successor is not None:
                return Finding(expected, "inserted", f"row {expected} is not of the chain")
            return Finding(expected, "edited", f"row {expected} is not what was hashed")
        if not holds:
            if found.successor is None:
                return Finding(expected, "edited", f"row {expected} is not what was hashed")
            if found.pointed:
                return self._reordered(found.successor)
            return Finding(expected, "inserted", f"row {expected} is not of the chain")
        return self._foreign(found)

    def _missing(self, n: int, found: _Found) -> Finding:
        elsewhere = found.numbered if found.numbered is not None else found.successor
        if elsewhere is not None:
            return self._reordered(elsewhere)
        last = n - 1
        rows = f"row {last} is" if last == self._expected else f"rows {self._expected} to {last} are"
        return Finding(self._expected, "deleted", f"{rows} missing")

    def _surplus(self, row: Members, holds: bool, found: _Found) -> Finding:
        n = row["n"]
        if holds and n > 0 and found.twin and found.twin != row["hash"]:
            return Finding(n, "forked", f"there are two rows {n}, each chained to what was before")
        return Finding(n, "inserted", f"row {n} stands after row {self._expected - 1}, where it does not belong")

    def _renumbered(self, number: int, found: _Found) -> Finding:
        expected = self._expected
        if number < expected:
            return Finding(number, "inserted", f"row {number} is not of the chain; the rows after it were renumbered")
        if found.successor is not None:
            return self._reordered(found.successor)
        rows = f"row {expected}" if number == expected + 1 else f"rows {expected} to {number - 1}"
        return Finding(expected, "deleted", f"{rows} of the chain missing; the rows after were renumbered")

    def _foreign(self, found: _Found) -> Finding:
        """A row that is whole, but follows another than the one before it."""
        expected = self._expected
        if expected == 1:
            return Finding(1, "forked", "row 1 is the first of another record")
        if found.parent is not None:
            return Finding(expected, "forked", f"row {expected} follows row {found.parent}, not row {expected - 1}")
        if self._sealed == expected - 1:
            return Finding(
                expected, "forked", f"row {expected} follows another row than {expected - 1}, which was signed"
            )
        says = f"row {expected - 1} was changed and its hash recomputed; row {expected} still follows what stood there"
        return Finding(expected - 1, "edited", says)

    def _reordered(self, elsewhere: int) -> Finding:
        expected = self._expected
        where = "later" if elsewhere == expected else f"as row {elsewhere}"
        return Finding(expected, "reordered", f"what should be row {expected} stands {where}")

    def _read_again(self, row: Members) -> _Found:
        found = _Found()
        place = 0
        for item in self._source.items():
            if isinstance(item, Stored | Broken) or not _well_typed(item):
                continue
            place += 1
            if place == self._expected:
                # The row in question itself.
                continue
            if item["previous"] == self._previous:
                found.successor = item["n"]
            if item["n"] == self._expected:
                found.numbered = item["n"]
            if item["n"] == row["n"] and place < self._expected:
                found.twin = item["hash"]
            if item["previous"] == row["hash"]:
                found.pointed = True
            if item["hash"] == row["previous"] and place < self._expected:
                found.parent = item["n"]
        return found


def _holds(row: Members) -> bool:
    if not _well_typed(row) or row["version"] != VERSION:
        return False
    try:
        return bool(digest(row) == row["hash"])
    except UnicodeEncodeError:
        return False


def _well_typed(row: Members) -> bool:
    """Each value has exactly the type of its column: else two different rows could have the same encoding."""
    return len(row) == len(_TYPE) and all(type(row.get(name)) in types for name, types in _TYPE)


def _own_number(row: Members) -> int | None:
    """The number with which a row was written, where only its number was changed."""
    for distance in range(1, _FARTHEST_SHIFT + 1):
        for number in (row["n"] + distance, row["n"] - distance):
            if _holds({**row, "n": number}):
                return int(number)
    return None
