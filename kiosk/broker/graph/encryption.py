"""Why there is no recovery key: what Graph says about a device and its encryption, read as one cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kiosk.broker.graph.managed_device import ManagedDevice
from kiosk.errors import (
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
from kiosk.text import clean

# Enrolment itself is a report; nothing that was asked for then has happened yet.
_ENROLLING = timedelta(minutes=15)
_NO_POLICY = frozenset({"notassigned", "notapplicable"})
_UNREPORTED_POLICY = frozenset({"", "unknown"})


@dataclass(frozen=True)
class EncryptionState:
    """A ``managedDeviceEncryptionState``, all in lower case. ``file_vault`` may hold several of Graph's words."""

    state: str = ""
    policy: str = ""
    file_vault: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"encryptionState={self.state!r} policy={self.policy!r} fileVaultStates={','.join(self.file_vault)!r}"


def read_encryption(item: Mapping[str, Any]) -> EncryptionState:
    """Read one state, of which every field may be missing, null, of the wrong type or new to us."""
    words = clean(item.get("fileVaultStates")).lower().split(",")
    return EncryptionState(
        state=clean(item.get("encryptionState")).lower(),
        policy=clean(item.get("encryptionPolicySettingState")).lower(),
        file_vault=frozenset(word.strip() for word in words if word.strip()),
    )


def why_no_key(device: ManagedDevice, state: EncryptionState | None) -> type[KeyNotEscrowed]:
    """The cause that Graph's words support best; KeyNotEscrowed itself where they support none, or contradict."""
    if device.last_seen is None:
        return KeyNeverReported
    if state and (cause := _by_state(device, state)):
        return cause
    if device.enrolled and device.last_seen <= device.enrolled + _ENROLLING:
        return KeyNotReported
    return KeyNotEscrowed


def _by_state(device: ManagedDevice, state: EncryptionState) -> type[KeyNotEscrowed] | None:
    # Both can be a day old; where they disagree, neither explains anything.
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
    """The code of what a person should know about the stored key, if there is such a thing."""
    if device.rotated and (device.last_seen is None or device.rotated > device.last_seen):
        return KeyRotated.code
    return None
