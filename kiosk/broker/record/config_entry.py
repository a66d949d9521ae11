"""Makes the entry that says which rules apply: one line to read, and a digest to compare."""

from __future__ import annotations

import hashlib

import msgspec

from kiosk.broker.record.schema import Entry, Event
from kiosk.config.types import Section
from kiosk.text import clean

_LONGEST = 1000


def config_entry(rules: Section) -> Entry:
    """Return the entry for these rules."""
    plain = msgspec.to_builtins(rules, enc_hook=str)
    said = "; ".join(f"{name} = {_said(value)}" for name, value in plain.items())
    digest = hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()
    return Entry(Event.CONFIGURED, digest=digest, detail=clean(said, _LONGEST))


def _said(value: object) -> str:
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return ", ".join(map(str, value)) or "none"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
