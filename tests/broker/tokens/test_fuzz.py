"""Any input as a token is accepted or refused, and nothing else happens."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kiosk.broker.tokens.validation import Claims
from kiosk.errors import TokenRefused
from tests.support.examples import few
from tests.support.tokens import KEYS, TENANT, Validation, joined, running_validation

MANY = settings(
    max_examples=few(100),
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    # All examples share the authority, which does not change.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
# Hypothesis raises the interpreter's recursion limit. The deepest of these exceed even that.
DEPTHS = st.sampled_from([1, 100, 900, 1000, 3000, 11_000])
NESTED = st.builds(lambda before, depth: before + b"[" * depth, st.sampled_from([b"", b'{"x":', b'{"tid":']), DEPTHS)
NOISE = st.binary(min_size=1, max_size=2) | st.sampled_from([b"\xff", b"\xc3", b"\x00", b'"', b"\\"])
PLACES = st.integers(0, 1000)
WORDS = st.text(max_size=300) | st.sampled_from(["\x1b[2J\u202e", "İ" * 40, "\ud800"])


def damaged(whole: bytes, at: int, by: bytes) -> bytes:
    """Return the bytes with one place overwritten."""
    at %= len(whole)
    return whole[:at] + by + whole[at + len(by) :]


def some(whole: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Generate JSON, damaged or deeply nested JSON, and arbitrary bytes."""
    return whole | st.builds(damaged, whole, PLACES, NOISE) | NESTED | JSON.map(encoded) | st.binary(max_size=80)


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


CLAIMS = st.fixed_dictionaries({}, optional=dict.fromkeys(Claims.__struct_fields__, JSON | WORDS))
HEADERS = st.fixed_dictionaries(
    {"alg": st.sampled_from(["RS256", "none", "", "RS512", "ES256"]) | JSON},
    optional={"kid": st.sampled_from(["one", "unknown"]) | JSON, "crit": JSON, "b64": JSON, "typ": JSON},
)


@pytest.fixture
async def validation() -> AsyncIterator[Validation]:
    async with running_validation() as made:
        yield made


async def judged(validation: Validation, token: str) -> None:
    """Check that a refusal does not quote the token, and that the text of an accepted one can be shown and recorded."""
    refusal: TokenRefused | None = None
    try:
        caller = await validation.judge(token)
    except TokenRefused as error:
        refusal = error
    if refusal:
        assert len(token) < 20 or token not in refusal.cause
        return
    person = caller.person
    assert person.tid == TENANT
    assert len(person.oid) == 36
    assert len(caller.uti) <= 64
    assert all(word.isprintable() for word in (person.name, person.address, caller.uti, *person.roles))


def signed(payload: bytes) -> str:
    return jwt.PyJWS().encode(payload, KEYS["one"], "RS256", {"kid": "one"})


@MANY
@given(token=st.text(st.characters(), max_size=60) | st.text("abcdefgh.-_=", max_size=60))
async def test_any_text(validation: Validation, token: str) -> None:
    await judged(validation, token)


@MANY
@given(header=some(HEADERS.map(encoded)))
async def test_any_header(validation: Validation, header: bytes) -> None:
    await judged(validation, joined(header, encoded(validation.claims()), b"signature"))


@MANY
@given(kid=st.sampled_from(["one", "unknown"]), payload=some(CLAIMS.map(encoded)))
async def test_any_payload_without_a_good_signature(validation: Validation, kid: str, payload: bytes) -> None:
    await judged(validation, joined(encoded({"alg": "RS256", "kid": kid}), payload, b"signature"))


@MANY
@given(payload=some(CLAIMS.map(encoded)))
async def test_any_payload_with_a_good_signature(validation: Validation, payload: bytes) -> None:
    await judged(validation, signed(payload))


@MANY
@given(at=PLACES, noise=NOISE)
async def test_good_claims_that_are_damaged(validation: Validation, at: int, noise: bytes) -> None:
    payload = damaged(encoded(validation.claims()), at, noise)
    await judged(validation, signed(payload))
    await judged(validation, joined(encoded({"alg": "RS256", "kid": "unknown"}), payload, b"signature"))


@MANY
@given(changes=CLAIMS)
async def test_odd_claims_in_an_otherwise_good_token(validation: Validation, changes: dict[str, Any]) -> None:
    few = dict(list(changes.items())[:2])
    await judged(validation, signed(encoded(validation.claims() | few)))
