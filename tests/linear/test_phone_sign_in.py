"""The sign-in on the phone in linear mode: what is said, once, and the digits in one line."""

from __future__ import annotations

import asyncio

import pytest

from kiosk.linear.keys import ESCAPE
from kiosk.sign_in_messages import Stage
from kiosk.visit.answers import DigitsNotice, Renewal
from kiosk.wording import PHONE_NOT_SILENT, PHONE_SILENT
from tests.support.linear_terminal import LinearTerminal
from tests.support.phone_progress import progress


async def test_link_words_and_each_stage_are_said_once(terminal: LinearTerminal) -> None:
    sign_in = progress(terminal.clock)
    task = asyncio.create_task(terminal.ui.phone_sign_in(sign_in, renewal=Renewal.EXPIRED))
    text = (await terminal.settled()).replace("\n", " ")
    assert "This is a new link." in text
    assert "open go.nordwind.example/K7Q2-M9XD" in text
    assert "After the last slash: K, 7, Q, 2, M, 9, X, D" in text
    assert "The page asks for these words: lantern, zebra." in text
    assert "Time left: 2 minutes 55 seconds." in text
    assert "K: Kilo, seven, Q: Quebec, two, M: Mike, nine," in await terminal.type("spell")
    sign_in.turn(Stage.OPENED)
    text = terminal.wait(5).replace("\n", " ")
    assert text.count("A phone has opened the page.") == 1
    assert "Choose these words there, then sign in: lantern, zebra." in text
    assert "type back" in text
    sign_in.turn(Stage.SIGNING_IN)
    assert terminal.wait(5).count("The words were right.") == 1
    # No address is left to be spelled; the stage is said again.
    assert (await terminal.type("spell")).count("The words were right.") == 2
    terminal.hear()
    sign_in.answering = False
    assert terminal.wait(20).count(PHONE_SILENT) == 1
    sign_in.answering = True
    assert PHONE_NOT_SILENT in terminal.wait(20)
    terminal.talk.press(ESCAPE)
    await task


async def test_time_left_is_announced_and_no_more_can_be_had(terminal: LinearTerminal) -> None:
    sign_in = progress(terminal.clock)
    task = asyncio.create_task(terminal.ui.phone_sign_in(sign_in, renewal=None))
    await terminal.settled()
    assert "You cannot get more time." in await terminal.type("more")
    assert "Time left: 60 seconds." in terminal.wait(115)
    task.cancel()


@pytest.mark.parametrize("typed", ["471093", "471 093", "471-093"])
async def test_the_digits_are_typed_in_one_line(terminal: LinearTerminal, typed: str) -> None:
    sign_in = progress(terminal.clock, Stage.CONFIRMING)
    task = asyncio.create_task(terminal.ui.digits(sign_in, tries=2, notice=DigitsNotice.WRONG))
    text = await terminal.settled()
    assert "2 tries left." in text
    assert "Signed in on the phone: Astrid Lindqvist, astrid.lindqvist@nordwind.example" in text
    assert "Type all six digits" in await terminal.type("47109")
    assert "Type all six digits" in await terminal.type("47109x")
    assert "Time left: 88 seconds." in await terminal.type("time")
    await terminal.type(typed)
    assert await task == bytearray(b"471093")


async def test_somebody_else_goes_back_from_the_digits(terminal: LinearTerminal) -> None:
    task = asyncio.create_task(terminal.ui.digits(progress(terminal.clock, Stage.CONFIRMING), tries=3, notice=None))
    await terminal.settled()
    await terminal.type("back")
    assert await task is None
