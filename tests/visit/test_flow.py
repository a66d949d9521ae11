"""The order of the screens, with sandbox and broker behind it: the happy path on Enter, and every turning off it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from kiosk.clock import SystemClock
from kiosk.config.kiosk import BrokerAddress, DeviceCodeSettings
from kiosk.models import Ending, ReasonRule
from kiosk.visit.answers import Network
from kiosk.visit.context import VisitContext
from kiosk.visit.flow import Flow
from kiosk.visit.guard import VisitGuard
from kiosk.visit.ways_out import VisitOver
from tests.support.broker import running_broker
from tests.support.kiosk_user import KEY, PATIENCE_SECONDS, kiosk_user
from tests.support.screen_app import CONFIG
from tests.support.services import Services, services
from tests.support.time_limit import TimeLimit


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with services(tmp_path_factory.mktemp("services"), rules={"per_person": (), "per_device": ()}) as everything:
        yield everything


@pytest.fixture(autouse=True)
def _no_faults(running: Services) -> Iterator[None]:
    yield
    running.sandbox.clear_faults()


async def test_enter_alone_walks_to_the_key_and_it_can_be_had_again(running: Services) -> None:
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Ada Kessler")
        await person.press("enter")
        first = KEY.search(await person.until(KEY.search))
        await person.press("space")
        hidden = await person.until("The key is hidden")
        assert first
        assert not [group for group in first[0].split("-") if group in hidden]
        await person.press("enter")
        assert first[0] in await person.until(KEY.search)
        await person.press("escape")
        await person.until("Which Mac is locked?")
        await person.press("escape")
        await person.until("You are signed out")
    endings = [row["outcome"] for row in running.broker.rows("release.closed")]
    assert endings == ["hidden"]


async def test_a_held_enter_does_not_say_who_one_is(running: Services) -> None:
    running.broker.forget_rows()
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        await person.press("enter")
        await person.sign_in("Ada Kessler")
        limit = TimeLimit(PATIENCE_SECONDS)
        while "Is this you?" not in person.text and not limit.passed():
            await person.press("enter")
        await person.press(*["enter"] * 20)
        assert "Let go of Enter" in await person.until("Is this you?")
        person.let_go()
        await person.press("enter")
        await person.until("Which Mac is locked?")
    assert running.broker.rows("release") == []


async def test_enter_alone_walks_from_the_key_to_the_end(running: Services) -> None:
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Ada Kessler")
        await person.press("enter")
        found = KEY.search(await person.until(KEY.search))
        assert found
        key = found[0]
        await person.press("enter")
        checking = await person.until("Check your copy")
        assert not [group for group in key.split("-") if group in checking]
        await person.press(*key.lower())
        await person.until("Your copy is right")
        await person.press("enter")
        await person.until("Page 1 of 2")
        await person.press("enter")
        await person.until("Page 2 of 2")
        await person.press("enter")
        await person.until("You are signed out")
        await person.press("enter")
        release_id = running.broker.rows("release.done")[-1]["release_id"]
        await person.until(lambda _: running.broker.rows("release.checked"))
        (checked,) = running.broker.rows("release.checked")
        closed = running.broker.rows("release.closed")[-1]
    assert (checked["outcome"], checked["detail"]) == ("right", "6 of 6 groups right")
    assert closed["outcome"] == "finished"
    assert checked["release_id"] == closed["release_id"] == release_id


async def test_from_the_check_and_the_card_there_is_a_way_back_to_the_same_release(running: Services) -> None:
    before = len(running.broker.rows("release.done")), len(running.broker.rows("release.checked"))
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Ada Kessler")
        await person.press("enter")
        await person.until(KEY.search)
        visit = person.app.visit
        assert visit
        await person.press("enter")
        await person.until("Check your copy")
        await person.press("enter")
        await person.until("Page 1 of 2")
        await person.press("escape")
        await person.until("The key is hidden")
        await person.press("f6")
        await person.until("Check your copy")
        await person.press("escape")
        await person.until("The key is hidden")
        await person.press("enter")
        await person.until(KEY.search)
        (reveal,) = visit._reveals.values()
        assert reveal.copy_check
        await person.press("escape")
        await person.until("Which Mac is locked?")
        # Nothing to check with is left once the person is done with the key.
        assert len(reveal.copy_check._kept) == 0
    assert len(running.broker.rows("release.done")) == before[0] + 1
    # Nothing was compared, so nothing is noted.
    assert len(running.broker.rows("release.checked")) == before[1]


async def test_a_check_that_was_given_up_is_noted(running: Services) -> None:
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Ada Kessler")
        await person.press("enter")
        found = KEY.search(await person.until(KEY.search))
        assert found
        await person.press("f6", *found[0][:4])
        await person.until("right")
        await person.press("escape")
        await person.until("The key is hidden")
        noted = len(running.broker.rows("release.checked"))
        await person.press("escape")
        await person.until("Which Mac is locked?")
        await person.until(lambda _: len(running.broker.rows("release.checked")) > noted)
    checked = running.broker.rows("release.checked")[-1]
    assert (checked["outcome"], checked["detail"]) == ("incomplete", "1 of 6 groups right")


async def test_a_stranger_who_used_the_code_ends_the_visit(running: Services) -> None:
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        await person.press("enter")
        await person.sign_in("Jonas Brandt")
        await person.until("Jonas Brandt")
        await person.press("escape")
        await person.until("You are signed out")


async def test_a_declined_sign_in_offers_a_new_code(running: Services) -> None:
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        await person.press("enter")
        first = await person.code()
        await person.decline()
        await person.until("Sign-in was declined")
        await person.press("enter")
        assert await person.code() != first
        await person.press("escape")
        await person.until("You are signed out")


async def test_a_code_that_the_service_calls_expired_is_renewed_by_itself(running: Services) -> None:
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        await person.press("enter")
        first = await person.code()
        running.sandbox.fault("*/oauth2/v2.0/token", "set", field="error", value="expired_token", times=1)
        person.phone_answered()
        await person.until(lambda text: "Enter it only if" in text and " ".join(first) not in text)
        await person.sign_in("Ada Kessler")
        await person.until("Is this you?")


async def test_a_service_that_calls_every_code_expired_is_trouble(running: Services) -> None:
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        running.sandbox.fault("*/oauth2/v2.0/token", "set", field="error", value="expired_token")
        await person.press("enter")
        await person.code()
        person.phone_answered()
        await person.until("This is a new code")
        person.phone_answered()
        await person.until("The code has expired")
        running.sandbox.clear_faults()
        await person.press("enter")
        await person.sign_in("Ada Kessler")
        await person.until("Is this you?")


async def test_a_code_that_is_used_as_it_runs_out_counts(running: Services) -> None:
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        running.sandbox.fault("*/oauth2/v2.0/devicecode", "set", field="expires_in", value=2, times=1)
        await person.press("enter")
        code = await person.code()
        async with running.sandbox.phone() as phone:
            await phone.approve(code, running.sandbox.person("Ada Kessler").oid)
        await person.until("Checking your sign-in")
        person.phone_answered()
        await person.until("Is this you?")


@pytest.mark.parametrize("fault", ["reset", "html"])
async def test_a_network_that_fails_behind_a_code_is_said(running: Services, fault: str) -> None:
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        await person.press("enter")
        code = await person.code()
        running.sandbox.fault("*/oauth2/v2.0/token", fault)
        person.phone_answered()
        await person.until("The sign-in service does not answer.")
        assert await person.code() == code
        running.sandbox.clear_faults()
        person.phone_answered()
        await person.until(lambda text: "does not answer" not in text)
        await person.sign_in("Ada Kessler")
        await person.until("Is this you?")


async def test_a_code_that_runs_out_without_a_network_is_nobodys_fault(running: Services) -> None:
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        running.sandbox.fault("*/oauth2/v2.0/devicecode", "set", field="expires_in", value=2, times=1)
        running.sandbox.fault("*/oauth2/v2.0/token", "reset")
        await person.press("enter")
        await person.code()
        await person.until("Checking your sign-in")
        person.phone_answered()
        text = await person.until("This is a new code.")
        assert "The last one has expired" not in text
        assert "did not answer in time" in text
        running.sandbox.clear_faults()
        await person.sign_in("Ada Kessler")
        await person.until("Is this you?")


async def test_a_network_that_fails_behind_a_code_is_looked_for_after_the_visit(running: Services) -> None:
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        await person.press("enter")
        await person.code()
        running.sandbox.fault("*/oauth2/v2.0/token", "reset")
        assert person.app.visit
        sign_in = person.app.visit.device_code
        person.phone_answered()
        await person.until(lambda _: sign_in and sign_in.unanswered)
        await person.press("escape")
        await person.until("You are signed out")
        assert person.app.guard.disturbed


async def test_nobody_has_a_mac(running: Services) -> None:
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        await person.press("enter")
        await person.sign_in("Tomás Ó Briain")
        await person.until("Is this you?")
        await person.press("enter")
        await person.until("No Mac is registered to you.")
        await person.press("enter")
        await person.press("escape")
        await person.until("You are signed out")


async def test_a_missing_key_leads_back_to_the_list(running: Services) -> None:
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Priya Raman")
        await person.press(*"loan", "enter")
        await person.until("Encryption was postponed")
        await person.until("(key_encryption_deferred)")
        await person.press("enter")
        await person.until("Which Mac is locked?")


async def test_a_graph_that_fails_can_be_asked_again(running: Services) -> None:
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Ada Kessler")
        running.sandbox.fault("*getFileVaultKey*", status=503)
        await person.press("enter")
        await person.until("device management is not responding")
        running.sandbox.clear_faults()
        await person.press("enter")
        await person.until(KEY.search)


async def test_the_list_opens_on_the_mac_that_was_read(running: Services) -> None:
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Ada Kessler")
        await person.press("down", "enter")
        await person.until(KEY.search)
        name = re.search(r"Recovery key of (\S+)", person.text)
        await person.press("escape")
        assert name
        await person.until(f"▶ {name[1]}")


async def test_the_heading_of_a_key_names_what_was_read_for_its_release(running: Services) -> None:
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Ada Kessler")
        running.sandbox.fault("*/managedDevices/*", "set", field="deviceName", value="NW-RENAMED-1")
        await person.press("enter")
        assert "Recovery key of NW-RENAMED-1" in await person.until(KEY.search)


async def test_a_sign_in_that_the_broker_no_longer_takes_is_done_again(running: Services) -> None:
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Ada Kessler")
        assert person.app.visit
        assert person.app.visit.device_code
        person.app.visit.device_code._token = running.sandbox.token("Ada Kessler", exp=1_000_000_000)
        await person.press("enter")
        await person.until("Your sign-in has expired")
        await person.press("enter")
        await person.sign_in("Ada Kessler")
        await person.until("Is this you?")


async def test_a_broker_that_is_restarted_in_mid_visit_does_not_end_it(running: Services) -> None:
    place = running.broker.config.listen.url.removeprefix("unix:") + "2"
    listen = msgspec.structs.replace(running.broker.config.listen, url=f"unix:{place}")
    config = msgspec.structs.replace(running.broker.config, listen=listen)
    other = Services(
        running.sandbox,
        running.broker,
        msgspec.structs.replace(running.config, broker=BrokerAddress(url=f"unix:{place}")),
    )
    with contextlib.ExitStack() as first:
        first.enter_context(running_broker(config))
        async with kiosk_user(other) as person:
            await person.walk_to_devices("Ada Kessler")
            await asyncio.to_thread(first.close)
            await person.press("enter")
            await person.until("gets no reply from the recovery service")
            with running_broker(config):
                await person.press("enter")
                await person.until(KEY.search)
                await person.press("f10")
                await person.until("This terminal is locked")


@pytest.mark.parametrize("who", ["Robin", "ليلى الحداد", "佐藤 美咲", "Maximiliane"])
async def test_names_that_are_hostile_long_or_foreign_are_inert(running: Services, who: str) -> None:
    full = next(one.name for one in running.sandbox.data.people() if who in one.name)
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        await person.press("enter")
        await person.sign_in(full)
        await person.until("Is this you?")
        await person.press("enter")
        text = await person.until("Which Mac is locked?")
        await person.press("down", "down", "enter")
        await person.until(lambda now: now != text)
        for character in "\x1b\x07\u202e\u200b\x9b":
            assert character not in person.text
        assert person.app.return_code is None


async def test_the_token_is_dropped_also_when_the_broker_cannot_be_told(
    running: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kiosk.visit.guard._FAREWELL_SECONDS", 0.1)
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Ada Kessler")
        await person.press("enter")
        await person.until(KEY.search)
        assert person.app.visit
        sign_in = person.app.visit.sign_in
        with monkeypatch.context() as patch:
            patch.setattr(person.app.visit, "tell_end", lambda *_: asyncio.Event().wait())
            await person.press("f10")
            await person.until("This terminal is locked")
            await person.until(lambda _: sign_in.authorization() == "Bearer ")


async def test_a_screen_that_breaks_is_a_crash_and_no_way_back(
    running: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_words: str, _step: int) -> None:
        raise ZeroDivisionError("words")

    async def visit() -> None:
        async with kiosk_user(running) as person:
            await person.until("Press Enter to begin")
            monkeypatch.setattr(person.app._ui, "working", broken)
            running.sandbox.fault("*/oauth2/v2.0/devicecode", "hang")
            await person.press("enter")
            async with asyncio.timeout(PATIENCE_SECONDS):
                await person.app._exception_event.wait()

    with pytest.raises(ZeroDivisionError):
        await visit()
    assert "crash: ZeroDivisionError at test_flow.py:" in caplog.text
    assert "words" not in caplog.text


class Waiting:
    """A first screen that waits for ``begin``, and that can break when it is told of the network."""

    def __init__(self, *, breaks: bool = False) -> None:
        self.begin = asyncio.Event()
        self.told = asyncio.Event()
        self._breaks = breaks

    async def welcome(self) -> None:
        await self.begin.wait()
        raise VisitOver(Ending.FINISHED)

    def network(self, _network: Network) -> None:
        self.told.set()
        if self._breaks:
            raise ZeroDivisionError("words")


def disturbed(ui: Waiting, authority: str) -> asyncio.Task[None]:
    """The flow after a visit that ended without a network."""
    sign_in = DeviceCodeSettings(authority=authority, client_id="c", scope="api://k/Session.Open")
    context = VisitContext(config=msgspec.structs.replace(CONFIG, device_code=sign_in), clock=SystemClock())
    guard = VisitGuard(context, began=lambda: None, over=lambda _: None)
    return asyncio.create_task(Flow(ui, guard, disturbed=True).run())  # type: ignore[arg-type]


async def test_what_breaks_beside_the_first_screen_is_logged_and_keeps_nobody_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ui = Waiting(breaks=True)
    flow = disturbed(ui, "https://localhost:1/t")
    await ui.told.wait()
    await asyncio.sleep(0)
    # It may stand there for days: what broke is said now and not when somebody begins.
    assert "ZeroDivisionError at test_flow.py:" in caplog.text
    assert "words" not in caplog.text
    ui.begin.set()
    with pytest.raises(VisitOver):
        await flow


# anyio and httpcore leave the socket of an abandoned handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_network_that_hangs_keeps_nobody_waiting() -> None:
    asyncio.run(begun_while_a_network_hangs())
    # It warns when it is collected, and must do so within this test.
    gc.collect()


async def begun_while_a_network_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ui = Waiting()
        flow = disturbed(ui, f"https://127.0.0.1:{silent.getsockname()[1]}/t")
        connection, _ = await asyncio.to_thread(silent.accept)
        with connection:
            ui.begin.set()
            async with asyncio.timeout(PATIENCE_SECONDS):
                with pytest.raises(VisitOver):
                    await flow
    assert not ui.told.is_set()


async def test_a_reason_is_asked_for_and_put_right(tmp_path: Path) -> None:
    rules = {"reason": "required", "reason_pattern": "INC[0-9]+", "reason_prompt": "Which ticket is it?"}
    with services(tmp_path, rules=rules) as strict:
        async with kiosk_user(strict) as person:
            await person.walk_to_devices("Ada Kessler")
            await person.press("enter")
            await person.until("Which ticket is it?")
            await person.press("enter")
            await person.press(*"nope", "enter")
            await person.until("(reason_unfit)")
            await person.press("enter")
            await person.until("> nope")
            await person.press(*["backspace"] * 4, *"INC42", "enter")
            await person.until(KEY.search)
            await person.press("escape")
            await person.until("Which Mac is locked?")
            await person.press("enter")
            await person.until("Which ticket is it?")
            await person.press(*"INC43", "enter")
            await person.until(KEY.search)
        assert [row["reason"] for row in strict.broker.rows("release.done")] == ["INC42", "INC43"]


async def test_a_reason_that_was_not_asked_for_when_the_visit_began(tmp_path: Path) -> None:
    """The broker's rules have changed since."""
    with services(tmp_path, rules={"reason": "required"}) as strict:
        async with kiosk_user(strict) as person:
            await person.walk_to_devices("Ada Kessler")
            assert person.app.visit
            assert person.app.visit.session
            person.app.visit.session = msgspec.structs.replace(person.app.visit.session, reason=ReasonRule.OFF)
            await person.press("enter")
            await person.until("(reason_required)")
            await person.press("enter")
            await person.until("Why do you need the recovery key?")
            await person.press(*"INC42", "enter")
            await person.until(KEY.search)
