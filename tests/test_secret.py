"""Seals open for whom they are meant, and what is wiped is gone."""

from __future__ import annotations

import copy
import pickle

import pytest

from kiosk.errors import SealBroken
from kiosk.secret import (
    PUBLIC_KEY_BYTES,
    SUITE,
    SecretBuffer,
    VisitKeys,
    overwrite,
    public_key_from_bytes,
    release_info,
    zero,
)

INFO = release_info(tid="t", oid="o", device_id="d", release_id="r")


def fresh(text: str) -> bytes:
    """Bytes that nothing else in the process holds."""
    return bytes(bytearray(text.encode()))


def test_a_sealed_key_opens_for_its_visit_only() -> None:
    mine, other = VisitKeys(), VisitKeys()
    assert len(mine.public_key) == PUBLIC_KEY_BYTES
    sealed = SUITE.encrypt(b"ABCD-EFGH", public_key_from_bytes(mine.public_key), info=INFO)
    assert b"ABCD" not in sealed
    key = mine.open(sealed, INFO)
    assert bytes(key[place] for place in range(len(key))) == b"ABCD-EFGH"
    with pytest.raises(SealBroken):
        other.open(sealed, INFO)


def test_after_a_visit_its_keys_do_nothing() -> None:
    keys = VisitKeys()
    sealed = SUITE.encrypt(b"ABCD", public_key_from_bytes(keys.public_key), info=INFO)
    assert len(keys.sign(b"proof")) == 64
    keys.forget()
    with pytest.raises(SealBroken):
        keys.open(sealed, INFO)
    with pytest.raises(ValueError, match="over"):
        keys.sign(b"proof")


@pytest.mark.parametrize("changed", ["tid", "oid", "device_id", "release_id"])
def test_a_seal_is_bound_to_person_device_and_release(changed: str) -> None:
    keys = VisitKeys()
    sealed = SUITE.encrypt(b"ABCD", public_key_from_bytes(keys.public_key), info=INFO)
    parts = {"tid": "t", "oid": "o", "device_id": "d", "release_id": "r", changed: "x"}
    with pytest.raises(SealBroken):
        keys.open(sealed, release_info(**parts))


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 2000])
def test_a_damaged_seal_is_one_clear_error(damage: bytes) -> None:
    with pytest.raises(SealBroken):
        VisitKeys().open(damage, INFO)


@pytest.mark.parametrize("raw", [b"", b"x" * (PUBLIC_KEY_BYTES - 1), b"x" * (PUBLIC_KEY_BYTES + 1)])
def test_a_public_key_of_the_wrong_size_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="bytes"):
        public_key_from_bytes(raw)


P = 2**255 - 19
LOW_ORDER = (
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    P - 1,
    P,
    P + 1,
)


@pytest.mark.parametrize("point", LOW_ORDER)
def test_a_public_key_that_nothing_can_be_sealed_to_is_refused(point: int) -> None:
    raw = VisitKeys().public_key[:-32] + point.to_bytes(32, "little")
    with pytest.raises(ValueError, match="shared key"):
        public_key_from_bytes(raw)


def test_a_malformed_public_key_is_refused() -> None:
    with pytest.raises(ValueError, match="ML-KEM"):
        public_key_from_bytes(b"\xff" * PUBLIC_KEY_BYTES)


def test_what_is_taken_over_is_zeroed_and_what_is_wiped_is_empty() -> None:
    content = fresh("ABCD-EFGH")
    key = SecretBuffer(content)
    assert content == bytes(9)
    assert key[0] == ord("A")
    key.wipe()
    key.wipe()
    assert len(key) == 0
    with pytest.raises(IndexError):
        key[0]


def test_a_buffer_says_nothing_of_its_content_and_cannot_be_copied() -> None:
    with SecretBuffer(fresh("ABCD-EFGH")) as key:
        assert "ABCD" not in f"{key} {key!r} {vars(key)}"
        with pytest.raises(TypeError):
            pickle.dumps(key)
        with pytest.raises(TypeError):
            copy.deepcopy(key)
    assert len(key) == 0


def test_overwrite_zeroes_in_place_and_leaves_shared_objects_alone() -> None:
    value = fresh("secret")
    overwrite(value)
    assert value == bytes(6)
    overwrite(b"")
    overwrite(fresh("a"))
    assert fresh("a") == b"a"


def test_zero_clears_all_bytes_where_they_are() -> None:
    secret = bytearray(b"HJ4W")
    with memoryview(secret) as before:
        zero(secret)
        assert bytes(before) == bytes(4)
