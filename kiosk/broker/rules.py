"""The rules of a release, one function each: it returns a refusal, or None if the rule allows the release.

Their order matters, and ``docs/rules.md`` lists it. First whether this person may use the kiosk at all and whether they
gave a reason: both checks cost nothing. Then ownership: a person who asks for somebody else's device learns only that.
Then what the organisation forbids for the device, what the device is and how it is managed, from what can never change
to what an administrator can change. Who owns it comes last. Two rules need the record and apply when the release is
written, see ``limits.py``: the limits, and that a token serves only one visit.
"""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.broker.graph.managed_device import ManagedDevice
from kiosk.config.broker import Rules
from kiosk.config.safe_regex import LONGEST_INPUT
from kiosk.errors import (
    DeviceBlocked,
    DeviceDeleting,
    DeviceNotMac,
    DeviceNotManaged,
    DeviceNotYours,
    DeviceOtherAgent,
    DeviceOwnerUnknown,
    DevicePersonal,
    DeviceRefused,
    DeviceRetiring,
    DeviceShared,
    DeviceSystemUnknown,
    DeviceWiping,
    DeviceWithConfigurationManager,
    DeviceWithJamf,
    PersonBlocked,
    ReasonRequired,
    ReasonUnfit,
    Refused,
    SelfServiceNotYours,
    SelfServiceOff,
)
from kiosk.models import Person, ReasonRule
from kiosk.text import clean

SELF_SERVICE_ROLE = "SelfService"
_FEWEST_CHARACTERS = 2
_LEAVING = {"retire": DeviceRetiring, "wipe": DeviceWiping, "delete": DeviceDeleting}
_ELSEWHERE = {"jamf": DeviceWithJamf, "configurationmanagerclient": DeviceWithConfigurationManager}
# A cancelled order leaves a device managed. An unhealthy device has lost contact, as a locked one may.
_STAYING = frozenset({"managed", "unhealthy", "retirecanceled", "wipecanceled"})
# How the names of other systems begin.
_OTHER_SYSTEMS = ("android", "chrome", "ios", "ipados", "linux", "tvos", "visionos", "windows")
_UNKNOWN_AGENT = frozenset({"", "unknown", "unknownfuturevalue"})


def is_self_service_on(person: Person, settings: Rules) -> Refused | None:
    """One switch turns self-service off for everybody."""
    return SelfServiceOff("self_service=nobody") if settings.self_service == "nobody" else None


def has_the_role(person: Person, settings: Rules) -> Refused | None:
    """If the organisation admits only some people, they have an app role."""
    if settings.self_service != "role" or SELF_SERVICE_ROLE in person.roles:
        return None
    return SelfServiceNotYours(f"oid={person.oid} does not have the role {SELF_SERVICE_ROLE}")


def is_not_blocked(person: Person, settings: Rules) -> Refused | None:
    """A blocked person is refused whatever roles they have."""
    return PersonBlocked(f"oid={person.oid}") if _listed(settings.blocked_people, person.oid) else None


OF_PERSON = (is_self_service_on, has_the_role, is_not_blocked)


def person_refusal(person: Person, settings: Rules) -> Refused | None:
    """Return why this person may not use the kiosk, or None if they may."""
    return next((refusal for rule in OF_PERSON if (refusal := rule(person, settings))), None)


def reason_given(settings: Rules, reason: str | None) -> str:
    """Return the reason for the record, cleaned; empty if reasons are off. Raises ReasonRequired or ReasonUnfit.

    A reason has at least two different letters or digits, so a dot, a blank or "xxx" does not count.
    """
    if settings.reason == ReasonRule.OFF:
        return ""
    cleaned = clean(reason, LONGEST_INPUT)
    said = {character for character in cleaned.casefold() if character.isalnum()}
    if settings.reason == ReasonRule.REQUIRED and len(said) < _FEWEST_CHARACTERS:
        raise ReasonRequired(f"a reason with {len(said)} different letters or digits")
    if cleaned and settings.reason_pattern and not settings.reason_pattern.fits(cleaned):
        raise ReasonUnfit(f"a reason of {len(cleaned)} characters that does not match reason_pattern")
    return cleaned


@dataclass(frozen=True)
class Case:
    """What the rules about a device look at. ``primary_users`` is None if Graph was not asked for them."""

    device: ManagedDevice
    oid: str
    primary_users: frozenset[str] | None
    settings: Rules


def is_yours(case: Case) -> DeviceRefused | None:
    """This person is the device's user and its primary user: Intune stores the two apart, and they can disagree."""
    user, primary = case.device.user_id, case.primary_users
    if user and user != case.oid:
        return DeviceNotYours(f"userId={user}")
    if primary is None and user:
        return None
    if not primary:
        return DeviceShared(f"userId={user!r}, no primary user")
    return None if user and case.oid in primary else DeviceNotYours(f"userId={user!r} primary={sorted(primary)}")


def is_allowed(case: Case) -> DeviceRefused | None:
    """A device can be blocked by its id or by its serial number."""
    blocked, device = case.settings.blocked_devices, case.device
    if _listed(blocked, device.id) or _listed(blocked, device.serial):
        return DeviceBlocked(f"id={device.id} serial={device.serial!r}")
    return None


def is_mac(case: Case) -> DeviceRefused | None:
    """Only Macs have a FileVault recovery key."""
    if case.device.os.casefold() == "macos":
        return None
    refusal = DeviceSystemUnknown if may_be_mac(case.device) else DeviceNotMac
    return refusal(f"operatingSystem={case.device.os!r}")


def is_managed_by_intune(case: Case) -> DeviceRefused | None:
    """Another agent, such as Jamf, stores the key elsewhere."""
    agent = case.device.agent
    if agent == "mdm":
        return None
    known = next((refusal for name, refusal in _ELSEWHERE.items() if agent.startswith(name)), DeviceOtherAgent)
    refusal = DeviceNotManaged if agent in _UNKNOWN_AGENT else known
    return refusal(f"managementAgent={agent!r}")


def is_staying(case: Case) -> DeviceRefused | None:
    """A device that is being erased or removed gets no key released; nor does one in an unknown state."""
    state = case.device.state
    if state in _STAYING:
        return None
    known = (refusal for order, refusal in _LEAVING.items() if state.startswith(order))
    refusal: type[DeviceRefused] = next(known, DeviceNotManaged)
    return refusal(f"managementState={state!r}")


def is_company_owned(case: Case) -> DeviceRefused | None:
    """Microsoft lets only its user read the key of a personal Mac."""
    if case.device.owner == "company" or not case.settings.company_owned_only:
        return None
    refusal = DevicePersonal if case.device.owner == "personal" else DeviceOwnerUnknown
    return refusal(f"managedDeviceOwnerType={case.device.owner!r}")


OF_DEVICE = (is_yours, is_allowed, is_mac, is_managed_by_intune, is_staying, is_company_owned)


def first_refusal(case: Case) -> DeviceRefused | None:
    """Return the refusal of the first rule that the device breaks, or None if the key may be released."""
    return next((refusal for rule in OF_DEVICE if (refusal := rule(case))), None)


def may_be_mac(device: ManagedDevice) -> bool:
    """Whether Intune does not call the device's operating system by the name of another one."""
    return not device.os.casefold().startswith(_OTHER_SYSTEMS)


def _listed(names: tuple[str, ...], name: str) -> bool:
    """Whether an operator's list contains a name. Ignores case and surrounding spaces; an empty name never matches."""
    return bool(name) and name.casefold() in (each.strip().casefold() for each in names)
