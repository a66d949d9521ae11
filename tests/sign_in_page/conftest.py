"""A page for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.support.sign_in_page import Page, whole_page


@pytest_asyncio.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """Run a page with a broker and a sign-in service that answer as the test says."""
    async with whole_page(tmp_path) as running:
        yield running
