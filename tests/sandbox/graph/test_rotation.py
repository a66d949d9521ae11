"""Key rotations over time: they wait for the Mac, and stay pending while it is offline."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from kiosk.sandbox.graph.rotation import Rotations, new_key
from kiosk.sandbox.tenant.directory import Device
from tests.support.clock import ManualClock
from tests.support.sandbox import RunningSandbox


def test_pending_then_active_then_done() -> None:
    clock = ManualClock()
    rotations = Rotations(clock, pending_seconds=10, active_seconds=5)
    mac = Device(id="a", os="macOS", key=new_key())
    old = mac.key
    assert rotations.results(mac) == []
    rotations.request(mac)
    for advance, state, changed in ((0, "pending", False), (10, "active", False), (5, "done", True)):
        clock.advance(advance)
        rotations.update(mac)
        assert rotations.results(mac)[0]["actionState"] == state
        assert (mac.key != old) is changed
    assert mac.seen == clock.utc()
    assert str(mac.key) not in repr(rotations.__dict__)


def test_a_mac_that_is_off_stays_pending_until_it_is_on() -> None:
    clock = ManualClock()
    rotations = Rotations(clock, pending_seconds=1, active_seconds=1)
    mac = Device(id="a", os="macOS", key=new_key(), online=False)
    rotations.request(mac)
    clock.advance(86_400)
    rotations.update(mac)
    assert rotations.results(mac)[0]["actionState"] == "pending"
    mac.online = True
    rotations.update(mac)
    assert rotations.results(mac)[0]["actionState"] == "done"


@pytest.mark.parametrize(
    ("device", "state"), [(Device(id="a", os="Windows"), "notSupported"), (Device(id="a", os="macOS"), "failed")]
)
def test_what_cannot_rotate_says_so(device: Device, state: str) -> None:
    rotations = Rotations(ManualClock(), pending_seconds=1, active_seconds=1)
    rotations.request(device)
    rotations.update(device)
    assert rotations.results(device)[0]["actionState"] == state


def test_over_the_wire(sandbox: RunningSandbox, graph: httpx.Client) -> None:
    def device(name: str) -> dict[str, Any]:
        path = f"/beta/deviceManagement/managedDevices/{sandbox.device(name).id}"
        return dict(graph.get(path, params={"$select": "id,deviceActionResults,lastSyncDateTime"}).json())

    for name in ("NW-AKESSLER-14", "NW-MSOLBERG-OFF"):
        path = f"/beta/deviceManagement/managedDevices/{sandbox.device(name).id}/rotateFileVaultKey"
        response = graph.post(path)
        assert (response.status_code, response.content) == (204, b"")
        assert device(name)["deviceActionResults"][0]["actionName"] == "rotateFileVaultKey"
        assert device(name)["deviceActionResults"][0]["actionState"] == "pending"
    before = device("NW-AKESSLER-14")["lastSyncDateTime"]
    sandbox.advance(60)
    assert device("NW-AKESSLER-14")["deviceActionResults"][0]["actionState"] == "done"
    assert device("NW-AKESSLER-14")["lastSyncDateTime"] > before
    assert device("NW-MSOLBERG-OFF")["deviceActionResults"][0]["actionState"] == "pending"
    mac = sandbox.device("NW-AKESSLER-14")
    key = graph.get(f"/beta/deviceManagement/managedDevices/{mac.id}/getFileVaultKey").json()["value"]
    assert key != mac.key
    personal = sandbox.device("Emil's MacBook").id
    assert graph.post(f"/beta/deviceManagement/managedDevices/{personal}/rotateFileVaultKey").status_code == 403
