"""Reads rows for the sinks: what was appended, and not what somebody put into the table afterwards.

A row counts as appended if the chain leads from it to a head or a checkpoint that the broker's key signed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, select

from kiosk.broker.record.chain import Appended, Checkpoint, Row
from kiosk.broker.record.checkpoints import InvalidCheckpoint, InvalidSignature, OtherKey, opened
from kiosk.broker.record.head import COLUMNS as HEAD_COLUMNS
from kiosk.broker.record.head import Head
from kiosk.broker.record.schema import CHECKPOINT, COLUMNS, HEAD, RECORD, Entry
from kiosk.errors import RecordUnavailable

_MOST_AT_ONCE = 200


def following(
    connection: Connection, n: int, size: int, keys: Sequence[Ed25519PublicKey], proofs: dict[int, str]
) -> Sequence[Appended]:
    """Return the next rows after row ``n``, and the next checkpoints after the one of ``size`` that they reach.

    Raises RecordUnavailable if any of them is not as it was appended. Without keys, only the chain is checked. A
    checkpoint of an earlier key cannot be checked and is left out. ``proofs`` has the hashes of later rows that were
    checked on the way to a signature; it is kept from call to call.
    """
    # Before the rows: other brokers append meanwhile.
    found = connection.execute(select(*HEAD_COLUMNS).where(HEAD.c.id == 1)).first()
    if found is None:
        raise _refused("its head is missing")
    head = Head(*found)
    if n > head.n:
        raise _refused(f"it ends at row {head.n}, and row {n} was delivered")
    rows = _rows(connection, n, min(head.n, n + _MOST_AT_ONCE))
    last = rows[-1].n if rows else n
    due = select(CHECKPOINT).where(CHECKPOINT.c.size > size, CHECKPOINT.c.size <= last)
    stored = connection.execute(due.order_by(CHECKPOINT.c.size).limit(_MOST_AT_ONCE)).all()
    checkpoints = [signed for one in stored if (signed := _checkpoint(one._asdict(), head, keys))]
    if rows and keys:
        _prove(connection, rows[-1], head, keys, proofs)
    # A checkpoint comes after the last row that it covers.
    items: list[Appended] = [*rows, *checkpoints]
    items.sort(key=lambda item: item.n if isinstance(item, Row) else item.size + 0.5)
    return items


def _prove(
    connection: Connection, last: Row, head: Head, keys: Sequence[Ed25519PublicKey], proofs: dict[int, str]
) -> None:
    """Follow the chain from a row to the next signature. Raises RecordUnavailable."""
    for n in [n for n in proofs if n < last.n]:
        del proofs[n]
    if proofs.get(last.n) == last.hash:
        return
    later = select(CHECKPOINT).where(CHECKPOINT.c.size.between(last.n, head.n)).order_by(CHECKPOINT.c.size).limit(1)
    # Mostly it is the last row, and the head the nearest signature.
    stored = connection.execute(later).first() if last.n < head.n else None
    signed = _checkpoint(stored._asdict(), head, keys) if stored else None
    if signed:
        n, expected = signed.size, signed.head
    else:
        try:
            head.check(keys)
        except InvalidSignature as invalid:
            raise _refused(f"no broker wrote its head: {invalid}") from None
        n, expected = head.n, head.hash
    passed = {last.n: last.hash}
    while last.n < n:
        last = _rows(connection, last.n, min(n, last.n + _MOST_AT_ONCE), last.hash)[-1]
        passed[last.n] = last.hash
    if last.hash != expected:
        raise _not_as_appended(n)
    # The way to the head may be long, and the next rows end where this one paused.
    proofs.update(passed)


def _rows(connection: Connection, after: int, last: int, previous: str | None = None) -> list[Row]:
    """Return the rows up to ``last``, which all have to be there and chained. Raises RecordUnavailable."""
    wanted = select(RECORD).where(RECORD.c.n > after, RECORD.c.n <= last).order_by(RECORD.c.n)
    rows: list[Row] = []
    for found in connection.execute(wanted):
        row = _row(found._asdict())
        if row.n != after + 1 + len(rows) or previous not in {None, row.previous} or not row.holds():
            raise _not_as_appended(after + 1 + len(rows))
        rows.append(row)
        previous = row.hash
    if len(rows) < last - after:
        raise _not_as_appended(after + 1 + len(rows))
    return rows


def _row(values: Mapping[str, Any]) -> Row:
    entry = Entry(**{column.name: values[column.name] for column in COLUMNS})
    return Row(values["n"], values["time"], entry, values["previous"], values["hash"], values["version"])


def _checkpoint(values: Mapping[str, Any], head: Head, keys: Sequence[Ed25519PublicKey]) -> Checkpoint | None:
    """Return a checkpoint that one of the keys signed, or None for one of an earlier key. Raises RecordUnavailable."""
    stored = Checkpoint(head.origin, values["size"], values["head"], values["time"], values["note"])
    try:
        signed = opened(stored.note, keys) if keys else stored
    except OtherKey:
        return None
    except InvalidCheckpoint as invalid:
        raise _refused(f"the checkpoint of row {stored.size} does not hold: {invalid}") from None
    if signed != stored:
        raise _refused(f"the checkpoint of row {stored.size} does not say what was signed")
    return signed


def _not_as_appended(n: int) -> RecordUnavailable:
    return _refused(f"row {n} is missing or is not the one that was written")


def _refused(why: str) -> RecordUnavailable:
    return RecordUnavailable(f"nothing is delivered from this record: {why}")
