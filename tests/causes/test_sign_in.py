"""Sign-ins that end without a token, or with one that the broker does not accept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from kiosk.errors import BY_CODE, TokenBound, TokenMissing, TokenProofTime, TokenUnproven
from tests.causes.reader import Reader
from tests.causes.start import CODE_CALL, TOKEN_CALL, Start
from tests.causes.tables import BEFORE_THE_CODE, ENDED, REFUSED, TOKENS
from tests.support.kiosk_user import KioskUser, kiosk_user
from tests.support.services import Services

PHONE = [*REFUSED, *ENDED]
Step = Callable[[KioskUser], Awaitable[None]]


async def refused_at_the_phone(person: KioskUser, code: str) -> None:
    if code == "sign_in_consent_declined":
        # Any error but the one for a person who declines.
        person.running.sandbox.fault(TOKEN_CALL, "set", field="error", value="invalid_grant", times=1)
    await person.sign_in(code)


async def declined(person: KioskUser) -> None:
    await person.decline()


async def expired(person: KioskUser) -> None:
    """Let two codes expire; the kiosk renews the first by itself."""
    await person.code()
    person.running.sandbox.advance(901)
    person.phone_answered()
    await person.until("This is a new code")
    person.running.sandbox.advance(901)
    person.phone_answered()
    await person.until("(sign_in_expired)")
    person.running.sandbox.advance(-1802)


async def forgotten(person: KioskUser) -> None:
    """Let the service forget two codes; the kiosk renews the first by itself."""
    for seen in ("This is a new code", "(sign_in_code_unknown)"):
        await person.code()
        assert person.app.visit
        assert person.app.visit.device_code
        person.app.visit.device_code._flow["device_code"] = "another"
        person.phone_answered()
        await person.until(seen)


async def not_public(person: KioskUser) -> None:
    person.running.sandbox.register("kiosk_client", public=False)
    await person.sign_in("Ada Kessler")
    await person.until("(sign_in_flow_off)")
    person.running.sandbox.register("kiosk_client", public=True)


AT_THE_PHONE: dict[str, Step] = {
    "sign_in_declined": declined,
    "sign_in_expired": expired,
    "sign_in_code_unknown": forgotten,
    "sign_in_flow_off": not_public,
}


async def end_at_the_phone(person: KioskUser, reader: Reader, code: str) -> None:
    if code in AT_THE_PHONE:
        await AT_THE_PHONE[code](person)
    else:
        await refused_at_the_phone(person, code)
    await reader.trouble(person, code, leave="Finish")


@pytest.mark.parametrize("code", [code for code in PHONE if BY_CODE[code].final])
async def test_sign_ins_that_another_try_does_not_help(running: Services, reader: Reader, code: str) -> None:
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        await person.press("enter")
        await end_at_the_phone(person, reader, code)
        await person.press("enter")
        await person.until("You are signed out")


@pytest.mark.parametrize("third", range(3))
async def test_sign_ins_that_end_at_the_phone(running: Services, reader: Reader, third: int) -> None:
    codes = [code for code in PHONE if not BY_CODE[code].final][third::3]
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        await person.press("enter")
        for code in codes:
            given = await person.code()
            await end_at_the_phone(person, reader, code)
            if code != codes[-1]:
                await person.press("enter")
                assert await person.code() != given
        await person.press("escape")
        await person.until("You are signed out")


async def test_sign_ins_that_end_before_there_is_a_code(running: Services, reader: Reader) -> None:
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        for code, fault in BEFORE_THE_CODE.items():
            running.sandbox.fault(CODE_CALL, **fault)
            await person.press("enter")
            await reader.trouble(person, code, leave="Finish")
            running.sandbox.clear_faults()
        await person.press("enter")
        await person.code()


async def no_longer_taken(person: KioskUser, reader: Reader, code: str) -> None:
    """Ask for a key with a refused token. Check that Esc leads to the list, and that the next request fails as well."""
    await person.press("enter")
    first = await reader.trouble(person, code, leave="Back to the list")
    await person.press("escape")
    await person.until("Which Mac is locked?")
    await person.press("enter")
    await person.until(lambda text: f"({code})" in text and first not in text)


async def sign_in_again(person: KioskUser) -> None:
    await person.press("enter")
    await person.sign_in("Ada Kessler")
    await person.until("Is this you?")
    person.let_go()
    await person.press("enter")
    await person.until("Which Mac is locked?")


@pytest.mark.parametrize("group", range(3))
async def test_sign_ins_that_the_broker_does_not_take(start: Start, reader: Reader, group: int) -> None:
    """Each broker gets only a few of them, because it would record many in one minute as a number."""
    running = start()
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Ada Kessler")
        for code in list(TOKENS)[group::3]:
            assert person.app.visit
            assert person.app.visit.device_code
            person.app.visit.device_code._token = token = running.sandbox.token("Ada Kessler", **TOKENS[code])
            if code == TokenBound.code:
                assert running.broker.ask("GET", "/v1/session", token).is_success
            await no_longer_taken(person, reader, code)
            await sign_in_again(person)


async def test_a_sign_in_that_is_lost_on_the_way(
    running: Services, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Ada Kessler")
        assert person.app.visit
        with monkeypatch.context() as patch:
            patch.setattr(person.app.visit.broker, "_authorization", lambda: "")
            await no_longer_taken(person, reader, TokenMissing.code)
        await sign_in_again(person)


async def test_a_kiosk_that_cannot_prove_where_its_requests_come_from(
    running: Services, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Ada Kessler")
        assert person.app.visit
        prover = person.app.visit.broker._prover
        monkeypatch.setattr(prover, "proof", lambda *_: "")
        await no_longer_taken(person, reader, TokenUnproven.code)


async def test_a_clock_that_nothing_corrects(
    running: Services, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Ada Kessler")
        assert person.app.visit
        prover = person.app.visit.broker._prover
        prover._ahead = 3600
        monkeypatch.setattr(prover, "follow", lambda _: None)
        await no_longer_taken(person, reader, TokenProofTime.code)
