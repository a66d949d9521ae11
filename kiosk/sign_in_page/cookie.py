"""What the page remembers of a sign-in: a cookie that only a page with the same private key can read or make."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kiosk.clock import Clock

# The prefix makes browsers refuse it from other hosts, for other paths and without TLS.
NAME = "__Host-sign-in"
_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"
_INFO = b"recovery-kiosk/sign-in-page/cookie/1"
_NONCE_BYTES = 12
# Browsers keep no longer ones.
_LONGEST = 4096
# From opening the link to the end of the last stage, and the minute for which the broker still knows how it ended.
LONGEST_SECONDS = 570.0


class State(msgspec.Struct, frozen=True, kw_only=True):
    """One sign-in of one phone.

    ``id`` and ``phone`` name it to the broker. ``made`` is when the link was opened, as a POSIX timestamp: pages that
    share a key share no other clock. ``link`` is the code that was opened, ``form`` the token that our own forms carry,
    ``flow`` what MSAL needs for the answer of Entra ID, and ``support`` what Microsoft's support asks for. With
    ``forward``, the next page leads on to Entra ID at once.
    """

    id: str
    phone: str
    link: str
    made: float
    language: str
    form: str
    flow: dict[str, Any] | None = None
    forward: bool = False
    support: str = ""

    def __repr__(self) -> str:
        return "<State>"


class Cookies:
    """Seals states into cookies and opens them again. ``keys`` returns the key to seal with, then older ones."""

    def __init__(self, keys: Callable[[], Sequence[bytes]], clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def header(self, state: State) -> str:
        """Return the header that sets the cookie."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + AESGCM(self._keys()[0]).encrypt(nonce, msgspec.json.encode(state), NAME.encode())
        return f"{NAME}={base64.urlsafe_b64encode(sealed).decode().rstrip('=')}; {_ATTRIBUTES}"

    def state(self, value: str) -> State | None:
        """Return the state in a cookie, or None for an old one, and for one that no page with this key has made."""
        if not value or len(value) > _LONGEST:
            return None
        try:
            sealed = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        except (ValueError, binascii.Error):
            return None
        for key in self._keys():
            try:
                opened = AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], NAME.encode())
                state = msgspec.json.decode(opened, type=State)
            except (InvalidTag, ValueError, msgspec.DecodeError):
                continue
            # Of a later one, the page that made it has a clock that is ahead of ours.
            age = abs(self._clock.utc().timestamp() - state.made)
            return state if age <= LONGEST_SECONDS else None
        return None


def cookie_key(key: RSAPrivateKey) -> bytes:
    """Return the key for cookies that belongs to the private key of the web application."""
    secret = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return HKDF(hashes.SHA256(), 32, salt=None, info=_INFO).derive(secret)
