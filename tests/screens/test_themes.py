"""Looks are switched by a key and chosen by the configuration; test_goldens.py has their contrasts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kiosk.config.kiosk import Look
from kiosk.look import themes
from kiosk.look.themes import ANSI, ANSI_CONTRAST, CONTRAST, DARK, LIGHT
from tests.screens.test_goldens import styles
from tests.support.screen_app import CONFIG, ScreenApp, welcome


def stage(**look: Any) -> ScreenApp:
    return ScreenApp(msgspec.structs.replace(CONFIG, look=Look(**look)))


def test_contrast_is_that_of_wcag() -> None:
    assert themes.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert themes.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert themes.contrast("#123456", "#123456") == 1


async def test_a_key_shows_the_next_look_on_any_screen() -> None:
    app = stage(theme="dark")
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(welcome(app), pilot)
        for expected in (LIGHT, CONTRAST, ANSI, DARK):
            await pilot.press("f8")
            assert app.theme == expected.name
        shown.cancel()


@pytest.mark.parametrize("look", ["ansi", "contrast"])
async def test_a_look_to_begin_with_is_drawn_like_one_that_is_chosen(look: str) -> None:
    app = stage(theme=look)
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(welcome(app), pilot)
        first = list(styles(app))
        for other in ("dark", look):
            app.theme = other
            await pilot.pause()
        assert list(styles(app)) == first
        shown.cancel()


def test_a_terminal_of_few_colours_gets_those_that_suit_it() -> None:
    assert themes.first("auto", few_colours=False) == DARK.name
    for wanted in ("auto", "ansi", "dark", "light"):
        assert themes.first(wanted, few_colours=True) == ANSI.name
    assert themes.first("contrast", few_colours=True) == ANSI_CONTRAST.name
    assert themes.following(ANSI.name, few_colours=True) == ANSI_CONTRAST.name
    assert themes.following(ANSI_CONTRAST.name, few_colours=True) == ANSI.name


@pytest.mark.parametrize(("name", "few"), [("linux", True), ("xterm", True), ("xterm-256color", False)])
def test_which_terminals_those_are(name: str, few: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", name)
    monkeypatch.delenv("COLORTERM", raising=False)
    assert ScreenApp().few_colours is few


@pytest.mark.parametrize("accent", ["#000000", "#ffffff", "#777777", "#8a2be2", "#ffd400"])
def test_a_name_can_be_read_on_any_colour_of_an_organisation(accent: str) -> None:
    assert themes.contrast(themes.legible_on(accent), accent) >= 4.5
