"""Every fault at each call of a release from the fetch of the key on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.matrix import every_fault_at

CALLS = (
    "broker fetches the key",
    "broker asks how a Mac without a key is encrypted",
    "kiosk says how the reveal ended",
    "supervisor says that a reveal was lost",
)


# anyio and httpcore leave sockets of an abandoned handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(600)
def test_every_fault(record_property: Callable[[str, object], None], pytestconfig: pytest.Config) -> None:
    record_property("cells", every_fault_at(CALLS, pytestconfig))
