"""The organisation of the sandbox: applications, people and devices."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from kiosk.config.loading import load
from kiosk.config.types import Section, Text
from kiosk.errors import ConfigError

HERE = Path(__file__).parent
TENANT_FILE = HERE / "tenant.toml"
PEOPLE_FILE = HERE / "people.toml"
DEVICES_FILE = HERE / "devices.toml"

# The letters of FileVault keys: no I, S, 0 and 1.
KEY_ALPHABET = "ABCDEFGHJKLMNOPQRTUVWXYZ23456789"
_KEY = r"^[A-HJ-RT-Z2-9]{4}(-[A-HJ-RT-Z2-9]{4}){5}$"
# How long ago, such as "3h", or "never".
_AGE = r"^(never|[0-9]{1,4}[mhd])$"
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_NEVER = dt.datetime(1, 1, 1, tzinfo=dt.UTC)

Key = Annotated[str, Meta(pattern=_KEY)]
Guid = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Encryption = Literal[
    "success", "escrowNotEnabled", "driveEncryptedByUser", "userDeferredEncryption", "notEncrypted", "notReady"
]
Policy = Literal["compliant", "nonCompliant", "error", "conflict", "notAssigned", "notApplicable", "unknown"]
OptionalClaim = Literal["auth_time", "acrs"]
Rotation = Literal["pending", "active", "done", "failed", "canceled", "notSupported"]


class Application(Section, frozen=True, kw_only=True):
    """An application that is registered in the tenant.

    ``scopes`` are those that it offers, ``consented`` those that it may request on behalf of people, ``permissions``
    its application permissions at Graph. ``public`` applications sign people in without proving who they are.
    ``optional_claims`` are those that tokens for it have beyond the usual ones. ``contexts`` are the authentication
    contexts that a sign-in to it satisfies, by default all that are asked for.
    """

    client_id: Guid
    name: Text
    public: bool = False
    scopes: tuple[str, ...] = ()
    consented: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    optional_claims: tuple[OptionalClaim, ...] = ()
    contexts: tuple[str, ...] | None = None

    @property
    def uri(self) -> str:
        """The application id URI, the prefix of its scopes."""
        return f"api://{self.client_id}"


class Tenant(Section, frozen=True, kw_only=True):
    """``tenant.toml``: the organisation and its registered applications."""

    id: Guid
    name: Text
    domain: Text
    kiosk_api: Application
    kiosk_client: Application
    sign_in: Application
    broker: Application
    other: tuple[Application, ...] = ()

    def applications(self) -> tuple[Application, ...]:
        """Return all registered applications."""
        return (self.kiosk_api, self.kiosk_client, self.sign_in, self.broker, *self.other)

    def application(self, client_id: str) -> Application | None:
        """Return the application with this client id, if it is registered."""
        return next((app for app in self.applications() if app.client_id == client_id.lower()), None)


class Person(Section, frozen=True, kw_only=True):
    """A person with an account. ``refusal`` is the AADSTS number with which Entra ID refuses their sign-in."""

    name: Text
    address: Text
    description: str = ""
    oid: str = ""
    roles: tuple[str, ...] = ()
    refusal: int | None = None


class DeviceEntry(Section, frozen=True, kw_only=True):
    """One ``[[device]]`` of ``devices.toml``. The defaults are those of a healthy company Mac.

    ``user`` and ``primary`` are addresses of people: Intune's ``userId``, and the primary user that ``/users`` returns
    (by default the same). ``without_key`` is how Graph answers if no key is stored; ``stored`` is a stored value that
    is not a key. ``policy`` is the state of the encryption policy. ``rotation`` is the state of a key rotation that was
    requested ``rotation_asked`` ago.
    """

    name: str
    serial: Text
    model: Text = "MacBook Pro"
    os: Literal["macOS", "Windows", "iOS", "iPadOS"] = "macOS"
    os_version: str = "26.1 (25B78)"
    user: str = ""
    primary: str | None = None
    owner: Literal["company", "personal", "unknown"] = "company"
    agent: str = "mdm"
    state: str = "managed"
    compliance: str = "compliant"
    enrollment: str = "appleBulkWithUser"
    enrolled: dt.date = dt.date(2025, 3, 3)
    seen: Annotated[str, Meta(pattern=_AGE)] = "1h"
    online: bool = True
    key: Key | None = None
    without_key: Literal["missing", "null", "empty"] = "missing"
    stored: str | None = None
    encryption: Encryption | None = None
    policy: Policy | None = None
    rotation: Rotation | None = None
    rotation_asked: Annotated[str, Meta(pattern=_AGE)] = "1h"


class PeopleFile(Section, frozen=True, kw_only=True):
    """``people.toml``."""

    person: tuple[Person, ...]


class DevicesFile(Section, frozen=True, kw_only=True):
    """``devices.toml``."""

    device: tuple[DeviceEntry, ...]


class Device(msgspec.Struct, kw_only=True):
    """A managed device. Its repr shows neither ``key`` nor ``stored``."""

    id: str = ""
    azure_id: str = ""
    name: str = ""
    serial: str = ""
    model: str = ""
    os: str = ""
    os_version: str = ""
    user: str = ""
    primary: str = ""
    owner: str = "unknown"
    agent: str = "mdm"
    state: str = "managed"
    compliance: str = "unknown"
    enrollment: str = "unknown"
    enrolled: dt.datetime = _NEVER
    seen: dt.datetime = _NEVER
    online: bool = True
    key: str | None = None
    without_key: str = "missing"
    stored: str | None = None
    encryption: str = "notEncrypted"
    policy: str = ""
    rotation: str | None = None
    rotation_asked: dt.datetime = _NEVER

    def __repr__(self) -> str:
        return f"<Device {self.id}>"


class Directory:
    """The tenant's people and devices, indexed by id, by address and by user."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self._people: dict[str, Person] = {}
        self._by_address: dict[str, Person] = {}
        self._devices: dict[str, Device] = {}
        self._by_user: dict[str, list[Device]] = {}

    def add_person(self, person: Person) -> None:
        """Add a person, or replace the one with this object id."""
        self._people[person.oid] = self._by_address[person.address.casefold()] = person

    def add_device(self, device: Device) -> None:
        """Add a device."""
        self._devices[device.id] = device
        self._by_user.setdefault(device.user, []).append(device)

    def people(self) -> Iterable[Person]:
        """Return everybody, in the order in which they were added."""
        return self._people.values()

    def person(self, oid: str) -> Person | None:
        """Return the person with this object id."""
        return self._people.get(oid.lower())

    def find_person(self, text: str) -> Person | None:
        """Return the person with this name, address or object id, or the only one whose name contains the text."""
        wanted = text.strip().casefold()
        if found := self._by_address.get(wanted) or self._people.get(wanted):
            return found
        named = [one for one in self.people() if one.name.casefold() == wanted]
        named = named or [one for one in self.people() if wanted and wanted in one.name.casefold()]
        return named[0] if len(named) == 1 else None

    def person_at(self, address: str) -> Person | None:
        """Return the person with this address."""
        return self._by_address.get(address.casefold())

    def devices(self) -> Iterable[Device]:
        """Return all devices, in the order in which they were added."""
        return self._devices.values()

    def device(self, device_id: str) -> Device | None:
        """Return the device with this id."""
        return self._devices.get(device_id.lower())

    def find_device(self, serial: str) -> Device | None:
        """Return the device with this serial number."""
        return next((device for device in self.devices() if device.serial == serial), None)

    def devices_of(self, oid: str) -> list[Device]:
        """Return the devices with this ``userId``; those without a user for an empty one."""
        return self._by_user.get(oid.lower(), [])

    def change(self, device: Device, changes: dict[str, Any]) -> None:
        """Change fields of a device, and keep the index by user up to date."""
        for name, value in changes.items():
            if name == "user":
                self._by_user[device.user].remove(device)
                self._by_user.setdefault(value, []).append(device)
            setattr(device, name, value)


def load_directory(
    now: dt.datetime,
    *,
    tenant_id: str | None = None,
    people_file: Path = PEOPLE_FILE,
    devices_file: Path = DEVICES_FILE,
) -> Directory:
    """Load the organisation from its files. ``now`` is the moment that ages count from. Raises ConfigError."""
    tenant = load(TENANT_FILE, Tenant)
    if tenant_id:
        tenant = msgspec.structs.replace(tenant, id=tenant_id)
    directory = Directory(tenant)
    for person in load(people_file, PeopleFile).person:
        if directory.person_at(person.address):
            raise ConfigError(people_file, f"expected every address once: {person.address}", key="person.address")
        oid = person.oid or stable_id(tenant, "person", person.address)
        directory.add_person(msgspec.structs.replace(person, oid=oid.lower()))
    for entry in load(devices_file, DevicesFile).device:
        if directory.find_device(entry.serial):
            raise ConfigError(devices_file, f"expected every serial number once: {entry.serial}", key="device.serial")
        directory.add_device(_device(directory, entry, devices_file, now))
    return directory


def stable_id(tenant: Tenant, kind: str, name: str) -> str:
    """Return a GUID that is the same at every start."""
    return str(uuid.uuid5(uuid.UUID(tenant.id), f"{kind}/{name}"))


def _device(directory: Directory, entry: DeviceEntry, path: Path, now: dt.datetime) -> Device:
    def oid_of(address: str, key: str) -> str:
        if not address:
            return ""
        person = directory.person_at(address)
        if person is None:
            reason = f"{entry.serial}: expected the address of somebody in the people file, not {address!r}"
            raise ConfigError(path, reason, key=f"device.{key}")
        return person.oid

    user = oid_of(entry.user, "user")
    encryption = entry.encryption or ("success" if entry.key or entry.stored else "escrowNotEnabled")
    return Device(
        id=stable_id(directory.tenant, "device", entry.serial),
        azure_id=stable_id(directory.tenant, "entra", entry.serial),
        name=entry.name,
        serial=entry.serial,
        model=entry.model,
        os=entry.os,
        os_version=entry.os_version,
        user=user,
        primary=user if entry.primary is None else oid_of(entry.primary, "primary"),
        owner=entry.owner,
        agent=entry.agent,
        state=entry.state,
        compliance=entry.compliance,
        enrollment=entry.enrollment,
        enrolled=dt.datetime.combine(entry.enrolled, dt.time(8, 30), dt.UTC),
        seen=_moment(entry.seen, now),
        online=entry.online,
        key=entry.key,
        without_key=entry.without_key,
        stored=entry.stored,
        encryption=encryption,
        policy=entry.policy or ("compliant" if encryption == "success" else "error"),
        rotation=entry.rotation,
        rotation_asked=_moment(entry.rotation_asked, now),
    )


def _moment(age: str, now: dt.datetime) -> dt.datetime:
    if age == "never":
        return _NEVER
    return now.replace(microsecond=0) - dt.timedelta(**{_UNITS[age[-1]]: int(age[:-1])})
