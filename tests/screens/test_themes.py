"""Every screen can be read in every look; looks are switched by a key and chosen by the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from kiosk.config.kiosk import Look
from kiosk.look import themes
from kiosk.look.themes import ANSI, CONTRAST, DARK, LIGHT
from tests.screens.test_goldens import SCREENS
from tests.support.screen_app import CONFIG, ScreenApp, welcome

LEAST = {DARK.name: 4.5, LIGHT.name: 4.5, CONTRAST.name: 7.0}
# What carries no words: the part of a bar that is used up, and what a hidden key leaves.
_DRAWING = frozenset("─━█▀▄▏·")


def stage(**look: Any) -> ScreenApp:
    return ScreenApp(msgspec.structs.replace(CONFIG, look=Look(**look)))


def test_contrast_is_that_of_wcag() -> None:
    assert themes.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert themes.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert themes.contrast("#123456", "#123456") == 1


async def test_all_words_can_be_told_from_what_they_stand_on() -> None:
    app = stage(theme=DARK.name, accent="#8a2be2")
    async with app.run_test(size=(80, 24)) as pilot:
        for name, make in SCREENS.items():
            shown = await app.put(make(app), pilot)
            for look, least in LEAST.items():
                app.theme = look
                await pilot.pause()
                poor = [found for found in words(app) if found[1] < least]
                assert not poor, (name, look)
            shown.cancel()


def words(app: ScreenApp) -> Iterator[tuple[str, float]]:
    """Every piece of text on the screen, and its contrast."""
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            if set(segment.text.strip()) - _DRAWING:
                assert segment.style
                text, behind = segment.style.color, segment.style.bgcolor
                assert text
                assert behind
                yield segment.text, themes.contrast(text.get_truecolor().hex, behind.get_truecolor().hex)


async def test_a_key_shows_the_next_look_on_any_screen() -> None:
    app = stage(theme="dark")
    async with app.run_test(size=(80, 24)) as pilot:
        app.few_colours = False
        shown = await app.put(welcome(app), pilot)
        for expected in (LIGHT, CONTRAST, ANSI, DARK):
            await pilot.press("f8")
            assert app.theme == expected.name
        shown.cancel()


def test_a_terminal_of_few_colours_gets_those_that_suit_it() -> None:
    assert themes.first("auto", few_colours=True) == ANSI.name
    assert themes.first("auto", few_colours=False) == DARK.name
    assert themes.first("light", few_colours=True) == LIGHT.name
    assert themes.following(ANSI.name, few_colours=True) == CONTRAST.name
    assert themes.following(CONTRAST.name, few_colours=True) == ANSI.name
    assert themes.following(LIGHT.name, few_colours=True) == ANSI.name


@pytest.mark.parametrize("accent", ["#000000", "#ffffff", "#777777", "#8a2be2", "#ffd400"])
def test_a_name_can_be_read_on_any_colour_of_an_organisation(accent: str) -> None:
    assert themes.contrast(themes.legible_on(accent), accent) >= 4.5
