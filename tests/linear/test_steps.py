"""Each step of linear mode, on a page that a test reads."""

from __future__ import annotations

import asyncio

import pytest

from kiosk import i18n
from kiosk.clock import Deadline
from kiosk.errors import BrokerUnreachable, KeyNotEscrowed
from kiosk.identity import DeviceCode
from kiosk.linear.keys import BACKSPACE, ESCAPE
from kiosk.visit.answers import LANGUAGE_SECONDS, AfterCard, Choice, Identity, Network, SignInOutcome
from kiosk.wording import NETWORK
from tests.support.paper import Paper
from tests.support.stage import PERSON, device


async def test_the_code_is_announced_and_expires(paper: Paper) -> None:
    code = DeviceCode(user_code="AB2C", address="https://example.com/device", deadline=Deadline.after(paper.clock, 70))
    task = asyncio.create_task(paper.ui.sign_in(code, renewed=True))
    text = await paper.settled()
    assert "open example.com/device" in text
    assert "the code: A B 2 C" in text
    assert "This is a new code." in text
    assert "A Alfa, B Bravo, 2 two, C Charlie." in await paper.type("spell")
    for before, mark in ((10, 60), (30, 30), (20, 10)):
        assert f"The code is valid for {mark} seconds." in paper.wait(before)
    paper.wait(10)
    assert await task is SignInOutcome.EXPIRED


async def test_no_answer_is_a_no(paper: Paper) -> None:
    task = asyncio.create_task(paper.ui.confirm(PERSON))
    assert PERSON.name in await paper.settled()
    assert "10 seconds left to answer." in paper.wait(10)
    await paper.type("perhaps")
    assert not task.done()
    paper.wait(10)
    assert await task is Identity.UNANSWERED


@pytest.mark.parametrize(
    ("typed", "answer"),
    [("", Identity.MINE), ("yes", Identity.MINE), ("no", Identity.NOT_MINE), ("back", Identity.NOT_MINE)],
)
async def test_is_it_you(paper: Paper, typed: str, answer: Identity) -> None:
    task = asyncio.create_task(paper.ui.confirm(PERSON))
    await paper.settled()
    await paper.type(typed)
    assert await task is answer


async def test_a_long_list_of_macs_is_read_in_pieces(paper: Paper) -> None:
    macs = [device(f"Mac {number}", id=f"d{number}", serial=f"S{number:05}") for number in range(1, 31)]
    macs[1] = device("Mac 2", id="d2", refusal="key_not_escrowed")
    task = asyncio.create_task(paper.ui.devices(macs, chosen="d9"))
    text = await paper.settled()
    assert "30 Macs are registered" in text
    assert "The last one was number 9." in text
    assert f"No key here: {KeyNotEscrowed.sentence.split()[0]}" in text
    heard = set()
    for _ in range(10):
        heard |= {number for number in range(1, 31) if f"\n{number}. Mac {number}," in f"\n{paper.text}"}
        await paper.type("")
    assert heard == set(range(1, 31))
    assert "No Mac fits" in await paper.type("zebra")
    assert "1. Mac 17" in await paper.type("s00017")
    await paper.type("")
    chosen = await task
    assert chosen
    assert chosen.id == "d17"


async def test_without_a_mac_there_is_only_the_way_out(paper: Paper) -> None:
    task = asyncio.create_task(paper.ui.devices([], chosen=""))
    assert "There is no Mac registered to you." in await paper.settled()
    await paper.type("")
    assert await task is None


async def test_a_reason_that_is_needed_is_asked_for_again(paper: Paper) -> None:
    task = asyncio.create_task(paper.ui.reason("Which ticket?", required=True, typed="none"))
    assert "Reason: none" in await paper.settled()
    for _ in "none":
        paper.talk.press(BACKSPACE)
    assert "A reason is needed here." in await paper.type("  ")
    await paper.type("Ticket 4711")
    assert await task == "Ticket 4711"


@pytest.mark.parametrize("key", ["f3", "f5", "f9", "f12"])
async def test_a_key_of_another_step_is_no_answer(paper: Paper, key: str) -> None:
    task = asyncio.create_task(paper.ui.reason(None, required=True, typed="INC4711"))
    await paper.settled()
    paper.talk.press(key)
    assert (await paper.settled()).rstrip().endswith("Reason: INC4711")
    await paper.type("")
    assert await task == "INC4711"
    without = asyncio.create_task(paper.ui.devices([], chosen=""))
    await paper.settled()
    paper.talk.press(key)
    await paper.settled()
    assert not without.done()
    await paper.type("")
    assert await without is None


async def test_keys_are_words_where_they_belong(paper: Paper) -> None:
    first = asyncio.create_task(paper.ui.welcome())
    await paper.settled()
    paper.talk.press("f3")
    await paper.settled()
    assert paper.left == ["other face"]
    first.cancel()
    task = asyncio.create_task(paper.ui.trouble(BrokerUnreachable("x"), leave="Finish", step=3, device=None))
    await paper.settled()
    paper.talk.press("f5")
    assert "ticket broker_unreachable" in await paper.settled()
    task.cancel()


async def test_trouble_is_said_whole(paper: Paper) -> None:
    error = BrokerUnreachable("x", reference="ABCD1234", retry_after=50)
    task = asyncio.create_task(paper.ui.trouble(error, leave="Finish", step=3, device=device()))
    text = (await paper.settled()).replace("\n", " ")
    for words in (
        error.title,
        error.sentence,
        error.next_step,
        "ABCD1234",
        "1 minute",
        "Enter: Try again. back: Finish.",
    ):
        assert words in text
    assert "ticket broker_unreachable" in await paper.type("ticket")
    assert "ABCD1234" in await paper.type("")
    await paper.type("")
    assert await task is Choice.AGAIN


async def test_trouble_that_is_final_leads_back(paper: Paper) -> None:
    task = asyncio.create_task(paper.ui.trouble(KeyNotEscrowed(), leave="x", step=4, device=device()))
    await paper.settled()
    await paper.type("")
    assert await task is Choice.LEAVE


async def test_what_becomes_of_the_network_is_said(paper: Paper) -> None:
    task = asyncio.create_task(paper.ui.welcome())
    await paper.settled()
    for network in Network:
        paper.ui.network(network)
        assert NETWORK[network] in paper.text
    assert NETWORK[Network.BACK] in await paper.type("repeat")
    await paper.type("")
    assert task.done()


async def test_a_language_is_chosen_and_forgotten_again(paper: Paper) -> None:
    if len(i18n.available()) < 2:
        pytest.skip("there is no other language here")
    task = asyncio.create_task(paper.ui.welcome())
    assert "language: English" in await paper.settled()
    await paper.type("language")
    await paper.type("Svenska")
    await paper.type("")
    assert i18n.language() == "sv"
    paper.clock.advance(61)
    await paper.settled()
    assert i18n.language() == "en"
    await paper.type("screen")
    assert paper.left == ["other face"]
    await paper.type("")
    assert task.done()


async def test_a_step_back_from_the_middle_of_a_long_text() -> None:
    paper = Paper(64, 10)
    for step, answer in (
        (paper.ui.what_now(device()), AfterCard.BACK),
        (paper.ui.trouble(BrokerUnreachable("x"), leave="Finish", step=3, device=None), Choice.LEAVE),
    ):
        task: asyncio.Task[object] = asyncio.ensure_future(step)
        assert "More follows" in await paper.settled()
        paper.talk.press(ESCAPE)
        assert await task is answer
    paper.close()


async def test_a_language_is_forgotten_from_the_list_of_languages_too(paper: Paper) -> None:
    task = asyncio.create_task(paper.ui.welcome())
    await paper.settled()
    await paper.type("language")
    await paper.type("Suomi")
    await paper.type("")
    assert i18n.language() == "fi"
    await paper.type("language")
    paper.clock.advance(LANGUAGE_SECONDS)
    await paper.settled()
    paper.clock.advance(LANGUAGE_SECONDS)
    assert "Press Enter to begin:" in await paper.settled()
    assert i18n.language() == "en"
    task.cancel()
