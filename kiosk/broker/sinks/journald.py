"""Sends to systemd's journal in its native protocol: each entry is one datagram of fields."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from kiosk.broker.record.chain import Appended, Row
from kiosk.broker.sinks.sink import APPLICATION, rest
from kiosk.broker.sinks.syslog import severity
from kiosk.clock import Deadline

# The same for all our entries, for journalctl MESSAGE_ID=…
MESSAGE_ID = "5f0c1c8e9a3a4f6f9d5b1e7c2a64d3b8"


class Journald:
    """Writes to the journal's socket. An accepted datagram is delivered, though perhaps not yet on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, batch: Sequence[Appended], deadline: Deadline) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect(str(self._path))
            for item in batch:
                sock.settimeout(rest(deadline))
                sock.send(datagram(item))


def datagram(item: Appended) -> bytes:
    """Return the fields of an entry. Values carry their length, so nothing in them can start another field."""
    said = _summary(item)
    fields = {
        "MESSAGE": " ".join(f"{name}={value}" for name, value in said.items()),
        "PRIORITY": str(severity(item)),
        "SYSLOG_IDENTIFIER": APPLICATION,
        "MESSAGE_ID": MESSAGE_ID,
        **{f"KIOSK_{name.upper()}": value for name, value in said.items()},
        "KIOSK_RECORD": item.line().decode(),
    }
    return b"".join(_field(name, value.encode()) for name, value in fields.items())


def _summary(item: Appended) -> dict[str, str]:
    """Return the members to filter by, and those that reveal a gap or a change."""
    if isinstance(item, Row):
        entry = item.entry
        return {"n": str(item.n), "event": str(entry.event), "outcome": entry.outcome, "hash": item.hash}
    return {"size": str(item.size), "event": "checkpoint", "head": item.head}


def _field(name: str, value: bytes) -> bytes:
    return name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
