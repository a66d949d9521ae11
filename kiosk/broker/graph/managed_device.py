"""Reads managed devices. Any field of Graph's may be missing, null, of the wrong type or new to us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kiosk.text import GUID, clean

FIELDS = (
    "id",
    "deviceName",
    "model",
    "serialNumber",
    "operatingSystem",
    "osVersion",
    "lastSyncDateTime",
    "userId",
    "managedDeviceOwnerType",
    "ownerType",
    "managementState",
    "managementAgent",
    "enrolledDateTime",
    "isEncrypted",
    "deviceActionResults",
)
# Graph writes "never" as a date in the year 1. Nothing that is managed today reported before this one.
_EARLIEST = datetime(2001, 1, 1, tzinfo=UTC)
_ROTATION = "rotatefilevaultkey"
# A rotation in any other state has not changed the key.
_ROTATING = frozenset({"pending", "active", "done"})


@dataclass(frozen=True)
class ManagedDevice:
    """One device. Ids and enumerations are in lower case, and empty if unknown. Times are in UTC.

    ``last_seen`` is None if that date is unknown, or if the device has never reported (``never_seen``).
    ``rotated`` is when the latest rotation of its key was requested or done.
    """

    id: str
    name: str
    model: str
    serial: str
    os: str
    os_version: str
    last_seen: datetime | None
    user_id: str
    owner: str
    state: str
    agent: str
    never_seen: bool = False
    enrolled: datetime | None = None
    encrypted: bool | None = None
    rotated: datetime | None = None


def read_device(item: Mapping[str, Any], now: datetime) -> ManagedDevice | None:
    """Read one device. Returns None if it has no id that can be used in a request."""
    owner, encrypted = _word(item.get("managedDeviceOwnerType")), item.get("isEncrypted")
    return (
        ManagedDevice(
            id=guid(item.get("id")),
            name=clean(item.get("deviceName")),
            model=clean(item.get("model")),
            serial=clean(item.get("serialNumber")),
            os=clean(item.get("operatingSystem")),
            os_version=clean(item.get("osVersion")),
            last_seen=_moment(item.get("lastSyncDateTime"), now),
            user_id=_word(item.get("userId")),
            owner=owner if owner not in {"", "unknown"} else _word(item.get("ownerType")),
            state=_word(item.get("managementState")),
            agent=_word(item.get("managementAgent")),
            never_seen=_is_never(item.get("lastSyncDateTime")),
            enrolled=_moment(item.get("enrolledDateTime"), now),
            encrypted=encrypted if isinstance(encrypted, bool) else None,
            rotated=_rotated(item.get("deviceActionResults"), now),
        )
        if guid(item.get("id"))
        else None
    )


def guid(value: object) -> str:
    """Return a GUID in lower case, or "" for anything else. Every id in an address or a filter must come from here."""
    return value.lower() if isinstance(value, str) and GUID.fullmatch(value) else ""


def _word(value: object) -> str:
    # Some letters become two in lower case, so this comes before the text is cut.
    return clean(value.lower() if isinstance(value, str) else value)


def _rotated(results: object, now: datetime) -> datetime | None:
    moments = [
        moment
        for result in (results if isinstance(results, list) else ())
        if isinstance(result, dict)
        and _word(result.get("actionName")) == _ROTATION
        and _word(result.get("actionState")) in _ROTATING
        for name in ("startDateTime", "lastUpdatedDateTime")
        if (moment := _moment(result.get(name), now))
    ]
    return max(moments, default=None)


def _moment(value: object, now: datetime) -> datetime | None:
    """Return a date in UTC. Returns None for "never", and for a date that is not plausible."""
    moment = _date(value)
    return moment.astimezone(UTC) if moment and _EARLIEST <= moment <= now + timedelta(days=1) else None


def _is_never(value: object) -> bool:
    """Whether a date says that something has never happened. A date that cannot be read does not say that."""
    moment = _date(value)
    return moment is not None and moment < _EARLIEST


def _date(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment and not moment.tzinfo else moment
