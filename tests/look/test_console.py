"""The colours on the kernel's own console: what it keeps of a screen is what our model says, and can be read."""

from __future__ import annotations

import itertools

import pytest
from rich.cells import cell_len
from textual.theme import Theme

from docs.palettes import attribute, console_colours, written
from kiosk.look.themes import ANSI, ANSI_CONTRAST, contrast
from tests.screens.test_goldens import seen, stage
from tests.support.console import console

BLANK = {0, ord(" ")}


@pytest.mark.parametrize(("wanted", "look", "least"), [("auto", ANSI, 4.5), ("contrast", ANSI_CONTRAST, 7.0)])
async def test_what_the_kernel_keeps(wanted: str, look: Theme, least: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "linux")
    monkeypatch.delenv("COLORTERM", raising=False)
    with console() as kernel:
        app = stage(theme=wanted, type="ascii")
        async with app.run_test(size=(80, 24)) as pilot, seen(app, "devices, warned", pilot):
            assert app.theme == look.name
            screen = app.screen._compositor
            kernel.write(f"\x1b[m\x1b[2J{screen.render_full_update().render_segments(app.console)}")
            colours = app.console._color_system
            assert colours
            expected = [
                attribute(written(style, colours))
                for text, style, _ in itertools.chain.from_iterable(screen.render_strips())
                for _ in range(cell_len(text))
            ]
        columns, cells = kernel.cells()
        assert columns == 80
        kept = cells[: len(expected)]
        assert [colours for _, colours in kept] == expected
        palette = kernel.palette()
        for glyph, pair in kept:
            text, behind = (palette[colour] for colour in console_colours(pair))
            assert glyph in BLANK or contrast(text, behind) >= least, (chr(glyph), text, behind)
