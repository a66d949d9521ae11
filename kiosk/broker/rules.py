"""The rules of a release, one function each. A rule answers with the refusal that it demands, or with None.

Their order is part of them. Whether a reason is given stands first, as it costs nothing to see. Then ownership: of a
device that belongs to somebody else a person learns that, and nothing further. What the device is and how it is managed
comes next, from what can never change to what an administrator can change, and who owns it last. The limits are counted
when the release is written into the record, see ``record.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.broker.managed_device import ManagedDevice
from kiosk.errors import (
    DeviceLeaving,
    DeviceNotMac,
    DeviceNotManaged,
    DeviceNotYours,
    DeviceOtherAgent,
    DeviceOwnerUnknown,
    DevicePersonal,
    DeviceRefused,
    DeviceShared,
    ReasonRequired,
)
from kiosk.models import ReasonRule
from kiosk.text import clean

_LONGEST_REASON = 200
_FEWEST_CHARACTERS = 2
_LEAVING = ("retire", "wipe", "delete")
# Cancelled orders leave a device managed; an unhealthy one has lost touch, as a locked one may.
_STAYING = frozenset({"managed", "unhealthy", "retirecanceled", "wipecanceled"})
_UNKNOWN_AGENT = frozenset({"", "unknown", "unknownfuturevalue"})


@dataclass(frozen=True)
class Case:
    """What the rules look at. ``primary_users`` is None where Graph was not asked for them."""

    device: ManagedDevice
    oid: str
    primary_users: frozenset[str] | None
    company_owned_only: bool


def reason_given(rule: ReasonRule, reason: str | None) -> str:
    """The reason for the record, cleaned; empty where none is asked for. Raises ReasonRequired.

    A reason has at least two different letters or digits: a dot, a blank or "xxx" is none.
    """
    if rule == ReasonRule.OFF:
        return ""
    cleaned = clean(reason, _LONGEST_REASON)
    said = {character for character in cleaned.casefold() if character.isalnum()}
    if rule == ReasonRule.REQUIRED and len(said) < _FEWEST_CHARACTERS:
        raise ReasonRequired(f"a reason with {len(said)} different letters or digits")
    return cleaned


def is_yours(case: Case) -> DeviceRefused | None:
    """The device's user is this person, and so is its primary user: the two are kept apart and can disagree."""
    user, primary = case.device.user_id, case.primary_users
    if user and user != case.oid:
        return DeviceNotYours(f"userId={user}")
    if primary is None and user:
        return None
    if not primary:
        return DeviceShared(f"userId={user!r}, no primary user")
    return None if user and case.oid in primary else DeviceNotYours(f"userId={user!r} primary={sorted(primary)}")


def is_mac(case: Case) -> DeviceRefused | None:
    """Only Macs have a FileVault recovery key."""
    return None if runs_macos(case.device) else DeviceNotMac(f"operatingSystem={case.device.os!r}")


def is_managed_by_intune(case: Case) -> DeviceRefused | None:
    """With another agent, such as Jamf, the key is kept elsewhere."""
    agent = case.device.agent
    if agent == "mdm":
        return None
    refusal = DeviceNotManaged if agent in _UNKNOWN_AGENT else DeviceOtherAgent
    return refusal(f"managementAgent={agent!r}")


def is_staying(case: Case) -> DeviceRefused | None:
    """A device that is being erased or removed gives no key away; of an unknown state the worse is assumed."""
    state = case.device.state
    if state in _STAYING:
        return None
    refusal = DeviceLeaving if state.startswith(_LEAVING) else DeviceNotManaged
    return refusal(f"managementState={state!r}")


def is_company_owned(case: Case) -> DeviceRefused | None:
    """Microsoft lets nobody but its user read the key of a personal Mac."""
    if case.device.owner == "company" or not case.company_owned_only:
        return None
    refusal = DevicePersonal if case.device.owner == "personal" else DeviceOwnerUnknown
    return refusal(f"managedDeviceOwnerType={case.device.owner!r}")


IN_ORDER = (is_yours, is_mac, is_managed_by_intune, is_staying, is_company_owned)


def first_refusal(case: Case) -> DeviceRefused | None:
    """What the first broken rule says, or None when the key may be released."""
    return next((refusal for rule in IN_ORDER if (refusal := rule(case))), None)


def runs_macos(device: ManagedDevice) -> bool:
    return device.os.casefold() == "macos"
