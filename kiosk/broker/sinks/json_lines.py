"""Appends to a file of JSON lines, one row each, and syncs it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Sequence
from pathlib import Path

from kiosk.broker.record.chain import Appended
from kiosk.broker.sinks.sink import rest
from kiosk.clock import Deadline

_MODE = 0o600
_BUSY_SECONDS = 0.01
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class JsonLines:
    """A file that only grows. It is reopened for each batch, so it can be rotated at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, batch: Sequence[Appended], deadline: Deadline) -> None:
        new = not self._path.exists()
        file = os.open(self._path, _FLAGS, _MODE)
        try:
            _lock(file, deadline)
            size = os.fstat(file).st_size
            # The fragment that a crash or a full disk left becomes a line of its own; its row is sent again.
            torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            content = b"\n" * torn + b"".join(item.line() + b"\n" for item in batch)
            while content:
                content = content[os.write(file, content) :]
            os.fsync(file)
        finally:
            os.close(file)
        if new:
            _sync_folder(self._path.parent)


def _lock(file: int, deadline: Deadline) -> None:
    """Lock the file, which several brokers may share. Raises TimeoutError."""
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(min(rest(deadline), _BUSY_SECONDS))
        else:
            return


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
