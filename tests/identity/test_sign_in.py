"""Sign-in with the real MSAL against the sandbox over TLS: every answer of the flow, and a network that fails."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme

from kiosk.clock import SystemClock
from kiosk.config.kiosk import KioskConfig, SignInSettings
from kiosk.config.loading import load
from kiosk.errors import SignInDeclined, SignInError, SignInExpired, SignInGarbled, SignInUnreachable
from kiosk.identity import LONGEST_SIGN_IN_SECONDS, SignIn
from tests.support.sandbox import RunningSandbox, running_sandbox


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(tmp_path_factory.mktemp("tenant")) as running:
        yield running


@pytest.fixture
def settings(sandbox: RunningSandbox) -> Iterator[SignInSettings]:
    yield load(sandbox.directory / "kiosk.toml", KioskConfig).sign_in
    sandbox.clear_faults()


@pytest.fixture
def sign_in(settings: SignInSettings) -> Iterator[SignIn]:
    made = SignIn(settings, SystemClock())
    yield made
    made.forget()


async def test_an_approved_code_becomes_a_token(sandbox: RunningSandbox, sign_in: SignIn) -> None:
    code = await sign_in.begin()
    assert code.address == f"{sandbox.url}/devicelogin"
    assert code.deadline.left() <= LONGEST_SIGN_IN_SECONDS
    waiting = asyncio.create_task(sign_in.wait())
    async with sandbox.phone() as phone:
        await phone.approve(code.user_code, sandbox.person("Ada Kessler").oid)
    await waiting
    token = sign_in.authorization().removeprefix("Bearer ")
    assert token.count(".") == 2
    assert token not in f"{sign_in!r} {code!r}"
    assert code.user_code not in repr(code)
    sign_in.forget()
    assert sign_in.authorization() == "Bearer "


async def test_each_attempt_has_a_fresh_code(sign_in: SignIn) -> None:
    codes = [(await sign_in.begin()).user_code for _ in range(3)]
    assert len(set(codes)) == 3


async def test_a_declined_code_says_so(sandbox: RunningSandbox, sign_in: SignIn) -> None:
    code = await sign_in.begin()
    waiting = asyncio.create_task(sign_in.wait())
    async with sandbox.phone() as phone:
        await phone.decline(code.user_code)
    with pytest.raises(SignInDeclined):
        await waiting


async def test_an_expired_code_says_so(sandbox: RunningSandbox, sign_in: SignIn) -> None:
    await sign_in.begin()
    waiting = asyncio.create_task(sign_in.wait())
    sandbox.advance(1000)
    with pytest.raises(SignInExpired):
        await waiting


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reset"},
        {"kind": "html"},
        {"kind": "truncated"},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 429},
    ],
    ids=lambda fault: str(fault.get("status", fault["kind"])),
)
async def test_a_service_that_fails_at_the_start_is_unreachable_and_works_again_at_once(
    sandbox: RunningSandbox, sign_in: SignIn, fault: dict[str, Any]
) -> None:
    sandbox.fault("/*/oauth2/v2.0/devicecode", times=1, **fault)
    with pytest.raises(SignInUnreachable):
        await sign_in.begin()
    # MSAL would replay what it has seen for a minute.
    assert (await sign_in.begin()).user_code


@pytest.mark.parametrize("fault", [{"kind": "reset"}, {"kind": "status", "status": 503}, {"kind": "html"}])
async def test_a_network_that_fails_while_waiting_is_waited_out_with_the_same_code(
    sandbox: RunningSandbox, sign_in: SignIn, fault: dict[str, Any]
) -> None:
    code = await sign_in.begin()
    sandbox.fault("/*/oauth2/v2.0/token", times=2, **fault)
    waiting = asyncio.create_task(sign_in.wait())
    async with sandbox.phone() as phone:
        await phone.approve(code.user_code, sandbox.person("Ada Kessler").oid)
    await waiting
    assert len(sign_in.authorization()) > 100


async def test_a_token_in_an_answer_that_cannot_be_read_is_not_logged(sandbox: RunningSandbox, sign_in: SignIn) -> None:
    """MSAL would write the whole answer, as an error."""
    written = io.StringIO()
    # On the root logger, like the programs' own handlers; pytest's handler sees more.
    handler = logging.StreamHandler(written)
    logging.getLogger().addHandler(handler)
    code = await sign_in.begin()
    async with sandbox.phone() as phone:
        await phone.approve(code.user_code, sandbox.person("Ada Kessler").oid)
    sandbox.fault("/*/oauth2/v2.0/token", "truncated", times=1)
    try:
        with pytest.raises(SignInError) as raised:
            await sign_in.wait()
    finally:
        logging.getLogger().removeHandler(handler)
    # The token was lost with that answer.
    assert raised.value.code == "sign_in_code_used"
    assert "eyJ" not in written.getvalue()


@pytest.mark.parametrize("token", ["ey\u00e9\u00e8", "two words", "two\nlines"], ids=["letters", "blank", "line"])
async def test_a_token_that_cannot_be_sent_is_refused_and_the_next_code_works(
    sandbox: RunningSandbox, sign_in: SignIn, token: str
) -> None:
    async def approved() -> None:
        code = await sign_in.begin()
        async with sandbox.phone() as phone:
            await phone.approve(code.user_code, sandbox.person("Ada Kessler").oid)

    await approved()
    sandbox.fault("/*/oauth2/v2.0/token", "set", field="access_token", value=token, times=1)
    with pytest.raises(SignInGarbled) as raised:
        await sign_in.wait()
    assert token not in f"{raised.value} {raised.value.cause}"
    assert sign_in.authorization() == "Bearer "
    await approved()
    await sign_in.wait()
    assert len(sign_in.authorization()) > 100


async def test_an_unknown_client_is_a_failure_with_a_code_to_quote(settings: SignInSettings) -> None:
    wrong = msgspec.structs.replace(settings, client_id="00000000-0000-0000-0000-000000000001")
    sign_in = SignIn(wrong, SystemClock())
    with pytest.raises(SignInError) as raised:
        await sign_in.begin()
    assert raised.value.support == "AADSTS700016"
    sign_in.forget()


@pytest.mark.parametrize("authority", ["https://localhost:1/tenant", "https://no-such-host.invalid/tenant"])
async def test_a_host_that_is_not_there_is_unreachable(settings: SignInSettings, authority: str) -> None:
    sign_in = SignIn(msgspec.structs.replace(settings, authority=authority), SystemClock())
    with pytest.raises(SignInUnreachable):
        await sign_in.begin()
    sign_in.forget()


async def test_a_certificate_of_an_unknown_authority_is_not_trusted(settings: SignInSettings, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(trustme.CA().cert_pem.bytes())
    sign_in = SignIn(msgspec.structs.replace(settings, ca_bundle=other), SystemClock())
    with pytest.raises(SignInUnreachable):
        await sign_in.begin()
    sign_in.forget()
