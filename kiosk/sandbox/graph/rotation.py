"""Key rotations: asked for now, done by the Mac when it hears of it."""

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
    asked_at: dt.datetime
    state: str = "pending"
    updated_at: dt.datetime | None = None
    new_key: str = field(default="", repr=False)


class Rotations:
    """Moves every rotation on when somebody looks: pending, active, done. A Mac that is not online stays pending."""

    def __init__(self, clock: Clock, *, pending_seconds: int, active_seconds: int) -> None:
        self._clock = clock
        self._pending = dt.timedelta(seconds=pending_seconds)
        self._active = dt.timedelta(seconds=pending_seconds + active_seconds)
        self._by_device: dict[str, _Rotation] = {}

    def remember(self, device: Device) -> None:
        """Begin with the rotation that the data of the device speak of, if any; what is over stays as it is."""
        if device.rotation:
            self._by_device[device.id] = _Rotation(device.rotation_asked, device.rotation, new_key=new_key())

    def ask(self, device: Device) -> None:
        """Ask a Mac for a new key. One that has escrowed none, or is no Mac, answers that it cannot."""
        self.settle(device)
        rotation = _Rotation(self._clock.utc(), new_key=new_key())
        if device.os != "macOS":
            rotation.state = "notSupported"
        elif device.key is None:
            rotation.state = "failed"
        self._by_device[device.id] = rotation

    def settle(self, device: Device) -> None:
        """Bring a device to the state of this moment."""
        rotation = self._by_device.get(device.id)
        if rotation is None or not device.online:
            return
        since = self._clock.utc() - rotation.asked_at
        if rotation.state == "pending" and since >= self._pending:
            rotation.state, rotation.updated_at = "active", rotation.asked_at + self._pending
        if rotation.state == "active" and since >= self._active:
            rotation.state, rotation.updated_at = "done", rotation.asked_at + self._active
            device.key, device.seen = rotation.new_key, rotation.updated_at.replace(microsecond=0)

    def results(self, device: Device) -> list[dict[str, str]]:
        """``deviceActionResults`` of a device."""
        rotation = self._by_device.get(device.id)
        if rotation is None:
            return []
        return [
            {
                "actionName": ACTION,
                "actionState": rotation.state,
                "startDateTime": moment(rotation.asked_at),
                "lastUpdatedDateTime": moment(rotation.updated_at or rotation.asked_at),
            }
        ]


def new_key() -> str:
    """A recovery key as FileVault makes them."""
    return "-".join("".join(secrets.choice(KEY_ALPHABET) for _ in range(4)) for _ in range(6))
