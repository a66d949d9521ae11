"""Checks of the record: verifies all of a small one, and the newest rows of a large one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kiosk.broker.audit.anchors import anchors
from kiosk.broker.audit.source import DatabaseSource, Members
from kiosk.broker.audit.source import database as opened_database
from kiosk.broker.audit.verify import InvalidHead, holds, read_head, verify
from kiosk.broker.record.checkpoints import InvalidCheckpoint, InvalidSignature, opened, public_keys
from kiosk.broker.record.database import sqlite_file
from kiosk.broker.record.files import seen_file
from kiosk.broker.record.head import Head, Seen
from kiosk.broker.record.schema import CHECKPOINT, RECORD
from kiosk.checks.database import ours
from kiosk.checks.result import Finding, NotChecked, Wrong, failed, passed
from kiosk.config.broker import RecordSettings

# Takes some seconds. Of a larger record only the newest rows are read.
READ_WHOLE = 100_000
NEWEST = 20_000
_FIX = "keep a copy of the database as it is, and find out who could write to it: kiosk audit verify, docs/record.md"
_LOSS = "if a copy was restored: kiosk record accept-loss, docs/operations.md; otherwise find out who could write to it"


def record(settings: RecordSettings, public_key: Path | None, whole: int = READ_WHOLE) -> Finding:
    """Check the record. Raises NotChecked and ConfigError."""
    file = sqlite_file(settings.database)
    if file and not file.exists():
        raise NotChecked("there is no record yet", "start the broker: it creates the record at its first start")
    if file:
        ours(file)
    keys = _keys(settings, file, public_key)
    seen = Seen.load(seen_file(settings), keys).head
    with opened_database(settings.database) as source:
        head = source.head()
        if head and isinstance(head["n"], int) and head["n"] > whole:
            return _newest(source, head, max(head["n"] - NEWEST, head["n"] - whole), keys, seen)
        with anchors(None, keys) as none:
            verdict = verify(source, keys, none, seen)
    if verdict.holds:
        return passed(f"all {verdict.rows} rows hold; signed checkpoints: {verdict.checkpoints}")
    return failed(verdict.says, _LOSS if "broker saw last" in verdict.says else _FIX)


def _newest(
    source: DatabaseSource, stored: Members, before: int, keys: Sequence[Ed25519PublicKey], seen: Head | None
) -> Finding:
    """Check the chain after one row, and the checkpoints of these rows."""
    try:
        head = read_head(stored)
        head.check(keys)
    except (InvalidHead, InvalidSignature) as invalid:
        return failed(f"no broker wrote the head of the record: {invalid}", _FIX)
    previous: str | None = None
    n = before
    hashes: dict[int, str] = {}
    for row in source.rows(RECORD.c.n > before):
        n += 1
        if row["n"] != n or previous not in (None, row["previous"]) or not holds(row):
            return failed(f"row {n} does not hold", _FIX)
        hashes[n] = previous = row["hash"]
    if n != head.n or previous != head.hash:
        return failed(f"row {n} is the last one, but the head of the record names another", _FIX)
    signed = 0
    for found in source.checkpoints(CHECKPOINT.c.size > before):
        try:
            checkpoint = opened(str(found.members["note"]), keys)
        except InvalidCheckpoint as invalid:
            return failed(f"the checkpoint of row {found.members['size']} does not hold: {invalid}", _FIX)
        if hashes.get(checkpoint.size) != checkpoint.head:
            return failed(f"row {checkpoint.size} is not the row that its checkpoint signed", _FIX)
        signed += 1
    there = next((row["hash"] for row in source.rows(RECORD.c.n == seen.n)), None) if seen else None
    if seen and (why := Seen(head=seen).objection(head, there)):
        return failed(f"this is not the record that the broker saw last: {why}", _LOSS)
    newest = f"the newest {n - before} of {n} rows hold; signed checkpoints: {signed}"
    return passed(f"{newest}; kiosk audit verify reads all")


def _keys(settings: RecordSettings, file: Path | None, public_key: Path | None) -> Sequence[Ed25519PublicKey]:
    """Return the keys that may have signed checkpoints: those that the operator names, or the key in use."""
    if public_key:
        return public_keys(public_key)
    signing = settings.signing_key or (file.with_suffix(".key") if file else None)
    if signing is None:
        raise Wrong("record.signing_key is missing", "name the key that all brokers share in record.signing_key")
    try:
        key = load_pem_private_key(signing.read_bytes(), password=None)
    except OSError as error:
        raise NotChecked(f"{signing}: {error.strerror}", "run the check as root, or name --public-key") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise Wrong(f"{signing} is not an Ed25519 private key in PEM", "restore the key that signs checkpoints")
    return [key.public_key()]
