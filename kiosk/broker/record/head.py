"""The signed head of the record, and the newest one that this broker saw: neither may be forged, or go back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kiosk.broker import logs
from kiosk.broker.record.checkpoints import InvalidSignature, Signer, check_signature
from kiosk.broker.record.schema import HEAD, VERSION

_MODE = 0o600
_SIZE = 1024
_FLAGS = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True)
class Head:
    """The head as it is stored; the members are the columns of its table, with their names in the program."""

    version: int
    origin: str
    n: int
    hash: str
    signed: int
    signed_at: str
    losses: int
    signature: str = ""

    def body(self) -> str:
        """Return the text that is signed. Unlike that of a checkpoint, its second line is not a number."""
        newest = f"{self.n}\n{self.hash}\n{self.signed}\n{self.signed_at}\n{self.losses}\n"
        return f"{self.origin}\nhead of version {self.version}\n{newest}"

    def signed_by(self, signer: Signer) -> Head:
        """Return the head with a signature."""
        return replace(self, signature=signer.signature(self.origin, self.body()))

    def check(self, keys: Sequence[Ed25519PublicKey]) -> None:
        """Return if one of the keys signed the head. Raises InvalidSignature."""
        check_signature(self.origin, self.body(), self.signature, keys)


COLUMNS = tuple(HEAD.c[name] for name in Head.__dataclass_fields__)


@dataclass
class Seen:
    """The newest head that this broker saw, kept in memory and in a file, so that a restart does not forget it."""

    path: Path | None = None
    head: Head | None = None
    _warned: bool = False

    @classmethod
    def load(cls, path: Path | None, keys: Sequence[Ed25519PublicKey]) -> Seen:
        """Read the file. A head that none of the keys signed is not believed: a crash may have torn it."""
        seen = cls(path)
        with contextlib.suppress(FileNotFoundError):
            if path:
                seen.head = _read(path, keys)
        return seen

    def objection(self, head: Head, there: str | None) -> str:
        """Return why this head cannot follow the newest one seen; empty if it can.

        ``there`` is the hash that the record now has at the row of the newest head seen.
        """
        seen = self.head
        if seen is None or (head.origin == seen.origin and head.losses > seen.losses):
            return ""
        if head.origin != seen.origin:
            return f"it is another record: {head.origin}, not {seen.origin}"
        if head.losses < seen.losses or head.n < seen.n:
            return f"it was rolled back to row {head.n}; row {seen.n} had been written"
        if seen.n and there != seen.hash:
            return f"row {seen.n} is missing or is not the one that was written"
        return ""

    def remember(self, head: Head) -> None:
        """Keep a head that is durable. The file is not synced: after a power failure it may hold an earlier one."""
        if head == self.head:
            return
        self.head = head
        if self.path is None:
            return
        # One write at a fixed place: nothing in between can be read, and no folder has to be written.
        content = msgspec.json.encode(head).ljust(_SIZE - 1) + b"\n"
        try:
            file = os.open(self.path, os.O_WRONLY | _FLAGS, _MODE)
            try:
                os.pwrite(file, content, 0)
            finally:
                os.close(file)
            self._warned = False
        except OSError as error:
            if not self._warned:
                logs.LOG.error(
                    "a restart would not notice a record that was rolled back: %s: %s", self.path, type(error).__name__
                )
            self._warned = True


def _read(path: Path, keys: Sequence[Ed25519PublicKey]) -> Head | None:
    """Return the head in the file, or None if it cannot be believed."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            content = os.pread(file, _SIZE, 0)
        finally:
            os.close(file)
        head = msgspec.json.decode(content, type=Head)
        head.check(keys)
    except FileNotFoundError:
        raise
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidSignature) as error:
        logs.LOG.error("the state of the record at the last stop is unknown: %s: %s", path, type(error).__name__)
        return None
    return head if head.version <= VERSION else None
