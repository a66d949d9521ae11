"""Sealing Graph's answer: what is sealed, what is refused, and that no readable byte stays behind."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiosk.broker.seal import seal
from kiosk.errors import GraphGarbled, KeyNotEscrowed, KeyUnreadable, KioskError
from kiosk.secret import VisitKeys, public_key_from_bytes
from tests.support.examples import few

KEY = "HJ4W-7QXB-MNPR-K2LC-9YTG-D5FA"
INFO = b"info"
WHOLE = [f'{{"value":"{KEY}"}}'.encode(), b'{"value":"HJ4W\\u002d7QXB-MNPR-K2LC-9YTG-D5FA"}', b'{"value":null}']
NOISE = st.binary(min_size=1, max_size=2) | st.sampled_from([b"\xff", b"\xc3", b"\x00", b'"', b"\\", b"\\u00e9"])


def damaged(whole: bytes, at: int, by: bytes) -> bytes:
    """Return the bytes with one place overwritten."""
    at %= len(whole)
    return whole[:at] + by + whole[at + len(by) :]


def sealed_and_opened(body: bytes) -> tuple[bytes, bool]:
    keys = VisitKeys()
    buffer = bytearray(body)
    try:
        sealed, usual = seal(buffer, public_key_from_bytes(keys.public_key), INFO)
    finally:
        assert buffer == bytes(len(body)), "the answer was not wiped"
    with keys.open(sealed, INFO) as opened:
        return bytes(opened[index] for index in range(len(opened))), usual


@pytest.mark.parametrize(
    ("value", "key", "usual"),
    [
        (KEY, KEY, True),
        (f"  {KEY}\n", KEY, True),
        ("35AJ-AC98-TI1H-N4M3-HDUQ-UQFG", "35AJ-AC98-TI1H-N4M3-HDUQ-UQFG", True),
        (KEY.lower(), KEY.lower(), False),
        (KEY.replace("-", ""), KEY.replace("-", ""), False),
        ("a" * 64, "a" * 64, False),
        ('quoted "key" \\ slash', 'quoted "key" \\ slash', False),
        ("two words", "two words", False),
    ],
)
def test_what_can_be_typed_is_sealed_as_it_is(value: str, key: str, usual: bool) -> None:
    context = "https://graph.example/beta/$metadata#Edm.String"
    body = json.dumps({"@odata.context": context, "value": value}).encode()
    assert sealed_and_opened(body) == (key.encode(), usual)


def test_escapes_that_a_key_does_not_need_are_understood() -> None:
    assert sealed_and_opened(b'{"value":"HJ4W\\u002d7QXB-MNPR-K2LC-9YTG-D5FA"}') == (KEY.encode(), True)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"value":null}', "key_not_escrowed"),
        (b'{"value":""}', "key_not_escrowed"),
        (b'{"value":" \\n "}', "key_not_escrowed"),
        (b'{"value":"  "}', "key_not_escrowed"),
        (b"{}", "graph_garbled"),
        (b'{"value":17}', "key_unreadable"),
        (b'{"value":["HJ4W"]}', "key_unreadable"),
        (b'{"value":{"key":"HJ4W"}}', "key_unreadable"),
        (b'{"value":true}', "key_unreadable"),
        (b'{"value":"' + b"A" * 65 + b'"}', "key_unreadable"),
        (b'{"value":"HJ4W\\u001b[2J"}', "key_unreadable"),
        ('{"value":"ключ"}'.encode(), "key_unreadable"),
        (b'{"value":"HJ4W\\u0000"}', "key_unreadable"),
        (b'{"value":"HJ4W\xff"}', "key_unreadable"),
        (b'{"value":"HJ4W\\u002d\xff"}', "graph_garbled"),
        (b'["value"]', "graph_garbled"),
        (b'"HJ4W-7QXB-MNPR-K2LC-9YTG-D5FA"', "graph_garbled"),
        (b'{"value":"HJ4W-7QXB', "graph_garbled"),
        (b"<html>", "graph_garbled"),
        (b"", "graph_garbled"),
        (b"\xff\xfe", "graph_garbled"),
        (b'{"value":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "graph_garbled"),
        (b'{"value":"\\u002d\xff"}', "graph_garbled"),
        (b'{"value":"\\ud800"}', "graph_garbled"),
        (b'{"value":"\\q"}', "graph_garbled"),
    ],
)
def test_everything_else_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(KioskError) as refused:
        sealed_and_opened(body)
    assert refused.value.code == code
    error = refused.value
    assert "HJ4W" not in f"{error.cause}{error!r}{error.__cause__!r}{error.__context__!r}"


def test_a_seal_opens_for_its_release_only() -> None:
    keys = VisitKeys()
    body = bytearray(json.dumps({"value": KEY}).encode())
    sealed, _ = seal(body, public_key_from_bytes(keys.public_key), INFO)
    with pytest.raises(KioskError, match="does not open"):
        keys.open(sealed, b"another release")
    with pytest.raises(KioskError, match="does not open"):
        VisitKeys().open(sealed, INFO)


@settings(max_examples=few(100), deadline=None, derandomize=True, database=None)
@given(body=st.builds(damaged, st.sampled_from(WHOLE), st.integers(0, 80), NOISE) | st.binary(max_size=60))
def test_a_damaged_answer_is_sealed_or_refused(body: bytes) -> None:
    with contextlib.suppress(KeyNotEscrowed, KeyUnreadable, GraphGarbled):
        key, _ = sealed_and_opened(body)
        assert key.isascii()
        assert key.decode().isprintable()
