"""Seals the recovery key in Graph's answer: the only place in the broker where a key is in the clear."""

from __future__ import annotations

import re

import msgspec
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PublicKey

from kiosk.errors import GraphGarbled, KeyNotEscrowed, KeyUnreadable
from kiosk.secret import SUITE, overwrite, zero

USUAL_FORM = re.compile(rb"[A-Z0-9]{4}(-[A-Z0-9]{4}){5}")
_LONGEST = 64
# The first byte of a JSON value tells its type.
_NULL, _QUOTE, _BACKSLASH = b'n"\\'
_PRINTABLE = range(0x20, 0x7F)


class _Answer(msgspec.Struct):
    # Raw points into the body, so the key is not copied before it is sealed.
    value: msgspec.Raw = msgspec.Raw(b"")


def seal(body: bytearray, public_key: MLKEM768X25519PublicKey, info: bytes) -> tuple[bytes, bool]:
    """Return the sealed recovery key from Graph's answer, and whether the key has the usual form. Zeroes ``body``.

    A key of another form is sealed as it is if it can be typed. Raises KeyNotEscrowed, KeyUnreadable or GraphGarbled.
    """
    key = bytearray()
    try:
        key = _key(body)
        return SUITE.encrypt(key, public_key, info=info), USUAL_FORM.fullmatch(key) is not None
    finally:
        zero(key)
        zero(body)


def _key(body: bytearray) -> bytearray:
    try:
        raw = memoryview(msgspec.json.decode(body, type=_Answer).value)
        if not raw:
            raise GraphGarbled("Graph: a key answer without a value")
        if raw[0] == _NULL:
            raise KeyNotEscrowed("value is null")
        if raw[0] != _QUOTE:
            raise KeyUnreadable("value is not a string")
        whole = _unescaped(raw) if _BACKSLASH in raw else bytearray(raw[1:-1])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        # These messages name a position in the answer and never quote it.
        raise GraphGarbled(f"Graph: key answer: {type(error).__name__}: {error}") from None
    key = whole.strip()
    zero(whole)
    if not key:
        raise KeyNotEscrowed("value is empty")
    if len(key) > _LONGEST or not all(character in _PRINTABLE for character in key):
        zero(key)
        raise KeyUnreadable(f"value has {len(key)} bytes, or some that cannot be typed")
    return key


def _unescaped(raw: memoryview) -> bytearray:
    """Return a JSON string without its escapes. No key needs any; reading one costs a str that cannot be wiped."""
    try:
        encoded = msgspec.json.decode(raw, type=str).encode()
    except UnicodeDecodeError as error:
        # The exception carries what it could not decode.
        overwrite(error.object)
        raise
    whole = bytearray(encoded)
    overwrite(encoded)
    return whole
