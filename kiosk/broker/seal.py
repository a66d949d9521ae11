"""From Graph's bytes to the sealed recovery key: the one place where the key is in the clear, and for how long."""

from __future__ import annotations

import re

import msgspec
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PublicKey

from kiosk.errors import GraphGarbled, KeyNotEscrowed, KeyUnreadable
from kiosk.secret import SUITE, overwrite

USUAL_FORM = re.compile(rb"[A-Z0-9]{4}(-[A-Z0-9]{4}){5}")
_LONGEST = 64
# In JSON the first byte of a value says what it is.
_NULL, _QUOTE, _BACKSLASH = b'n"\\'
_PRINTABLE = range(0x20, 0x7F)


class _Answer(msgspec.Struct):
    # Raw points into the body, so that no copy of the key is made before it is sealed.
    value: msgspec.Raw = msgspec.Raw(b"null")


def seal(body: bytearray, public_key: MLKEM768X25519PublicKey, info: bytes) -> tuple[bytes, bool]:
    """Seal the recovery key in Graph's answer; also whether it has the usual form. ``body`` is zeroed in any case.

    A key of another form is sealed as it is, as long as it can be typed. Raises KeyNotEscrowed, KeyUnreadable or
    GraphGarbled.
    """
    key = bytearray()
    try:
        key = _key(body)
        return SUITE.encrypt(key, public_key, info=info), USUAL_FORM.fullmatch(key) is not None
    finally:
        _wipe(key)
        _wipe(body)


def _key(body: bytearray) -> bytearray:
    try:
        raw = memoryview(msgspec.json.decode(body, type=_Answer).value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        # Its words name a place in the answer, never what stands there.
        raise GraphGarbled(f"Graph: key answer: {type(error).__name__}: {error}") from None
    if raw[0] == _NULL:
        raise KeyNotEscrowed("value is null or missing")
    if raw[0] != _QUOTE:
        raise KeyUnreadable("value is not a string")
    whole = _unescaped(raw) if _BACKSLASH in raw else bytearray(raw[1:-1])
    key = whole.strip()
    _wipe(whole)
    if not key:
        raise KeyNotEscrowed("value is empty")
    if len(key) > _LONGEST or not all(character in _PRINTABLE for character in key):
        _wipe(key)
        raise KeyUnreadable(f"value has {len(key)} bytes, or some that cannot be typed")
    return key


def _unescaped(raw: memoryview) -> bytearray:
    """No key needs an escape in JSON. If Graph uses one, a str that cannot be wiped is the price of reading it."""
    encoded = msgspec.json.decode(raw, type=str).encode()
    whole = bytearray(encoded)
    overwrite(encoded)
    return whole


def _wipe(secret: bytearray) -> None:
    secret[:] = bytes(len(secret))
