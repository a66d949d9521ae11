"""A page for the tests of linear mode."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.linear_terminal import LinearTerminal


@pytest.fixture
def terminal() -> Iterator[LinearTerminal]:
    made = LinearTerminal()
    yield made
    made.close()
