"""Every fault at each call of the list of devices in Graph."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.matrix import every_fault_at

CALLS = (
    "broker lists the person's devices",
    "broker asks for the next page",
    "broker asks for primary users for the list",
)


# anyio and httpcore leave sockets of an abandoned handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(600)
def test_every_fault(record_property: Callable[[str, object], None], pytestconfig: pytest.Config) -> None:
    record_property("cells", every_fault_at(CALLS, pytestconfig))
