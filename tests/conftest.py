"""Options of the whole test run."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Goldens are written anew only on request."""
    parser.addoption("--update-goldens", action="store_true", help="Write the text goldens of the screens anew.")
