"""Provides memory that can be wiped, and the key pairs of a visit."""

from __future__ import annotations

import ctypes
import mmap
from types import TracebackType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem, x25519
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from kiosk.errors import SealBroken

# RFC 9180 with the ML-KEM hybrid: traffic that is recorded today stays closed even to a quantum computer.
SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_MLKEM_PUBLIC_BYTES = 1184
_X25519_PUBLIC_BYTES = 32
PUBLIC_KEY_BYTES = _MLKEM_PUBLIC_BYTES + _X25519_PUBLIC_BYTES

_libc = ctypes.CDLL(None, use_errno=True)
_BYTES_HEADER = bytes.__basicsize__ - 1


def overwrite(value: bytes) -> None:
    """Zero a ``bytes`` object in place. Only for objects that this process created and nothing else references."""
    if len(value) > 1:  # CPython shares the objects of length 0 and 1
        ctypes.memset(id(value) + _BYTES_HEADER, 0, len(value))


def zero(value: bytearray) -> None:
    """Zero a ``bytearray`` in place. It keeps its length."""
    value[:] = bytes(len(value))


class SecretBuffer:
    """Memory outside the Python heap: kept from swap where allowed, left out of core dumps, zeroed by ``wipe``."""

    def __init__(self, content: bytes) -> None:
        """Copy ``content`` into the buffer and zero the original."""
        self._page = mmap.mmap(-1, max(len(content), 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_DONTDUMP"):
            self._page.madvise(mmap.MADV_DONTDUMP)
        if hasattr(mmap, "MADV_DONTFORK"):
            self._page.madvise(mmap.MADV_DONTFORK)
        # Ignore a failure: RLIMIT_MEMLOCK may forbid locking, and showing an unlocked key is better than losing it.
        anchor = ctypes.c_char.from_buffer(self._page)
        _libc.mlock(ctypes.c_void_p(ctypes.addressof(anchor)), ctypes.c_size_t(len(self._page)))
        del anchor
        self._page[: len(content)] = content
        self._length = len(content)
        overwrite(content)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> int:
        """Return one byte. A reader thus never copies the whole secret."""
        if not 0 <= index < self._length:
            raise IndexError(index)
        return self._page[index]

    def wipe(self) -> None:
        """Zero the content and set the length to 0. Safe to call again, and from any thread."""
        page, self._length = self._page, 0
        if not page.closed:
            page[:] = bytes(len(page))

    def __enter__(self) -> SecretBuffer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return f"<SecretBuffer of {self._length} bytes>"

    def __reduce__(self) -> str:
        raise TypeError("a SecretBuffer cannot be copied")


def release_info(*, tid: str, oid: str, device_id: str, release_id: str) -> bytes:
    """Return the context to which a seal is bound: person, device, release. Kiosk and broker compute the same bytes."""
    return "\0".join(("recovery-kiosk/1", tid, oid, device_id, release_id)).lower().encode()


def sign_in_info(sign_in_id: str) -> bytes:
    """Return the context to which the seal of an access token is bound. Kiosk and broker compute the same bytes."""
    return f"recovery-kiosk/sign-in/1\0{sign_in_id}".encode()


def public_key_from_bytes(raw: bytes) -> MLKEM768X25519PublicKey:
    """Return the public key of a visit from its raw bytes: ML-KEM-768, then X25519.

    Raises ValueError, also for a key that nothing can be sealed to, such as a point of low order.
    """
    if len(raw) != PUBLIC_KEY_BYTES:
        raise ValueError(f"a public key has {PUBLIC_KEY_BYTES} bytes, this has {len(raw)}")
    key = MLKEM768X25519PublicKey(
        mlkem.MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_PUBLIC_BYTES]),
        x25519.X25519PublicKey.from_public_bytes(raw[_MLKEM_PUBLIC_BYTES:]),
    )
    # Some keys fail only when they are used, which would be after the recovery key was fetched.
    SUITE.encrypt(b"", key)
    return key


class VisitKeys:
    """The ephemeral key pairs of one visit: one opens sealed recovery keys, one signs proofs for the broker.

    The private keys never leave the process.
    """

    def __init__(self) -> None:
        first, second = mlkem.MLKEM768PrivateKey.generate(), x25519.X25519PrivateKey.generate()
        self._private: MLKEM768X25519PrivateKey | None = MLKEM768X25519PrivateKey(first, second)
        self.public_key = first.public_key().public_bytes_raw() + second.public_key().public_bytes_raw()
        self._signing: ed25519.Ed25519PrivateKey | None = ed25519.Ed25519PrivateKey.generate()
        self.proof_key = self._signing.public_key().public_bytes_raw()

    def open(self, sealed: bytes, info: bytes) -> SecretBuffer:
        """Return an opened recovery key in memory that can be wiped. Raises SealBroken."""
        if self._private is None:
            raise SealBroken("the visit is over")
        try:
            return SecretBuffer(SUITE.decrypt(sealed, self._private, info=info))
        except (InvalidTag, ValueError) as error:
            raise SealBroken(f"the sealed key does not open: {type(error).__name__}") from None

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature of a proof. Raises ValueError after ``forget``."""
        if self._signing is None:
            raise ValueError("the visit is over")
        return self._signing.sign(message)

    def forget(self) -> None:
        """Drop the private keys, which OpenSSL then overwrites."""
        self._private = self._signing = None
