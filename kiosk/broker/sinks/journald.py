"""The journal of systemd, in its native protocol: one datagram of fields for one entry."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from kiosk.broker.record.chain import Appended, Row
from kiosk.broker.sinks.sink import APPLICATION, rest
from kiosk.broker.sinks.syslog import severity
from kiosk.clock import Deadline

# What all our entries have in common, for journalctl MESSAGE_ID=…
MESSAGE_ID = "5f0c1c8e9a3a4f6f9d5b1e7c2a64d3b8"


class Journald:
    """The journal's socket. The journal takes a datagram or refuses it; it does not say when it is on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, batch: Sequence[Appended], deadline: Deadline) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect(str(self._path))
            for item in batch:
                sock.settimeout(rest(deadline))
                sock.send(datagram(item))


def datagram(item: Appended) -> bytes:
    """The fields of one entry; values are given with their length, so that nothing in them can begin a field."""
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
    """Return what a reader filters by, and what shows that something is missing or was changed."""
    if isinstance(item, Row):
        entry = item.entry
        return {"n": str(item.n), "event": str(entry.event), "outcome": entry.outcome, "hash": item.hash}
    return {"size": str(item.size), "event": "checkpoint", "head": item.head}


def _field(name: str, value: bytes) -> bytes:
    return name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
