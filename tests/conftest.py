"""Options of the whole test run."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Goldens are written anew, and memory is searched many times, only on request."""
    parser.addoption("--update-goldens", action="store_true", help="Write the text goldens of the screens anew.")
    parser.addoption("--residue-runs", type=int, default=1, help="How many visits are searched for what they leave.")
    parser.addoption("--kills", type=int, default=6, help="How often the broker is killed, on each database.")
