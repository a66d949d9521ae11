"""The matrix is complete: each call of kiosk and broker is played in exactly one file."""

from __future__ import annotations

from tests.faults import (
    test_device_list,
    test_device_list_graph,
    test_release_device,
    test_release_key,
    test_session,
    test_sign_in,
)
from tests.faults.calls import CALLS

PARTS = (test_sign_in, test_session, test_device_list, test_device_list_graph, test_release_device, test_release_key)


def test_every_call_is_played_once() -> None:
    assert sorted(call for part in PARTS for call in part.CALLS) == sorted(call.name for call in CALLS)
