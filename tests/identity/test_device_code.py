"""Sign-in with the real MSAL against the sandbox over TLS: every answer of the flow, and a network that fails."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme

from kiosk.api import Broker
from kiosk.clock import SystemClock
from kiosk.config.kiosk import BrokerAddress, DeviceCodeSettings, KioskConfig
from kiosk.config.loading import load
from kiosk.errors import (
    BrokerUntrusted,
    SignInAddress,
    SignInDeclined,
    SignInError,
    SignInExpired,
    SignInGarbled,
    SignInUnreachable,
    SignInUntrusted,
)
from kiosk.identity.address import LONGEST_ADDRESS
from kiosk.identity.device_code import LONGEST_SIGN_IN_SECONDS, DeviceCodeSignIn
from kiosk.proof import Prover
from kiosk.secret import VisitKeys
from tests.support.broker import MovedClock, wait_for
from tests.support.clock import ManualClock
from tests.support.relay import spoiled_servers
from tests.support.sandbox import RunningSandbox, running_sandbox


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(tmp_path_factory.mktemp("tenant")) as running:
        yield running


@pytest.fixture
def settings(sandbox: RunningSandbox) -> Iterator[DeviceCodeSettings]:
    yield load(sandbox.directory / "kiosk.toml", KioskConfig).device_code_settings
    sandbox.clear_faults()


@pytest.fixture
def sign_in(settings: DeviceCodeSettings) -> Iterator[DeviceCodeSignIn]:
    made = DeviceCodeSignIn(settings, SystemClock())
    yield made
    made.forget()


async def test_an_approved_code_becomes_a_token(sandbox: RunningSandbox, sign_in: DeviceCodeSignIn) -> None:
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


async def test_each_attempt_has_a_fresh_code(sign_in: DeviceCodeSignIn) -> None:
    codes = [(await sign_in.begin()).user_code for _ in range(3)]
    assert len(set(codes)) == 3


@pytest.mark.parametrize(
    "address",
    [
        "http://microsoft.com/devicelogin",
        "javascript:alert(1)",
        "microsoft.com/devicelogin",
        "https:///devicelogin",
        f"https://x.example/{'a' * LONGEST_ADDRESS}",
        "https://x.example/a b",
        "https://x.example/a\u202eb",
    ],
)
async def test_only_an_address_that_a_phone_can_open_safely_is_shown(
    sandbox: RunningSandbox, sign_in: DeviceCodeSignIn, address: str
) -> None:
    sandbox.fault("/*/oauth2/v2.0/devicecode", "set", times=1, field="verification_uri", value=address)
    with pytest.raises(SignInAddress):
        await sign_in.begin()


async def test_a_declined_code_says_so(sandbox: RunningSandbox, sign_in: DeviceCodeSignIn) -> None:
    code = await sign_in.begin()
    waiting = asyncio.create_task(sign_in.wait())
    async with sandbox.phone() as phone:
        await phone.decline(code.user_code)
    with pytest.raises(SignInDeclined):
        await waiting


async def test_an_expired_code_says_so(sandbox: RunningSandbox, sign_in: DeviceCodeSignIn) -> None:
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
    sandbox: RunningSandbox, sign_in: DeviceCodeSignIn, fault: dict[str, Any]
) -> None:
    sandbox.fault("/*/oauth2/v2.0/devicecode", times=1, **fault)
    with pytest.raises(SignInUnreachable):
        await sign_in.begin()
    # MSAL would replay what it has seen for a minute.
    assert (await sign_in.begin()).user_code


@pytest.mark.parametrize("fault", [{"kind": "reset"}, {"kind": "status", "status": 503}, {"kind": "html"}])
async def test_a_network_that_fails_while_waiting_is_waited_out_with_the_same_code(
    sandbox: RunningSandbox, sign_in: DeviceCodeSignIn, fault: dict[str, Any]
) -> None:
    code = await sign_in.begin()
    sandbox.fault("/*/oauth2/v2.0/token", times=2, **fault)
    waiting = asyncio.create_task(sign_in.wait())
    async with sandbox.phone() as phone:
        await phone.approve(code.user_code, sandbox.person("Ada Kessler").oid)
    await waiting
    assert len(sign_in.authorization()) > 100


async def test_a_token_in_an_answer_that_cannot_be_read_is_not_logged(
    sandbox: RunningSandbox, sign_in: DeviceCodeSignIn
) -> None:
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
    sandbox: RunningSandbox, sign_in: DeviceCodeSignIn, token: str
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


async def test_an_unknown_client_is_a_failure_with_a_code_to_quote(settings: DeviceCodeSettings) -> None:
    wrong = msgspec.structs.replace(settings, client_id="00000000-0000-0000-0000-000000000001")
    sign_in = DeviceCodeSignIn(wrong, SystemClock())
    with pytest.raises(SignInError) as raised:
        await sign_in.begin()
    assert raised.value.support == "AADSTS700016"
    sign_in.forget()


@pytest.mark.parametrize("authority", ["https://localhost:1/tenant", "https://no-such-host.invalid/tenant"])
async def test_a_host_that_is_not_there_is_unreachable(settings: DeviceCodeSettings, authority: str) -> None:
    sign_in = DeviceCodeSignIn(msgspec.structs.replace(settings, authority=authority), SystemClock())
    with pytest.raises(SignInUnreachable):
        await sign_in.begin()
    sign_in.forget()


async def test_a_service_without_an_answer_is_known_within_seconds(
    sandbox: RunningSandbox, settings: DeviceCodeSettings
) -> None:
    clock = MovedClock()
    sign_in = DeviceCodeSignIn(settings, clock)
    code = await sign_in.begin()
    sandbox.fault("/*/oauth2/v2.0/token", "hang")
    waiting = asyncio.create_task(sign_in.wait())
    await asyncio.to_thread(wait_for, lambda: sandbox.faults()[0]["hits"])
    assert code.answers()
    clock.ahead = timedelta(seconds=8)
    assert not code.answers()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    # The next code begins well.
    assert (await sign_in.begin()).answers()
    sign_in.forget()


async def test_polls_that_fail_are_repeated_within_seconds(
    sandbox: RunningSandbox, settings: DeviceCodeSettings
) -> None:
    waits: list[float] = []

    class Listening(ManualClock):
        async def sleep(self, seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 5:
                raise asyncio.CancelledError

    sandbox.fault("/*/oauth2/v2.0/token", "reset")
    sign_in = DeviceCodeSignIn(settings, Listening())
    code = await sign_in.begin()
    with pytest.raises(asyncio.CancelledError):
        await sign_in.wait()
    assert waits == [1, 3, 7, 10, 10]
    assert not code.answers()
    sign_in.forget()


@pytest.mark.parametrize(
    ("fault", "why"),
    [("tls_expired", "expired"), ("tls_wrong_host", "Hostname mismatch"), ("tls_unknown_ca", "unable to get local")],
)
async def test_a_certificate_that_does_not_verify_is_no_matter_of_the_network(
    settings: DeviceCodeSettings, tmp_path: Path, fault: str, why: str
) -> None:
    authority = trustme.CA()
    (ca_file := tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    async with spoiled_servers(authority, tmp_path) as ports:
        url = f"https://localhost:{ports[fault]}"
        sign_in = DeviceCodeSignIn(
            msgspec.structs.replace(settings, authority=f"{url}/t", ca_bundle=ca_file), SystemClock()
        )
        with pytest.raises(SignInUntrusted, match=why):
            await sign_in.begin()
        sign_in.forget()
        broker = Broker(
            BrokerAddress(url=url, ca_bundle=ca_file), lambda: "Bearer x", "tty1", Prover(VisitKeys(), SystemClock())
        )
        with pytest.raises(BrokerUntrusted, match=why):
            await broker.session()
        await broker.aclose()


async def test_a_tenant_that_does_not_exist_is_a_wrong_setting(settings: DeviceCodeSettings) -> None:
    wrong = settings.authority.rpartition("/")[0] + "/99999999-2222-3333-4444-555555555555"
    sign_in = DeviceCodeSignIn(msgspec.structs.replace(settings, authority=wrong), SystemClock())
    with pytest.raises(SignInError) as raised:
        await sign_in.begin()
    assert (raised.value.code, raised.value.support) == ("sign_in_misconfigured", "AADSTS90002")
    sign_in.forget()
