"""The key in each view, with what is said of it, its time, and the ways on from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from textual.pilot import Pilot

from kiosk import i18n
from kiosk.config.kiosk import Policy
from kiosk.errors import KeyRotated
from kiosk.screens.reveal import RevealScreen
from kiosk.terminal.recorders import Recorders
from kiosk.visit.answers import AfterReveal
from kiosk.visit.reveal import Reveal
from kiosk.wording import key_warning
from tests.support.screen_app import KEY, ScreenApp, rows

GROUPS = KEY.decode().split("-")
# Every pair of look-alikes, so that all that is said of a key is said.
ALIKE = b"0OQD-1IL7-5S8B-2Z6G-UV39-4XWM"
LONG_WARNING = key_warning(KeyRotated.code, Recorders(("tmux", "sudo", "another terminal"), Policy.MASK))


@dataclass
class ShownReveal:
    """Somebody in front of a key."""

    app: ScreenApp
    pilot: Pilot[None]
    reveal: Reveal
    shown: Any

    @property
    def text(self) -> str:
        return "\n".join(rows(self.app))

    @property
    def hints(self) -> str:
        return " ".join(" ".join(rows(self.app)[-2:]).split())

    async def press(self, *keys: str) -> str:
        await self.pilot.press(*keys)
        await self.pilot.pause()
        return self.text

    async def after(self, seconds: float) -> str:
        self.app.hand.advance(seconds)
        self.reveal.tick()
        self.app.tick()
        await self.pilot.pause()
        return self.text


@asynccontextmanager
async def shown_reveal(key: bytes = KEY, speak: str = "en", **options: Any) -> AsyncIterator[ShownReveal]:
    app = ScreenApp()
    i18n.use(speak)
    async with app.run_test(size=(80, 24)) as pilot:
        reveal = app.reveal(key)
        shown = await app.put(RevealScreen(reveal, **options), pilot)
        yield ShownReveal(app, pilot, reveal, shown)
        shown.cancel()


async def test_the_view_goes_from_whole_to_step_to_spelled() -> None:
    async with shown_reveal() as person:
        assert "Hotel" not in person.text
        step = await person.press("f2")
        assert [group for group in GROUPS if group in step] == GROUPS[:1]
        assert "Group 1 of 6" in step
        assert all(word in step for word in ("Hotel", "Juliett", "four", "Whiskey"))
        step = await person.press("right", "right", "left")
        assert [group for group in GROUPS if group in step] == GROUPS[1:2]
        assert "Group 2 of 6" in step
        spelled = await person.press("f2")
        assert KEY.decode() in spelled
        assert all(word in spelled for word in ("Hotel", "X-ray", "Alfa"))
        assert "Group 2 of 6" not in spelled
        whole = await person.press("f2")
        assert "Hotel" not in whole


async def test_the_view_stays_when_the_key_is_hidden_and_shown_again() -> None:
    async with shown_reveal() as person:
        await person.press("f2", "right", "space")
        assert not [group for group in GROUPS if group in person.text]
        await person.press("f2", "space")
        assert [group for group in GROUPS if group in person.text] == GROUPS[1:2]


async def test_words_are_those_of_the_visit_or_the_international_ones() -> None:
    async with shown_reveal(speak="sv") as person:
        assert "F3" not in person.hints
        await person.press("f3", "f2")
        assert "Helge" in person.text
        assert "F3" in person.hints
        assert "Hotel" in await person.press("f3")
        assert "Helge" in await person.press("f3")


async def test_in_english_there_is_no_choice_of_words() -> None:
    async with shown_reveal() as person:
        assert "F3" not in await person.press("f2")
        after = await person.press("f3")
        assert "Hotel" in after
        assert "This language has only one set of spelling words." in after


async def test_what_can_be_mistaken_is_said_and_goes_with_the_key() -> None:
    async with shown_reveal(ALIKE) as person:
        assert "This key has both: O/0, I/1, S/5, B/8, Z/2, G/6" in person.text
        assert "This key has both" not in await person.press("space")
        assert "This key has both" in await person.press("space")
    async with shown_reveal() as person:
        assert "Not in this key: S, 8, Z, 6. Read 5, B, 2, G instead." in person.text


async def test_more_time_is_offered_when_it_would_be_more_up_to_the_limit() -> None:
    async with shown_reveal() as person:
        assert "F4" not in person.hints
        await person.press("f4")
        assert person.reveal.deadline.left() == 300
        await person.after(100)
        assert "F4 More time" in person.hints
        said = await person.press("f4")
        assert "Time left 5:00" in said
        assert "Time extended" in said
        assert "Time extended" not in await person.after(6)
        while person.reveal.can_extend:
            await person.press("f4")
            await person.after(100)
        assert "F4" not in person.hints
        await person.after(300)
        assert person.reveal.over
        assert person.reveal.shown_seconds == pytest.approx(900)


async def test_time_cannot_be_asked_for_while_the_key_is_hidden() -> None:
    async with shown_reveal() as person:
        await person.after(100)
        await person.press("space", "f4")
        assert person.reveal.deadline.left() == 200


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["enter"], AfterReveal.CHECK),
        (["f6"], AfterReveal.CHECK),
        (["space", "f6"], AfterReveal.CHECK),
        (["f5"], AfterReveal.WHAT_NOW),
        (["space", "f5"], AfterReveal.WHAT_NOW),
        (["space", "enter", "enter"], AfterReveal.CHECK),
        (["escape"], AfterReveal.BACK),
    ],
)
async def test_the_ways_on(keys: list[str], answer: AfterReveal) -> None:
    async with shown_reveal() as person:
        await person.press(*keys)
        assert await person.shown is answer


async def test_a_key_that_is_gone_can_still_be_checked() -> None:
    async with shown_reveal() as person:
        await person.after(300)
        assert "F6 Check copy" in person.hints
        await person.press("f6")
        assert await person.shown is AfterReveal.CHECK


async def test_of_an_unusual_key_no_copy_can_be_checked() -> None:
    async with shown_reveal(b"35AJ-AC98-TI1H") as person:
        assert person.reveal.copy_check is None
        assert "Check" not in person.text
        await person.press("f2", "f6")
        assert not person.shown.done()
        await person.press("enter")
        assert await person.shown is AfterReveal.WHAT_NOW


@pytest.mark.parametrize("keys", [[], ["f2"], ["f2", "f2"]], ids=["whole", "step", "spelled"])
@pytest.mark.parametrize("masked", [False, True])
async def test_the_longest_warning_and_all_hints_fit(keys: list[str], masked: bool) -> None:
    async with shown_reveal(ALIKE, warning=LONG_WARNING, masked=masked) as person:
        await person.after(10)
        text = await person.press(*keys)
        assert " ".join(LONG_WARNING.split()) in " ".join(text.split())
        assert "Time left" in text
        for hint in (
            "Enter Check copy",
            "Space Hide",
            "F2 View",
            "F4 More time",
            "F5 What next",
            "F1 Help",
            "F10 Lock",
        ):
            assert hint in person.hints
