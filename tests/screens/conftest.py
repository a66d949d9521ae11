"""Nothing of one test reaches the next, neither its language nor its garbage, and nothing of the terminal around it."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from kiosk import i18n


@pytest.fixture(autouse=True)
def _all_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    yield
    i18n.use(i18n.SOURCE)


@pytest.fixture(autouse=True)
def _little_to_collect() -> Iterator[None]:
    """The kiosk collects garbage at each change of screens, which takes the longer the more tests have run before."""
    yield
    gc.freeze()
