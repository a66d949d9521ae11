"""Every scene in every language at 80x24: nothing is cut, covered or pushed off, and each looks as it was reviewed.

Unless --every-scene or --update-goldens is given, a scene is drawn in the languages that say most in it, and in one
more: where their words have room, those of the others have it.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiosk import i18n
from kiosk.i18n import LANGUAGES, SOURCE
from kiosk.screens.base import KioskScreen
from kiosk.widgets.prose import Prose
from tests.support.drawn import unfit
from tests.support.scenes import SCENES, played, still_there
from tests.support.screen_app import ScreenApp, rows

GOLDENS = Path(__file__).parents[1] / "screens" / "goldens" / "languages"
# Lines of a golden are compared at once, so that a review sees one file for each language.
_RULE = "=" * 80
_STRICTEST = 3


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    i18n.use(SOURCE)


@functools.cache
def reviewed(language: str) -> dict[str, list[str]]:
    """Return each scene of a golden, by its name."""
    golden = GOLDENS / f"{language}.txt"
    lines = golden.read_text().splitlines() if golden.exists() else []
    heads = [place for place, line in enumerate(lines) if line.endswith(_RULE[-10:])]
    parts = itertools.pairwise([*heads, len(lines)])
    return {lines[begin].rstrip("= "): lines[begin + 1 : end] for begin, end in parts}


def strictest(language: str) -> list[str]:
    """Return the scenes in which this language says most, or whose turn it is, and those that nobody has reviewed."""

    def said(scene: str, other: str) -> int:
        return sum(map(str.isalpha, "".join(reviewed(other).get(scene, ()))))

    def chosen(place: int, scene: str) -> bool:
        if scene not in reviewed(language):
            return True
        longest = sorted(LANGUAGES, key=lambda other: said(scene, other))[-_STRICTEST:]
        return language in {*longest, sorted(LANGUAGES)[place % len(LANGUAGES)]}

    return [scene for place, scene in enumerate(SCENES) if chosen(place, scene)]


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_scene(language: str, request: pytest.FixtureRequest) -> None:
    """One app for all of them, as starting one takes longer than drawing."""
    updating = request.config.getoption("--update-goldens")
    every = updating or request.config.getoption("--every-scene")
    faults: list[str] = []
    drawn: dict[str, list[str]] = {}
    app = ScreenApp(note="DEMO - simulated organisation")
    i18n.use(language)
    async with app.run_test(size=(80, 24)) as pilot:
        for name in SCENES if every else strictest(language):
            async with played(app, name, pilot):
                faults += [f"{language}, {name}: {fault}" for fault in unfit(app)]
                drawn[name] = rows(app)
        async with played(app, "devices", pilot):
            assert isinstance(app.screen, KioskScreen)
            app.screen.warn(still_there())
            await pilot.pause()
            faults += [f"{language}, warning: {fault}" for fault in unfit(app)]
        async with played(app, "reveal", pilot):
            await pilot.resize_terminal(60, 20)
            await pilot.pause()
            faults += [f"{language}, too small: {fault}" for fault in unfit(app, (Prose,))]
    assert not faults, "\n".join(["", *faults])
    if updating:
        GOLDENS.mkdir(exist_ok=True)
        lines = [line for name, text in drawn.items() for line in (f"{name} {_RULE}"[: len(_RULE)], *text)]
        (GOLDENS / f"{language}.txt").write_text("\n".join([*lines, ""]))
        reviewed.cache_clear()
    golden = reviewed(language)
    assert list(golden) == list(SCENES)
    assert drawn == {name: golden[name] for name in drawn}


def test_each_scene_is_drawn_in_its_longest_languages() -> None:
    drawn = Counter(scene for language in LANGUAGES for scene in strictest(language))
    assert drawn.keys() == SCENES.keys()
    assert set(drawn.values()) <= {_STRICTEST, _STRICTEST + 1}
