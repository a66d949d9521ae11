"""The card for the walk back: all that has to be on it, two pages, and the way out."""

from __future__ import annotations

import pytest

from kiosk.models import Device
from kiosk.screens.what_now import WhatNowScreen
from kiosk.visit.answers import AfterCard
from tests.support.screen_app import CONFIG, ScreenApp, device, rows

HELPDESK = CONFIG.organisation.helpdesk


async def pages(about: Device, size: tuple[int, int]) -> list[str]:
    app = ScreenApp()
    async with app.run_test(size=size) as pilot:
        shown = await app.put(WhatNowScreen(about, HELPDESK), pilot)
        first = " ".join(" ".join(rows(app)).replace("▌", " ").split())
        await pilot.press("enter")
        await pilot.pause()
        second = " ".join(" ".join(rows(app)).replace("▌", " ").split())
        shown.cancel()
    return [first, second]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_what_stands_on_it(size: tuple[int, int]) -> None:
    first, second = await pages(device(), size)
    for words in ("Astrid's MacBook Pro, MacBook Pro", "C02XK1ABJG5H", "question mark", "three times", "Caps Lock"):
        assert words in first
    for words in ("keyboard layout", "Dashes appear automatically", "capital letters", "new password", "Page 1 of 2"):
        assert words in first
    for words in ("macOS Recovery", "Recovery Lock", "28-character", "keychain", "single sign-on", "change the key"):
        assert words in second
    assert HELPDESK in second
    assert "Page 2 of 2" in second


async def test_a_mac_of_which_little_is_known() -> None:
    first, _ = await pages(device("", model="", serial=""), (80, 24))
    assert "(no name)" in first
    assert "Serial" not in first


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["enter", "enter"], AfterCard.FINISH),
        (["right", "right", "enter"], AfterCard.FINISH),
        (["escape"], AfterCard.BACK),
        (["enter", "escape", "escape"], AfterCard.BACK),
        (["pagedown", "left", "escape"], AfterCard.BACK),
    ],
)
async def test_the_ways_out(keys: list[str], answer: AfterCard) -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(WhatNowScreen(device(), HELPDESK), pilot)
        await pilot.press(*keys)
        assert await shown is answer
