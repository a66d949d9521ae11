"""The tenant's signing keys: rotation, an authority that fails or hangs, and a flood of bad tokens."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kiosk.broker.tokens.signing_keys import FETCH_SECONDS, PAUSE_SECONDS, READY_SECONDS
from kiosk.errors import TokensUnavailable
from tests.support.authority import Mode
from tests.support.tokens import FOREIGN, ISSUER, TENANT, Validation, jwk, running_validation

WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)
HOUR, DAY = 3600, 24 * 3600
# Every limit under test uses the manual clock. This one only ends a test that hangs.
AT_ONCE = 5


@pytest.fixture
async def validation() -> AsyncIterator[Validation]:
    async with running_validation() as made:
        yield made


async def unavailable(validation: Validation, token: str) -> TokensUnavailable:
    """Return the error of a token that cannot be checked now."""
    with pytest.raises(TokensUnavailable) as error:
        await validation.judge(token)
    return error.value


async def refreshed(validation: Validation) -> None:
    """Wait for the fetch in progress, as a request with an unknown key id does."""
    assert await validation.code(validation.signed("stranger")) == "token_signature"


def warnings_of_old_keys(caplog: pytest.LogCaptureFixture) -> list[int]:
    return [record.levelno for record in caplog.records if "signing_keys.old" in record.getMessage()]


async def test_rotation_is_followed_and_withdrawn_keys_are_dropped(validation: Validation) -> None:
    assert await validation.code(validation.signed("one")) == ""
    validation.publish(jwk("one"), jwk("two"))
    validation.clock.advance(PAUSE_SECONDS)
    assert await validation.code(validation.signed("two")) == ""
    validation.publish(jwk("two"))
    assert await validation.code(validation.signed("one")) == ""
    validation.clock.advance(HOUR)
    # A request during the refresh does not wait for it.
    assert await validation.code(validation.signed("one")) == ""
    await refreshed(validation)
    assert await validation.code(validation.signed("one")) == "token_signature"


async def test_an_idle_broker_refreshes_its_keys(validation: Validation) -> None:
    await validation.code(validation.signed())
    validation.publish(jwk("two"))
    validation.clock.advance(HOUR)
    async with asyncio.timeout(AT_ONCE):
        await validation.authority.has_been_asked(4)
    await refreshed(validation)
    assert validation.fetched == 2
    assert await validation.code(validation.signed()) == "token_signature"


async def test_a_flood_of_unknown_keys_is_not_passed_on(validation: Validation) -> None:
    await validation.code(validation.signed())
    validation.clock.advance(PAUSE_SECONDS)
    tokens = [validation.signed("stranger", kid=f"invented {number}") for number in range(50)]
    codes = await asyncio.gather(*map(validation.code, tokens))
    assert set(codes) == {"token_signature"}
    assert validation.fetched == 2
    # Tokens that do not even claim to be ours cause no fetch at all.
    validation.clock.advance(PAUSE_SECONDS)
    assert await validation.code(validation.signed("stranger", tid=FOREIGN)) == "token_tenant"
    assert validation.fetched == 2


async def test_fetches_at_the_same_time_are_one(validation: Validation) -> None:
    codes = await asyncio.gather(*(validation.code(validation.signed()) for _ in range(20)))
    assert set(codes) == {""}
    assert validation.fetched == 1


async def test_old_keys_serve_while_the_authority_hangs(
    validation: Validation, caplog: pytest.LogCaptureFixture
) -> None:
    await validation.code(validation.signed())
    validation.authority.mode = Mode.HANGS
    validation.clock.advance(2 * HOUR)
    for tried in range(1, 4):
        async with asyncio.timeout(AT_ONCE):
            codes = await asyncio.gather(*(validation.code(validation.signed()) for _ in range(5)))
            assert set(codes) == {""}
            await validation.tokens.ready()
            await validation.authority.has_been_asked(2 + tried)
        assert validation.fetched == 1 + tried
        validation.clock.advance(FETCH_SECONDS)
        # A caller who needs new keys waits for this fetch, and is told that it failed.
        await unavailable(validation, validation.signed("stranger"))
        validation.clock.advance(PAUSE_SECONDS)
    assert warnings_of_old_keys(caplog) == [logging.WARNING] * 3


async def test_old_keys_serve_while_the_authority_fails(
    validation: Validation, caplog: pytest.LogCaptureFixture
) -> None:
    await validation.code(validation.signed())
    validation.authority.mode = Mode.FAILS
    validation.clock.advance(2 * HOUR)
    for tried in range(1, 4):
        known = [validation.code(validation.signed()) for _ in range(5)]
        *codes, _ = await asyncio.gather(*known, unavailable(validation, validation.signed("stranger")))
        assert set(codes) == {""}
        await validation.tokens.ready()
        assert validation.fetched == 1 + tried
        validation.clock.advance(PAUSE_SECONDS)
    assert warnings_of_old_keys(caplog) == [logging.WARNING] * 3


async def test_the_pause_begins_when_a_try_ends(validation: Validation) -> None:
    await validation.code(validation.signed())
    validation.authority.mode = Mode.HANGS
    validation.clock.advance(2 * HOUR)
    await validation.code(validation.signed())
    await validation.authority.has_been_asked(3)
    validation.clock.advance(FETCH_SECONDS)
    async with asyncio.timeout(AT_ONCE):
        await unavailable(validation, validation.signed("stranger"))
        validation.clock.advance(PAUSE_SECONDS - 1)
        # In the pause nobody waits: an unknown key is unknown.
        assert await validation.code(validation.signed("stranger")) == "token_signature"
        assert validation.fetched == 2
        validation.clock.advance(1)
        validation.authority.mode = Mode.ANSWERS
        assert await validation.code(validation.signed("stranger")) == "token_signature"
    assert validation.fetched == 3


async def test_a_known_key_does_not_wait_behind_an_unknown_one(validation: Validation) -> None:
    await validation.code(validation.signed())
    validation.authority.mode = Mode.HANGS
    validation.clock.advance(PAUSE_SECONDS)
    waiting = [asyncio.create_task(validation.code(validation.signed("stranger"))) for _ in range(3)]
    await validation.authority.has_been_asked(3)
    async with asyncio.timeout(AT_ONCE):
        assert await validation.code(validation.signed()) == ""
        await validation.tokens.ready()
        validation.clock.advance(FETCH_SECONDS)
        ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [TokensUnavailable] * 3
    # An error for each: a reference belongs to one request.
    assert len({end.reference for end in ends if isinstance(end, TokensUnavailable)}) == 3
    assert validation.fetched == 2


async def test_a_first_fetch_that_hangs_is_waited_for_once(validation: Validation) -> None:
    validation.authority.mode = Mode.HANGS
    waiting = [asyncio.create_task(unavailable(validation, validation.signed())) for _ in range(5)]
    await validation.authority.has_been_asked(1)
    waiting[0].cancel()
    validation.clock.advance(FETCH_SECONDS)
    async with asyncio.timeout(AT_ONCE):
        for error in await asyncio.gather(*waiting[1:]):
            assert error.retry_after == PAUSE_SECONDS
        validation.clock.advance(PAUSE_SECONDS - 1)
        assert (await unavailable(validation, validation.signed())).retry_after == 1
    assert validation.fetched == 1


async def test_readiness_does_not_wait_for_a_first_fetch_that_hangs(validation: Validation) -> None:
    validation.authority.mode = Mode.HANGS
    waiting = asyncio.create_task(unavailable(validation, validation.signed()))
    await validation.authority.has_been_asked(1)
    asked = [asyncio.create_task(validation.tokens.ready()) for _ in range(3)]
    # The first round of the event loop starts these tasks, the second one their limits.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    validation.clock.advance(READY_SECONDS)
    async with asyncio.timeout(AT_ONCE):
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [TokensUnavailable] * 3
    assert not waiting.done()
    validation.clock.advance(FETCH_SECONDS)
    await waiting
    assert validation.fetched == 1


async def test_keys_outlast_an_authority_that_is_down_for_a_day(validation: Validation) -> None:
    await validation.code(validation.signed())
    validation.authority.mode = Mode.FAILS
    validation.clock.advance(DAY - HOUR)
    assert await validation.code(validation.signed()) == ""
    await unavailable(validation, validation.signed("stranger"))
    validation.clock.advance(2 * HOUR)
    # After the day they end, in the pause between two tries as well.
    for passed in (0, 1, PAUSE_SECONDS - 1, PAUSE_SECONDS - 1):
        validation.clock.advance(passed)
        error = await unavailable(validation, validation.signed())
        assert error.retry_after
        assert 0 < error.retry_after <= PAUSE_SECONDS
    with pytest.raises(TokensUnavailable):
        await validation.tokens.ready()
    validation.authority.mode = Mode.ANSWERS
    validation.clock.advance(PAUSE_SECONDS)
    assert await validation.code(validation.signed()) == ""


async def test_without_keys_nothing_is_judged_and_nobody_is_pestered(validation: Validation) -> None:
    validation.authority.mode = Mode.FAILS
    for _ in range(3):
        assert (await unavailable(validation, validation.signed())).retry_after == PAUSE_SECONDS
    with pytest.raises(TokensUnavailable, match="status 503"):
        await validation.tokens.ready()
    assert validation.fetched == 1
    validation.authority.mode = Mode.ANSWERS
    validation.clock.advance(PAUSE_SECONDS)
    await validation.tokens.ready()


async def test_a_fetch_in_progress_ends_with_the_broker() -> None:
    async with running_validation() as validation:
        validation.authority.mode = Mode.HANGS
        waiting = asyncio.create_task(unavailable(validation, validation.signed()))
        await validation.authority.has_been_asked(1)
    async with asyncio.timeout(AT_ONCE):
        await waiting


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
async def test_keys_of_the_wrong_kind_are_skipped(validation: Validation, keys: list[Any]) -> None:
    validation.publish(*keys)
    with pytest.raises(TokensUnavailable, match="no signing key"):
        await validation.judge(validation.signed())


async def test_a_key_for_every_tenant_is_ours_as_well(validation: Validation) -> None:
    validation.publish(jwk("one", issuer="https://login.example/{tenantid}/v2.0"))
    assert await validation.code(validation.signed()) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": ISSUER.replace(TENANT, FOREIGN)},
        {"issuer": ISSUER.replace("https:", "http:")},
        {"issuer": "https://[/"},
        {"jwks_uri": "https://elsewhere.example/keys"},
        {"jwks_uri": "http://{authority}/keys"},
        {"jwks_uri": "https://{authority}0/keys"},
        {"jwks_uri": "https://{authority}@elsewhere.example/keys"},
        {"jwks_uri": "https://[/keys"},
        {"jwks_uri": 7},
    ],
)
async def test_discovery_must_be_of_our_tenant_and_stay_at_the_authority(
    validation: Validation, changes: dict[str, Any]
) -> None:
    host = validation.authority.url.removeprefix("https://")
    named = {name: value.replace("{authority}", host) for name, value in changes.items() if isinstance(value, str)}
    validation.announce(**changes | named)
    await unavailable(validation, validation.signed())
    assert len(validation.authority.asked) == 1


@pytest.mark.parametrize("document", [b"", b"[]", b'{"issuer":"\xff"}', b'{"x":' + b"[" * 60_000])
async def test_a_discovery_document_that_cannot_be_read(validation: Validation, document: bytes) -> None:
    await validation.code(validation.signed())
    for path in validation.authority.documents:
        validation.authority.documents[path] = document
    validation.clock.advance(2 * HOUR)
    assert await validation.code(validation.signed()) == ""
    await unavailable(validation, validation.signed("stranger"))
    assert await validation.code(validation.signed()) == ""
