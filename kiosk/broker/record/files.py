"""The files beside a record: the key that signs it, and the newest head that the broker saw."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from kiosk.broker.record.checkpoints import Signer, Signing
from kiosk.broker.record.database import sqlite_file
from kiosk.config.broker import RecordSettings
from kiosk.errors import ConfigError


def signing_of(settings: RecordSettings, *, make: bool = False) -> Signing:
    """Return how this record is signed. With ``make``, a missing key is created. Raises ConfigError."""
    signer = Signer.load(key_file(settings), make=make)
    every = timedelta(seconds=settings.checkpoint_seconds)
    return Signing(signer, every, settings.checkpoint_entries, seen_file(settings))


def key_file(settings: RecordSettings) -> Path:
    """Return the file of the signing key: named, or beside the SQLite file. Raises ConfigError."""
    if settings.signing_key:
        return settings.signing_key
    if file := sqlite_file(settings.database):
        return file.with_suffix(".key")
    expected = "missing; the brokers on one PostgreSQL database need a key that signs the record"
    raise ConfigError("broker.toml", expected, key="record.signing_key")


def seen_file(settings: RecordSettings) -> Path:
    """Return the file for the newest head that the broker saw: named, or beside the key. Raises ConfigError."""
    return Path(settings.seen_file) if settings.seen_file else key_file(settings).with_suffix(".seen")
