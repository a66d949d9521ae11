"""Start coverage in every Python of the measured environment; ``make test-newest`` copies this file there.

The programs start in an environment made from nothing, so no variable could tell them to measure themselves.
"""

from __future__ import annotations

import os

import coverage

ROOT = "@ROOT@"

_TOLD = {"COVERAGE_PROCESS_START": f"{ROOT}/pyproject.toml", "COVERAGE_FILE": f"{ROOT}/build/coverage/data"}
os.environ.update(_TOLD)
coverage.process_startup()
# The programs compare their environment with the one that they want.
for _name in _TOLD:
    del os.environ[_name]
