"""Each step of linear mode, on a page that a test reads."""

from __future__ import annotations

import asyncio

import pytest

from kiosk import i18n
from kiosk.clock import Deadline
from kiosk.errors import BrokerUnreachable, GraphThrottled, KeyNotEscrowed
from kiosk.identity.device_code import DeviceCode
from kiosk.linear.keys import BACKSPACE, ENTER, ESCAPE
from kiosk.visit.answers import (
    CONFIRM_SECONDS,
    LANGUAGE_SECONDS,
    AfterCard,
    Choice,
    Identity,
    Network,
    Renewal,
    SignInOutcome,
)
from kiosk.wording import NETWORK, NOT_SILENT, SILENT, TRY_NOW
from tests.support.linear_terminal import LinearTerminal
from tests.support.screen_app import PERSON, device


async def test_the_code_is_announced_and_expires(terminal: LinearTerminal) -> None:
    answers = True
    code = DeviceCode("AB2C", "https://example.com/device", Deadline.after(terminal.clock, 250), lambda: answers)
    task = asyncio.create_task(terminal.ui.device_code(code, renewal=Renewal.EXPIRED))
    text = await terminal.settled()
    assert "open example.com/device" in text
    assert "the code: A, B, 2, C" in text
    assert "This is a new code." in text
    assert "A: Alfa, B: Bravo, two, C: Charlie." in await terminal.type("spell")
    assert "After that you get a new code." in await terminal.type("more")
    answers = False
    assert terminal.wait(50).count(SILENT) == 1
    answers = True
    assert NOT_SILENT in terminal.wait(50)
    for before, mark in ((90, 60), (30, 30), (20, 10)):
        assert f"The code is valid for {mark} seconds." in terminal.wait(before)
    terminal.wait(10)
    assert await task is SignInOutcome.EXPIRED


async def test_no_retry_is_offered_before_it_can_help(terminal: LinearTerminal) -> None:
    error = GraphThrottled(retry_after=90)
    task = asyncio.create_task(terminal.ui.trouble(error, leave="Finish", step=3, device=None))
    text = await terminal.settled()
    assert "You can try again in 2 minutes." in text
    assert "Wait a minute" not in text
    assert "Try again" not in text
    await terminal.type("")
    assert not task.done()
    assert TRY_NOW in terminal.wait(90)
    await terminal.type("")
    assert await task is Choice.AGAIN


async def test_no_answer_is_a_no(terminal: LinearTerminal) -> None:
    task = asyncio.create_task(terminal.ui.confirm(PERSON))
    assert PERSON.name in await terminal.settled()
    assert "left to answer" not in terminal.hear()
    assert "10 seconds left to answer." in terminal.wait(10)
    await terminal.settled()
    assert not task.done()
    terminal.wait(10)
    assert await task is Identity.UNANSWERED


async def unanswered(terminal: LinearTerminal, task: asyncio.Task[Identity]) -> None:
    """Nobody answers in the whole time after what is being spoken."""
    terminal.hear()
    terminal.wait(CONFIRM_SECONDS - 1)
    await terminal.settled()
    assert not task.done()
    terminal.wait(1)
    assert await task is Identity.UNANSWERED


@pytest.mark.parametrize("typed", ["perhaps", "help", "more"])
async def test_a_question_that_is_asked_again_gives_all_its_time(terminal: LinearTerminal, typed: str) -> None:
    task = asyncio.create_task(terminal.ui.confirm(PERSON))
    await terminal.settled()
    terminal.hear()
    terminal.wait(15)
    assert ("20 seconds left to answer." in await terminal.type(typed)) is (typed == "more")
    await unanswered(terminal, task)


async def test_there_is_no_more_time_than_the_visit_has(terminal: LinearTerminal) -> None:
    task = asyncio.create_task(terminal.ui.confirm(PERSON))
    await terminal.settled()
    terminal.visit_left = 12
    assert "You cannot get more time.\n12 seconds left to answer." in await terminal.type("more")
    task.cancel()


@pytest.mark.parametrize(
    ("typed", "answer"),
    [("", Identity.MINE), ("yes", Identity.MINE), ("no", Identity.NOT_MINE), ("back", Identity.NOT_MINE)],
)
async def test_is_it_you(terminal: LinearTerminal, typed: str, answer: Identity) -> None:
    task = asyncio.create_task(terminal.ui.confirm(PERSON))
    await terminal.settled()
    await terminal.type(typed)
    assert await task is answer


async def test_a_held_enter_does_not_say_who_one_is(terminal: LinearTerminal) -> None:
    task = asyncio.create_task(terminal.ui.confirm(PERSON))
    await terminal.settled()
    for _ in range(60):
        terminal.talk.press(ENTER, repeated=True)
        text = await terminal.settled()
    assert text.count("Let go of Enter") == 1
    assert PERSON.name in text
    assert not task.done()
    await terminal.type("")
    assert await task is Identity.MINE


async def test_a_long_list_of_macs_is_read_in_pieces(terminal: LinearTerminal) -> None:
    macs = [device(f"Mac {number}", id=f"d{number}", serial=f"S{number:05}") for number in range(1, 31)]
    macs[1] = device("Mac 2", id="d2", refusal="key_not_escrowed")
    task = asyncio.create_task(terminal.ui.devices(macs, chosen="d9"))
    text = await terminal.settled()
    assert "30 Macs are registered" in text
    assert "You last chose number 9." in text
    assert f"No key here: {KeyNotEscrowed.sentence.split()[0]}" in text
    heard = set()
    for _ in range(10):
        heard |= {number for number in range(1, 31) if f"\n{number}. Mac {number}," in f"\n{terminal.text}"}
        await terminal.type("")
    assert heard == set(range(1, 31))
    assert "No Mac matches" in await terminal.type("zebra")
    assert "1. Mac 17" in await terminal.type("s00017")
    await terminal.type("")
    chosen = await task
    assert chosen
    assert chosen.id == "d17"


async def test_without_a_mac_there_is_only_the_way_out(terminal: LinearTerminal) -> None:
    task = asyncio.create_task(terminal.ui.devices([], chosen=""))
    assert "No Mac is registered to you." in await terminal.settled()
    await terminal.type("")
    assert await task is None


async def test_a_reason_that_is_needed_is_asked_for_again(terminal: LinearTerminal) -> None:
    task = asyncio.create_task(terminal.ui.reason("Which ticket?", required=True, typed="none"))
    assert "Reason: none" in await terminal.settled()
    for _ in "none":
        terminal.talk.press(BACKSPACE)
    assert "You need to give a reason." in await terminal.type("  ")
    await terminal.type("Ticket 4711")
    assert await task == "Ticket 4711"


@pytest.mark.parametrize("key", ["f3", "f5", "f9", "f12"])
async def test_a_key_of_another_step_is_no_answer(terminal: LinearTerminal, key: str) -> None:
    task = asyncio.create_task(terminal.ui.reason(None, required=True, typed="INC4711"))
    await terminal.settled()
    terminal.talk.press(key)
    assert (await terminal.settled()).rstrip().endswith("Reason: INC4711")
    await terminal.type("")
    assert await task == "INC4711"
    without = asyncio.create_task(terminal.ui.devices([], chosen=""))
    await terminal.settled()
    terminal.talk.press(key)
    await terminal.settled()
    assert not without.done()
    await terminal.type("")
    assert await without is None


async def test_keys_are_words_where_they_belong(terminal: LinearTerminal) -> None:
    first = asyncio.create_task(terminal.ui.welcome())
    await terminal.settled()
    terminal.talk.press("f3")
    await terminal.settled()
    assert terminal.left == ["other UI"]
    first.cancel()
    task = asyncio.create_task(terminal.ui.trouble(BrokerUnreachable("x"), leave="Finish", step=3, device=None))
    await terminal.settled()
    terminal.talk.press("f5")
    assert "ticket broker_unreachable" in await terminal.settled()
    task.cancel()


async def test_trouble_is_said_whole(terminal: LinearTerminal) -> None:
    error = BrokerUnreachable("x", reference="ABCD1234")
    task = asyncio.create_task(terminal.ui.trouble(error, leave="Finish", step=3, device=device()))
    text = (await terminal.settled()).replace("\n", " ")
    for words in (
        error.title,
        error.sentence,
        error.next_step,
        "ABCD1234",
        "Enter: Try again. back: Finish.",
    ):
        assert words in text
    assert "ticket broker_unreachable" in await terminal.type("ticket")
    assert "ABCD1234" in await terminal.type("")
    await terminal.type("")
    assert await task is Choice.AGAIN


async def test_trouble_that_is_final_leads_back(terminal: LinearTerminal) -> None:
    task = asyncio.create_task(terminal.ui.trouble(KeyNotEscrowed(), leave="x", step=4, device=device()))
    await terminal.settled()
    await terminal.type("")
    assert await task is Choice.LEAVE


async def test_what_becomes_of_the_network_is_said(terminal: LinearTerminal) -> None:
    task = asyncio.create_task(terminal.ui.welcome())
    await terminal.settled()
    for network in Network:
        terminal.ui.network(network)
        assert NETWORK[network] in terminal.text
    assert NETWORK[Network.BACK] in await terminal.type("repeat")
    await terminal.type("")
    assert task.done()


async def test_a_language_is_chosen_and_forgotten_again(terminal: LinearTerminal) -> None:
    if len(i18n.available()) < 2:
        pytest.skip("there is no other language here")
    task = asyncio.create_task(terminal.ui.welcome())
    assert "language: English" in await terminal.settled()
    await terminal.type("language")
    await terminal.type("Svenska")
    await terminal.type("")
    assert i18n.language() == "sv"
    terminal.hear()
    terminal.clock.advance(LANGUAGE_SECONDS - 1)
    await terminal.settled()
    assert i18n.language() == "sv"
    terminal.clock.advance(1)
    await terminal.settled()
    assert i18n.language() == "en"
    await terminal.type("screen")
    assert terminal.left == ["other UI"]
    await terminal.type("")
    assert task.done()


async def test_a_step_back_from_the_middle_of_a_long_text() -> None:
    terminal = LinearTerminal(64, 10)
    for step, answer in (
        (terminal.ui.what_now(device()), AfterCard.BACK),
        (terminal.ui.trouble(BrokerUnreachable("x"), leave="Finish", step=3, device=None), Choice.LEAVE),
    ):
        task: asyncio.Task[object] = asyncio.ensure_future(step)
        assert "There is more" in await terminal.settled()
        terminal.talk.press(ESCAPE)
        assert await task is answer
    terminal.close()


async def test_a_language_can_be_forgotten_from_the_list_of_languages(terminal: LinearTerminal) -> None:
    task = asyncio.create_task(terminal.ui.welcome())
    await terminal.settled()
    await terminal.type("language")
    await terminal.type("Francais")
    await terminal.type("")
    assert i18n.language() == "fr"
    await terminal.type("language")
    await terminal.type("Suomi")
    await terminal.type("")
    assert i18n.language() == "fi"
    await terminal.type("language")
    for _ in range(2):
        terminal.clock.advance(terminal.speech.left() + 2 * LANGUAGE_SECONDS)
        await terminal.settled()
    assert "Press Enter to begin:" in await terminal.settled()
    assert i18n.language() == "en"
    task.cancel()
