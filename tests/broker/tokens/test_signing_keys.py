"""The keys that sign tokens: rotation, an authority that is down, and what a flood of bad tokens can make us ask."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kiosk.broker.tokens.signing_keys import PAUSE_SECONDS
from kiosk.errors import TokensUnavailable
from tests.support.tokens import FOREIGN, ISSUER, TENANT, Desk, jwk

WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_rotation_is_followed_and_withdrawn_keys_are_dropped(desk: Desk) -> None:
    assert await desk.code(desk.signed("one")) == ""
    desk.authority.keys = [jwk("one"), jwk("two")]
    desk.clock.advance(PAUSE_SECONDS)
    assert await desk.code(desk.signed("two")) == ""
    desk.authority.keys = [jwk("two")]
    assert await desk.code(desk.signed("one")) == ""
    desk.clock.advance(3600)
    assert await desk.code(desk.signed("one")) == "token_signature"


async def test_a_flood_of_unknown_keys_is_not_passed_on(desk: Desk) -> None:
    await desk.code(desk.signed())
    desk.clock.advance(PAUSE_SECONDS)
    tokens = [desk.signed("stranger", kid=f"invented {number}") for number in range(50)]
    codes = await asyncio.gather(*map(desk.code, tokens))
    assert set(codes) == {"token_signature"}
    assert desk.authority.fetched == 2
    # Tokens that do not even claim to be ours cause no question at all.
    desk.clock.advance(PAUSE_SECONDS)
    assert await desk.code(desk.signed("stranger", tid=FOREIGN)) == "token_tenant"
    assert desk.authority.fetched == 2


async def test_fetches_at_the_same_time_are_one(desk: Desk) -> None:
    codes = await asyncio.gather(*(desk.code(desk.signed()) for _ in range(20)))
    assert set(codes) == {""}
    assert desk.authority.fetched == 1


async def test_keys_outlast_an_authority_that_is_down_for_a_day(desk: Desk) -> None:
    await desk.code(desk.signed())
    desk.authority.down = True
    desk.clock.advance(23 * 3600)
    assert await desk.code(desk.signed()) == ""
    desk.clock.advance(2 * 3600)
    # Also while nobody is asked, so soon after a try that failed.
    for passed in (0, 1, PAUSE_SECONDS - 1, PAUSE_SECONDS - 1):
        desk.clock.advance(passed)
        with pytest.raises(TokensUnavailable) as error:
            await desk.judge(desk.signed())
        assert error.value.retry_after
        assert 0 < error.value.retry_after <= PAUSE_SECONDS
    with pytest.raises(TokensUnavailable):
        await desk.tokens.ready()
    desk.authority.down = False
    desk.clock.advance(PAUSE_SECONDS)
    assert await desk.code(desk.signed()) == ""


async def test_without_keys_nothing_is_judged_and_nobody_is_pestered(desk: Desk) -> None:
    desk.authority.down = True
    for _ in range(3):
        with pytest.raises(TokensUnavailable) as error:
            await desk.judge(desk.signed())
        assert error.value.retry_after == PAUSE_SECONDS
    with pytest.raises(TokensUnavailable):
        await desk.tokens.ready()
    desk.authority.down = False
    desk.clock.advance(PAUSE_SECONDS)
    await desk.tokens.ready()


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [jwk("one", WEAK)],
        [jwk("one", use="enc")],
        [jwk("one", alg="RS512")],
        [jwk("one", kid=7)],
        [jwk("one", n="%")],
        [jwk("one", issuer="https://login.example/other/v2.0")],
        [json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))],
        [{"kty": "oct", "k": "c2VjcmV0", "kid": "one"}],
    ],
)
async def test_keys_of_the_wrong_kind_are_passed_over(desk: Desk, keys: list[Any]) -> None:
    desk.authority.keys = keys
    with pytest.raises(TokensUnavailable, match="no signing key"):
        await desk.judge(desk.signed())


async def test_a_key_for_every_tenant_is_ours_too(desk: Desk) -> None:
    desk.authority.keys = [jwk("one", issuer="https://login.example/{tenantid}/v2.0")]
    assert await desk.code(desk.signed()) == ""


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": ISSUER.replace(TENANT, FOREIGN)},
        {"issuer": ISSUER.replace("https:", "http:")},
        {"jwks_uri": "https://elsewhere.example/keys"},
        {"jwks_uri": "http://login.example/keys"},
        {"jwks_uri": "https://login.example:444/keys"},
        {"jwks_uri": "https://login.example@elsewhere.example/keys"},
        {"jwks_uri": "https://[/keys"},
        {"jwks_uri": 7},
    ],
)
async def test_discovery_must_be_of_our_tenant_and_stay_at_the_authority(desk: Desk, discovery: dict[str, Any]) -> None:
    desk.authority.discovery |= discovery
    with pytest.raises(TokensUnavailable):
        await desk.judge(desk.signed())
