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
from kiosk.broker.audit.verify import verify
from kiosk.broker.record.chain import digest
from kiosk.broker.record.checkpoints import InvalidCheckpoint, opened, public_keys
from kiosk.broker.record.database import sqlite_file
from kiosk.broker.record.schema import CHECKPOINT, RECORD
from kiosk.checks.database import ours
from kiosk.checks.result import Finding, NotChecked, Wrong, failed, passed
from kiosk.config.broker import RecordSettings

# Takes some seconds. Of a larger record only the newest rows are read.
READ_WHOLE = 100_000
NEWEST = 20_000
_FIX = "keep a copy of the database as it is, and find out who could write to it: kiosk audit verify, docs/record.md"


def record(settings: RecordSettings, public_key: Path | None, whole: int = READ_WHOLE) -> Finding:
    """Check the record. Raises NotChecked and ConfigError."""
    file = sqlite_file(settings.database)
    if file and not file.exists():
        raise NotChecked("there is no record yet", "start the broker: it makes the record at its first start")
    if file:
        ours(file)
    keys = _keys(settings, file, public_key)
    with opened_database(settings.database) as source:
        head = source.head()
        if head and isinstance(head["n"], int) and head["n"] > whole:
            return _newest(source, head, max(head["n"] - NEWEST, head["n"] - whole), keys)
        with anchors(None, keys) as none:
            verdict = verify(source, keys, none)
    if verdict.holds:
        return passed(f"all {verdict.rows} rows hold; signed checkpoints: {verdict.checkpoints}")
    return failed(verdict.says, _FIX)


def _newest(source: DatabaseSource, head: Members, before: int, keys: Sequence[Ed25519PublicKey]) -> Finding:
    """Check the chain after one row, and the checkpoints of these rows."""
    previous: str | None = None
    n = before
    hashes: dict[int, str] = {}
    for row in source.rows(RECORD.c.n > before):
        n += 1
        if row["n"] != n or previous not in (None, row["previous"]) or not _hashed(row):
            return failed(f"row {n} does not hold", _FIX)
        hashes[n] = previous = row["hash"]
    if n != head["n"] or previous != head["hash"]:
        return failed(f"row {n} is the last one, but the head of the record names another", _FIX)
    signed = 0
    for stored in source.checkpoints(CHECKPOINT.c.size > before):
        try:
            checkpoint = opened(str(stored.members["note"]), keys)
        except InvalidCheckpoint as invalid:
            return failed(f"the checkpoint of row {stored.members['size']} does not hold: {invalid}", _FIX)
        if hashes.get(checkpoint.size) != checkpoint.head:
            return failed(f"row {checkpoint.size} is not the row that its checkpoint signed", _FIX)
        signed += 1
    newest = f"the newest {n - before} of {n} rows hold; signed checkpoints: {signed}"
    return passed(f"{newest}; kiosk audit verify reads all")


def _hashed(row: Members) -> bool:
    try:
        return bool(digest(row) == row["hash"])
    except (UnicodeEncodeError, TypeError, ValueError):
        return False


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
