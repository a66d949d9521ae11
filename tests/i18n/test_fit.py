"""Every scene in every language at 80x24: nothing is cut, covered or pushed off, and each looks as it was reviewed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from textual._compositor import Compositor

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


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    i18n.use(SOURCE)


@pytest.fixture(autouse=True)
def _draw_when_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the frames between two looks, which take a quarter of the time."""

    def nothing(compositor: Compositor, *_arguments: object, **_options: object) -> None:
        compositor._dirty_regions.clear()

    monkeypatch.setattr(Compositor, "render_update", nothing)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_scene(language: str, request: pytest.FixtureRequest) -> None:
    """One app for all of them, as starting one takes longer than drawing."""
    faults: list[str] = []
    drawn: list[str] = []
    app = ScreenApp(note="DEMO - simulated organisation")
    i18n.use(language)
    async with app.run_test(size=(80, 24)) as pilot:
        for name in SCENES:
            async with played(app, name, pilot):
                faults += [f"{language}, {name}: {fault}" for fault in unfit(app)]
                drawn += [f"{name} {_RULE}"[: len(_RULE)], *rows(app)]
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
    golden = GOLDENS / f"{language}.txt"
    text = "\n".join([*drawn, ""])
    if request.config.getoption("--update-goldens"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()
