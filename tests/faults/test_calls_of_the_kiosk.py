"""The part of the matrix that belongs to the calls of the kiosk."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.calls import CALLS
from tests.faults.matrix import every_fault_at

STEPS = ("sign_in", "session", "devices", "release", "closed", "lost")


# What anyio and httpcore have open when a handshake is given up, they leave to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(400)
@pytest.mark.parametrize("step", STEPS)
def test_every_call_against_every_fault(step: str, record_property: Callable[[str, object], None]) -> None:
    calls = [call for call in CALLS if call.phase == step and not call.name.startswith("broker")]
    record_property("cells", every_fault_at(calls))
