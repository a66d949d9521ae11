"""Options and order of the whole test run."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Goldens are written anew, and memory is searched many times, only on request."""
    parser.addoption("--update-goldens", action="store_true", help="Write the text goldens of the screens anew.")
    parser.addoption("--residue-runs", type=int, default=1, help="How many visits are searched for what they leave.")
    parser.addoption("--kills", type=int, default=6, help="How often the broker is killed, on each database.")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The size of the matrix of calls and faults, from all workers."""
    passed = terminalreporter.getreports("passed")
    sizes = [value for report in passed for name, value in report.user_properties if name == "cells"]
    if sizes:
        terminalreporter.write_line(f"calls against faults: {sum(map(int, sizes))} cells passed")


def pytest_collection_finish() -> None:
    """The kiosk collects garbage at each change of screens; of what stands here now, nothing is."""
    gc.collect()
    gc.freeze()


# Few tests, but slow ones: begun last, one of them would keep a single core busy when all others are done.
_SLOW_FIRST = ("ssh", "faults", "residue", "terminal", "i18n", "causes", "checks", "system")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow folders first; within them, and among the rest, the order stays."""
    here = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(here).parts[0]
        return _SLOW_FIRST.index(folder) if folder in _SLOW_FIRST else len(_SLOW_FIRST)

    items.sort(key=place)
