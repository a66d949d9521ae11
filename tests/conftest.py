"""Options and order of the whole test run."""

from __future__ import annotations

import functools
import gc
import os
import sys
from pathlib import Path

import pytest

from tests.support import examples, rsa_keys

HERE = Path(__file__).parent

# Where bytecode is not kept, each worker compiles all tests, and each program that a test starts compiles the kiosk.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

rsa_keys.load_quickly()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this project."""
    parser.addoption("--update-goldens", action="store_true", help="Write the text goldens of the screens again.")
    parser.addoption("--residue-runs", type=int, default=1, help="How many visits are searched for what they leave.")
    parser.addoption("--kills", type=int, default=4, help="How often a broker or writer is killed, on each database.")
    parser.addoption("--rows", type=int, default=1000, help="How long the record is on which brokers start at once.")
    parser.addoption("--every-fault", action="store_true", help="Play also the faults that a client treats alike.")
    parser.addoption("--every-scene", action="store_true", help="Draw each scene in all languages, not in the longest.")
    parser.addoption("--sessions", type=int, default=6, help="How many sessions over SSH there are at once.")
    parser.addoption("--examples", type=int, default=1, help="Try that many times as many examples in fuzz tests.")
    parser.addoption("--noise", type=int, default=200_000, help="How many bytes of noise the kiosk has to bear.")
    parser.addoption("--quick", action="store_true", help="Leave out the slowest tests.")


def pytest_configure(config: pytest.Config) -> None:
    """Say how many examples to try, before the modules of the tests ask."""
    examples.times = config.getoption("--examples")


# What takes longest and depends least on the version of Python.
_SLOWEST = (
    "broker/audit",
    "broker/record/test_crashes.py",
    "broker/record/test_running_fleet.py",
    "broker/record/test_kill.py",
    "broker/record/test_limits_model.py",
    "broker/record/test_limits_processes.py",
    "broker/record/test_postgresql.py",
    "broker/record/test_refusal_throttle.py",
    "broker/test_fuzz.py",
    "broker/test_recovery.py",
    "causes",
    "checks/test_misconfigurations.py",
    "faults",
    "i18n/test_fit.py",
    "residue",
    "screens/test_goldens.py",
    "screens/test_hostile.py",
    "screens/test_themes.py",
    "screens/test_trouble.py",
    "sign_in_page/test_browser.py",
    "ssh",
    "system",
    "terminal/test_fuzz.py",
    "terminal/test_stalled.py",
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``--quick``, leave out the slowest tests."""
    return True if config.getoption("--quick") and collection_path in {HERE / slow for slow in _SLOWEST} else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the size of the matrix of calls and faults, from all workers."""
    passed = terminalreporter.getreports("passed")
    sizes = [value for report in passed for name, value in report.user_properties if name == "cells"]
    if sizes:
        terminalreporter.write_line(f"calls against faults: {sum(map(int, sizes))} cells passed")


@pytest.fixture(autouse=True)
def _draw_when_looked_at(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the frames between two looks, which take a quarter of the time and go nowhere."""
    if request.path.relative_to(HERE).parts[0] not in _LOOKED_AT:
        return
    from textual._compositor import Compositor

    def nothing(compositor: Compositor, *_arguments: object, **_options: object) -> None:
        compositor._dirty_regions.clear()

    monkeypatch.setattr(Compositor, "render_update", nothing)


def pytest_collection_finish() -> None:
    """Keep the collector away from what collection made: the kiosk collects garbage at each change of screens."""
    gc.collect()
    gc.freeze()


# Their tests read the screen of an app that has no terminal.
_LOOKED_AT = ("causes", "i18n", "screens", "visit")

# Files that take longest. One that began last would keep a single core busy when all others are done.
_SLOW_FIRST = (
    "residue",
    "faults",
    "ssh",
    "system",
    "broker/sinks/test_sinks.py",
    "terminal",
    "checks/test_misconfigurations.py",
    "broker/test_faults.py",
    "broker/test_process.py",
    "causes",
    "i18n/test_fit.py",
    "screens/test_goldens.py",
    "visit/test_flow.py",
    "broker/record",
    "broker/sinks",
    "broker/test_fuzz.py",
    "broker/audit",
)


@functools.cache
def _place(path: Path) -> int:
    """Return the place of a file in the order of the run."""
    here = path.relative_to(HERE)
    names = (here, *here.parents)
    return next((place for place, slow in enumerate(_SLOW_FIRST) if Path(slow) in names), len(_SLOW_FIRST))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow files first; within them, and among the rest, the order stays."""
    items.sort(key=lambda item: _place(item.path))
