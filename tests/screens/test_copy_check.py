"""Somebody types what is on their paper: right or wrong of each group, and never a character on the screen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from textual.pilot import Pilot

from kiosk.models import Ending
from kiosk.recovery_key.copy_check import TRIES, CopyCheck
from kiosk.screens.copy_check import PAUSE_SECONDS, CopyCheckScreen
from kiosk.visit.answers import AfterCheck
from kiosk.visit.reveal import Reveal
from tests.support.screen_app import KEY, ScreenApp, checkable, rows

GROUPS = KEY.decode().split("-")
WRONG = [*"aaaa"]


@dataclass
class CheckedCopy:
    """Somebody who checks a copy."""

    app: ScreenApp
    pilot: Pilot[None]
    reveal: Reveal
    screen: CopyCheckScreen
    shown: Any

    @property
    def check(self) -> CopyCheck:
        assert self.reveal.copy_check
        return self.reveal.copy_check

    @property
    def text(self) -> str:
        return "\n".join(rows(self.app))

    async def type(self, *keys: str) -> str:
        await self.pilot.press(*keys)
        await self.pilot.pause()
        return self.text

    def wait(self, seconds: float = PAUSE_SECONDS) -> None:
        self.app.hand.advance(seconds)


@asynccontextmanager
async def checked_copy() -> AsyncIterator[CheckedCopy]:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        reveal = checkable(app, "AAAA")
        assert reveal.copy_check
        reveal.hide()
        screen = CopyCheckScreen(reveal, reveal.copy_check, app.clock)
        shown = await app.put(screen, pilot)
        yield CheckedCopy(app, pilot, reveal, screen, shown)
        shown.cancel()


async def test_a_right_copy_typed_as_people_type_it() -> None:
    async with checked_copy() as person:
        text = await person.type(*KEY.decode().lower().replace("-", " ", 2))
        assert person.check.outcome.complete
        assert "Your copy is right. Go back to your Mac." in text
        assert text.count("✓ right") == 6
        await person.type("enter")
        assert await person.shown is AfterCheck.GO_ON


async def test_each_group_answers_and_goes_on_by_itself() -> None:
    async with checked_copy() as person:
        assert "[1]" in person.text
        text = await person.type(*"hj4")
        assert text.count("●") == 3
        text = await person.type("w")
        assert text.count("✓ right") == 1
        assert "[2]" in text


async def test_nothing_that_is_typed_stands_on_the_screen_or_stays() -> None:
    async with checked_copy() as person:
        before = person.text
        text = await person.type(*"7qx")
        assert person.screen._typed == bytearray(b"7qx\0")
        typed = person.screen._typed
        assert not [one for one in ("7q", "7Q", "qx", "QX") if one in text and one not in before]
        await person.type("escape")
        assert typed == bytearray(4)
        assert await person.shown is AfterCheck.BACK


async def test_a_wrong_group_says_so_in_words_and_can_be_typed_again() -> None:
    async with checked_copy() as person:
        text = await person.type(*WRONG)
        assert "× wrong" in text
        assert "Group 1 is wrong" in text
        assert "4 tries left" in " ".join(text.split())
        assert "[1]" in text
        person.wait()
        text = await person.type(*"hj4w")
        assert "× wrong" not in text
        assert text.count("✓ right") == 1


async def test_typing_on_with_the_eyes_on_the_paper_costs_no_tries() -> None:
    async with checked_copy() as person:
        await person.type(*WRONG, *"7qxbmnprk2lc9ytgd5fa")
        assert person.check.tries_left(1) == TRIES - 1
        person.wait(PAUSE_SECONDS / 2)
        await person.type("h")
        assert person.screen._length == 0
        person.wait()
        await person.type("h")
        assert person.screen._length == 1


async def test_few_tries() -> None:
    async with checked_copy() as person:
        for _ in range(TRIES):
            text = await person.type(*WRONG)
            person.wait()
        assert "× 0 left" in text
        assert "No tries left for group 1" in text
        await person.type(*"hj4w")
        assert not person.check.is_right(1)
        text = await person.type("right", *"7qxbmnprk2lc9ytgd5fa")
        assert text.count("✓ right") == 5
        assert "Your copy is right" not in text
        assert "No tries left for group 1" in text
        outcome = person.check.outcome
        assert (outcome.right, outcome.out_of_tries) == (5, 1)


@pytest.mark.parametrize("key", ["!", "ö", "@", "ß", "１"])
async def test_what_cannot_be_in_a_key_is_refused_at_once(key: str) -> None:
    async with checked_copy() as person:
        text = await person.type(*"hj", key)
        assert "That is never in a key" in text
        assert text.count("●") == 2
        assert person.check.tries_left(1) == TRIES
        assert "✓ right" in await person.type(*"4w")


async def test_arrows_and_backspace() -> None:
    async with checked_copy() as person:
        assert "[3]" in await person.type("right", "down")
        assert "[2]" in await person.type("up")
        assert "[1]" in await person.type("left", "left")
        text = await person.type(*"hjx", "backspace", *"4w")
        assert text.count("✓ right") == 1
        text = await person.type("left", "9")
        assert "Group 1 is right" in text
        assert person.check.tries_left(1) == TRIES
        assert "[6]" in await person.type(*["right"] * 9)


async def test_leaving_a_group_empties_it() -> None:
    async with checked_copy() as person:
        typed = person.screen._typed
        await person.type(*"hj", "right")
        assert typed == bytearray(4)
        assert person.text.count("●") == 0


async def test_enter_skips_the_check() -> None:
    async with checked_copy() as person:
        await person.type("h", "enter")
        assert await person.shown is AfterCheck.GO_ON
        assert person.screen._typed == bytearray(4)
        assert not person.check.begun


async def test_it_goes_on_when_the_time_of_the_key_is_over() -> None:
    async with checked_copy() as person:
        await person.type(*"hj4w")
        person.app.hand.advance(300)
        person.reveal.tick()
        person.app.tick()
        assert person.app.endings == [Ending.HIDDEN]
        text = await person.type(*"7qxb")
        assert "the key is no longer shown" in text
        assert text.count("✓ right") == 2


async def test_what_was_right_stays_right_when_somebody_comes_back() -> None:
    async with checked_copy() as person:
        await person.type(*"hj4w", "escape")
        again = CopyCheckScreen(person.reveal, person.check, person.app.clock)
        shown = await person.app.put(again, person.pilot)
        assert person.text.count("✓ right") == 1
        assert "[2]" in person.text
        shown.cancel()


async def test_a_lock_leaves_nothing_to_check_or_typed() -> None:
    async with checked_copy() as person:
        await person.type(*"hj4")
        typed = person.screen._typed
        visit = person.app.guard.begin()
        visit._reveals[person.reveal.release_id] = person.reveal
        await person.type("f10")
        assert typed == bytearray(4)
        assert len(person.check._kept) == 0
