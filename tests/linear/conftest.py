"""A page for the tests of linear mode."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.paper import Paper


@pytest.fixture
def paper() -> Iterator[Paper]:
    made = Paper()
    yield made
    made.close()
