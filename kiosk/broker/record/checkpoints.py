"""Signs and opens checkpoints: the size and head of the record at one time, in the format of transparency logs.

A checkpoint is a signed note: origin, size, head (base64) and time on one line each, an empty line, and an Ed25519
signature. A copy that is kept elsewhere proves later whether the record is still the same.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidSignature as Mismatch
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from kiosk.broker import logs
from kiosk.broker.record.chain import Checkpoint
from kiosk.broker.record.schema import stamp
from kiosk.config.loading import expect_closed
from kiosk.errors import ConfigError

_KEY_MODE = 0o600
_ED25519 = b"\x01"
_PUBLIC_KEY = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)
_NOTE = re.compile(
    r"(?P<body>(?P<origin>[^\n]+)\n(?P<size>[0-9]+)\n(?P<head>[A-Za-z0-9+/=]+)\n(?P<time>[^\n]+)\n)"
    r"\n\N{EM DASH} (?P<name>[^\n ]+) (?P<signature>[A-Za-z0-9+/=]+)\n"
)


class Signer:
    """Signs checkpoints and heads, each in a tenth of a millisecond."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key()

    @classmethod
    def load(cls, path: Path, *, make: bool) -> Signer:
        """Load the key from a PEM file and write the public key beside it. Raises ConfigError.

        With ``make``, a missing key is created.
        """
        try:
            key = _make(path) if make and not path.exists() else _load(path)
        except OSError as error:
            raise ConfigError(path, f"expected the key that signs checkpoints: {error.strerror or error}") from None
        signer = cls(key)
        signer._publish(path.with_suffix(".pub"))
        return signer

    @property
    def public_pem(self) -> str:
        """The public key in PEM, for ``kiosk audit verify``."""
        return self.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def id(self) -> str:
        """The fingerprint of the public key: SHA-256 in hexadecimal."""
        return hashlib.sha256(_raw(self.public)).hexdigest()

    def sign(self, origin: str, size: int, head: str, moment: datetime) -> Checkpoint:
        """Return a signed checkpoint: the record has this size and head at this moment."""
        time = stamp(moment)
        body = f"{origin}\n{size}\n{base64.b64encode(bytes.fromhex(head)).decode()}\n{time}\n"
        note = f"{body}\n\N{EM DASH} {origin} {self.signature(origin, body)}\n"
        return Checkpoint(origin, size, head, time, note)

    def signature(self, origin: str, body: str) -> str:
        """Return the signature over a text about this record, with the id of the key in front, in base64."""
        return base64.b64encode(_key_id(origin.encode(), self.public) + self._key.sign(body.encode())).decode()

    def derived(self, purpose: str) -> bytes:
        """Return a secret key of 32 bytes for another purpose, the same wherever this key is."""
        return HKDF(SHA256(), 32, None, f"recovery-kiosk/{purpose}".encode()).derive(self._key.private_bytes_raw())

    def signed(self, note: str) -> bool:
        """Whether this key signed the note."""
        try:
            opened(note, [self.public])
        except InvalidCheckpoint:
            return False
        return True

    def _publish(self, path: Path) -> None:
        try:
            if not path.exists() or path.read_text(encoding="utf-8") != self.public_pem:
                path.write_text(self.public_pem, encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            logs.LOG.warning("the public key could not be written to %s: %s", path, type(error).__name__)


@dataclass(frozen=True)
class Signing:
    """How checkpoints are made: by this signer, at the latest after this time or this number of entries.

    ``seen`` is the file for the newest head that this broker saw; without it, a restart forgets that head.
    """

    signer: Signer
    every: timedelta = timedelta(minutes=10)
    entries: int = 100
    seen: Path | None = None


class InvalidCheckpoint(Exception):
    """A signed note that is malformed, or that none of the given keys signed."""


class InvalidSignature(Exception):
    """A signature that is malformed, or that none of the given keys made."""


class OtherKey(InvalidCheckpoint, InvalidSignature):
    """A checkpoint or a signature made with another key than those given."""


def opened(note: str, keys: Sequence[Ed25519PublicKey]) -> Checkpoint:
    """Return the checkpoint in a note that one of the keys signed. Raises InvalidCheckpoint."""
    found = _NOTE.fullmatch(note)
    if found is None:
        raise InvalidCheckpoint("it is not a signed note")
    try:
        head = base64.b64decode(found["head"], validate=True).hex()
        check_signature(found["name"], found["body"], found["signature"], keys)
        return Checkpoint(found["origin"], int(found["size"]), head, found["time"], note)
    except OtherKey:
        raise
    except InvalidSignature as invalid:
        raise InvalidCheckpoint(str(invalid)) from None
    except ValueError:
        raise InvalidCheckpoint("it is not a signed note") from None


def check_signature(origin: str, body: str, signature: str, keys: Sequence[Ed25519PublicKey]) -> None:
    """Return if one of the keys signed this text about this record. Raises InvalidSignature."""
    try:
        signed, name = body.encode(), origin.encode()
        given = base64.b64decode(signature, validate=True)
    except (ValueError, TypeError):
        raise InvalidSignature("its signature is not one") from None
    ours = [key for key in keys if _key_id(name, key) == given[:4]]
    if not ours:
        raise OtherKey(f"it is signed with another key ({given[:4].hex()})")
    for key in ours:
        with contextlib.suppress(Mismatch):
            key.verify(given[4:], signed)
            return
    raise InvalidSignature("its signature does not match")


def public_keys(path: Path) -> list[Ed25519PublicKey]:
    """Read one or more Ed25519 public keys from a PEM file. Raises ConfigError."""
    try:
        blocks = _PUBLIC_KEY.findall(path.read_text(encoding="utf-8"))
        keys = [load_pem_public_key(block.encode()) for block in blocks]
    except OSError as error:
        raise ConfigError(path, f"expected public keys in PEM: {error.strerror or error}") from None
    except (ValueError, UnsupportedAlgorithm):
        keys = []
    found = [key for key in keys if isinstance(key, Ed25519PublicKey)]
    if not found or len(found) < len(keys):
        raise ConfigError(path, "expected Ed25519 public keys in PEM")
    return found


def _make(path: Path) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # The file gets its name once its content is on the disk, so it is never seen half-written.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _KEY_MODE)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return _load(path)
    finally:
        draft.unlink()
    logs.LOG.info("created the key that signs checkpoints: %s", path)
    return key


def _load(path: Path) -> Ed25519PrivateKey:
    expect_closed(path, "the key that signs checkpoints")
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(path, "expected an Ed25519 private key in PEM, without passphrase")
    return key


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _key_id(name: bytes, key: Ed25519PublicKey) -> bytes:
    return hashlib.sha256(name + b"\n" + _ED25519 + _raw(key)).digest()[:4]
