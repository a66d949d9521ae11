"""Finds out why there is no recovery key, from what Graph says about a device and its encryption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kiosk.broker.graph.managed_device import ManagedDevice
from kiosk.errors import (
    DeviceRefused,
    EncryptionDeferred,
    EncryptionNoPolicy,
    EncryptionNotStarted,
    KeyEscrowOff,
    KeyNeverReported,
    KeyNotEscrowed,
    KeyNotReported,
    KeyRotated,
    KeyWithPerson,
)
from kiosk.models import Device
from kiosk.text import clean

# A report this soon after enrolment cannot show the result of anything that was requested then.
_ENROLLING = timedelta(minutes=15)
_NO_POLICY = frozenset({"notassigned", "notapplicable"})
_UNREPORTED_POLICY = frozenset({"", "unknown"})


@dataclass(frozen=True)
class EncryptionState:
    """A ``managedDeviceEncryptionState`` in lower case. ``file_vault`` holds all values that Graph gives at once."""

    state: str = ""
    policy: str = ""
    file_vault: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"encryptionState={self.state!r} policy={self.policy!r} fileVaultStates={','.join(self.file_vault)!r}"


def read_encryption(item: Mapping[str, Any]) -> EncryptionState:
    """Read one state. Any field may be missing, null, of the wrong type or new to us."""
    words = clean(item.get("fileVaultStates")).lower().split(",")
    return EncryptionState(
        state=clean(item.get("encryptionState")).lower(),
        policy=clean(item.get("encryptionPolicySettingState")).lower(),
        file_vault=frozenset(word.strip() for word in words if word.strip()),
    )


def why_no_key(device: ManagedDevice, state: EncryptionState | None) -> type[KeyNotEscrowed]:
    """Return the most likely cause, or KeyNotEscrowed if Graph's statements explain nothing or contradict."""
    if device.never_seen:
        return KeyNeverReported
    if state and (cause := _by_state(device, state)):
        return cause
    if device.enrolled and device.last_seen and device.last_seen <= device.enrolled + _ENROLLING:
        return KeyNotReported
    return KeyNotEscrowed


def _by_state(device: ManagedDevice, state: EncryptionState) -> type[KeyNotEscrowed] | None:
    # Both statements can be a day old. If they disagree, neither explains anything.
    encrypted = state.state == "encrypted" and device.encrypted is not False
    plain = state.state == "notencrypted" and device.encrypted is not True
    if "driveencryptedbyuser" in state.file_vault and encrypted:
        return KeyWithPerson
    if "userdeferredencryption" in state.file_vault and plain:
        return EncryptionDeferred
    if state.policy in _NO_POLICY and (encrypted or plain):
        return EncryptionNoPolicy
    if "escrownotenabled" in state.file_vault and encrypted:
        return KeyEscrowOff
    if plain:
        return KeyNotReported if state.policy in _UNREPORTED_POLICY else EncryptionNotStarted
    return None


def key_warning(device: ManagedDevice) -> str | None:
    """Return the code of a warning about the stored key, or None."""
    if device.rotated and (device.last_seen is None or device.rotated > device.last_seen):
        return KeyRotated.code
    return None


def described(device: ManagedDevice, refusal: DeviceRefused | None = None) -> Device:
    """Return what the person is told about a Mac."""
    return Device(
        id=device.id,
        name=device.name,
        model=device.model,
        serial=device.serial,
        os=device.os,
        os_version=device.os_version,
        last_seen=device.last_seen,
        never_seen=device.never_seen,
        refusal=refusal.code if refusal else None,
        warning=None if refusal else key_warning(device),
    )
