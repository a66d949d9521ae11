"""A language that one test chose is not the next one's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kiosk import i18n


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    yield
    i18n.use(i18n.SOURCE)
