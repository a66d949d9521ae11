"""Key rotations: requested now, carried out by the Mac at its next check-in."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, field

from kiosk.clock import Clock
from kiosk.sandbox.graph.resources import moment
from kiosk.sandbox.tenant.directory import KEY_ALPHABET, Device

ACTION = "rotateFileVaultKey"


@dataclass
class _Rotation:
    requested_at: dt.datetime
    state: str = "pending"
    updated_at: dt.datetime | None = None
    new_key: str = field(default="", repr=False)


class Rotations:
    """The rotation of each device: pending, active, done. The rotation of a Mac that is offline stays pending.

    Nothing runs in the background: ``update`` brings a device up to date before it is read.
    """

    def __init__(self, clock: Clock, *, pending_seconds: int, active_seconds: int) -> None:
        self._clock = clock
        self._pending = dt.timedelta(seconds=pending_seconds)
        self._active = dt.timedelta(seconds=pending_seconds + active_seconds)
        self._by_device: dict[str, _Rotation] = {}

    def load(self, device: Device) -> None:
        """Take over the rotation that the device's data describe, if any."""
        if device.rotation:
            self._by_device[device.id] = _Rotation(device.rotation_asked, device.rotation, new_key=new_key())

    def request(self, device: Device) -> None:
        """Request a new key. Fails at once for a Mac without an escrowed key, and for what is not a Mac."""
        self.update(device)
        rotation = _Rotation(self._clock.utc(), new_key=new_key())
        if device.os != "macOS":
            rotation.state = "notSupported"
        elif device.key is None:
            rotation.state = "failed"
        self._by_device[device.id] = rotation

    def update(self, device: Device) -> None:
        """Bring the device up to date."""
        rotation = self._by_device.get(device.id)
        if rotation is None or not device.online:
            return
        since = self._clock.utc() - rotation.requested_at
        if rotation.state == "pending" and since >= self._pending:
            rotation.state, rotation.updated_at = "active", rotation.requested_at + self._pending
        if rotation.state == "active" and since >= self._active:
            rotation.state, rotation.updated_at = "done", rotation.requested_at + self._active
            device.key, device.seen = rotation.new_key, rotation.updated_at.replace(microsecond=0)

    def results(self, device: Device) -> list[dict[str, str]]:
        """Return the device's ``deviceActionResults``."""
        rotation = self._by_device.get(device.id)
        if rotation is None:
            return []
        return [
            {
                "actionName": ACTION,
                "actionState": rotation.state,
                "startDateTime": moment(rotation.requested_at),
                "lastUpdatedDateTime": moment(rotation.updated_at or rotation.requested_at),
            }
        ]


def new_key() -> str:
    """Return a random recovery key in the form of FileVault's."""
    return "-".join("".join(secrets.choice(KEY_ALPHABET) for _ in range(4)) for _ in range(6))
