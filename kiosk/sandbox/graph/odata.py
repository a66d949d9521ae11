"""The part of OData that Intune serves for managed devices: filter, select, order, paging.

Everything else raises GraphError, as at the real service.
"""

from __future__ import annotations

import base64
import datetime as dt
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kiosk.sandbox.graph.errors import GraphError
from kiosk.sandbox.tenant.directory import Device

Test = Callable[[Device], bool]


def query_error(message: str) -> GraphError:
    """Return the error for a query that the service does not support."""
    return GraphError(400, "BadRequest", message)


# The properties by which real tenants can be filtered.
_TEXTS: dict[str, Callable[[Device], str]] = {
    "deviceName": lambda device: device.name,
    "operatingSystem": lambda device: device.os,
    "userId": lambda device: device.user,
    "azureADDeviceId": lambda device: device.azure_id,
    "serialNumber": lambda device: device.serial,
    "deviceCategoryDisplayName": lambda device: "Unknown",
    "jailBroken": lambda device: "Unknown",
}
_DATES: dict[str, Callable[[Device], dt.datetime]] = {
    "enrolledDateTime": lambda device: device.enrolled,
    "lastSyncDateTime": lambda device: device.seen,
}
_COMPARISONS = {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}

_STRING = r"'((?:[^']|'')*)'"
_TERM = re.compile(
    rf"""\s*(?:
        (?P<function>contains|startswith)\(\s*(?P<argument>\w+)\s*,\s*{_STRING.replace("(", "(?P<part>", 1)}\s*\)
      | (?P<property>\w+)\s+(?P<operator>\w+)\s+(?:{_STRING.replace("(", "(?P<text>", 1)}|(?P<date>[\dTZ:.+-]+))
    )\s*""",
    re.VERBOSE,
)
_AND = re.compile(r"and\b", re.IGNORECASE)


@dataclass(frozen=True)
class Filter:
    """A parsed ``$filter``: all ``tests`` must hold. ``user`` is set if one of them names the devices of one person."""

    tests: tuple[Test, ...] = ()
    user: str | None = None

    def accepts(self, device: Device) -> bool:
        """Whether the device meets the condition."""
        return all(test(device) for test in self.tests)


def parse_filter(text: str, address_to_oid: Callable[[str], str]) -> Filter:
    """Parse ``$filter``."""
    tests: list[Test] = []
    user: str | None = None
    at = 0
    while True:
        match = _TERM.match(text, at)
        if match is None:
            raise query_error(f"Invalid filter clause: syntax error at position {at}.")
        name, value = match["property"], _unquoted(match["text"])
        if name == "userPrincipalName" and match["operator"] == "eq" and match["text"] is not None:
            name, value = "userId", address_to_oid(value)
        if name == "userId" and match["operator"] == "eq" and user is None:
            user = value.lower()
        tests.append(_test(match, name, value))
        at = match.end()
        if at == len(text):
            return Filter(tuple(tests), user)
        conjunction = _AND.match(text, at)
        if conjunction is None:
            raise query_error(f"Invalid filter clause: only 'and' combines conditions, at position {at}.")
        at = conjunction.end()


def _test(match: re.Match[str], name: str, value: str) -> Test:
    if match["function"]:
        if match["argument"] != "deviceName":
            raise query_error(f"Invalid filter clause: {match['function']} on '{match['argument']}' is not supported.")
        part = _unquoted(match["part"]).casefold()
        if match["function"] == "contains":
            return lambda device: part in device.name.casefold()
        return lambda device: device.name.casefold().startswith(part)
    if name in _TEXTS and match["operator"] == "eq" and match["text"] is not None:
        wanted, read = value.casefold(), _TEXTS[name]
        return lambda device: read(device).casefold() == wanted
    if name in _DATES and match["operator"] in _COMPARISONS and match["date"]:
        compare, when, moment = _COMPARISONS[match["operator"]], _moment(match["date"]), _DATES[name]
        return lambda device: compare(moment(device), when)
    raise query_error(f"Invalid filter clause: '{name} {match['operator']}' is not supported.")


def _unquoted(text: str | None) -> str:
    return (text or "").replace("''", "'")


def _moment(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise query_error("Invalid filter clause: not a date.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


_ORDERS: dict[str, Callable[[Device], str | dt.datetime]] = {
    "deviceName": lambda device: device.name.casefold(),
    "serialNumber": lambda device: device.serial,
    "operatingSystem": lambda device: device.os,
    **_DATES,
}


def ordered(devices: list[Device], text: str) -> list[Device]:
    """Return the devices in the order of ``$orderby``."""
    for term in reversed(text.split(",")):
        name, _, direction = term.strip().partition(" ")
        if name not in _ORDERS or direction.strip() not in {"", "asc", "desc"}:
            raise query_error(f"Ordering by '{term.strip()}' is not supported.")
        devices = sorted(devices, key=_ORDERS[name], reverse=direction.strip() == "desc")
    return devices


def whole_number(parameters: Mapping[str, str], name: str, default: int) -> int:
    """Return a number of the query, or ``default``."""
    text = parameters.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise query_error(f"Invalid value for '{name}'.")
    return int(text)


def selected(text: str | None, known: frozenset[str]) -> tuple[str, ...] | None:
    """Return the properties of ``$select``, or None for all. ``known`` are those that the version has."""
    if text is None:
        return None
    wanted = tuple(part.strip() for part in text.split(",") if part.strip())
    for name in wanted:
        if name not in known:
            raise query_error(
                f"Parsing OData Select and Expand failed: Could not find a property named '{name}' on type "
                "'microsoft.graph.managedDevice'."
            )
    return wanted


def skip_token(offset: int) -> str:
    """Return the opaque ``$skiptoken`` of the page that begins at ``offset``."""
    return base64.urlsafe_b64encode(f"LastDeviceRow='{offset}'".encode()).decode().rstrip("=")


def read_skip_token(token: str) -> int:
    """Return the offset in a ``$skiptoken``."""
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except ValueError:
        text = ""
    if match := re.fullmatch(r"LastDeviceRow='([0-9]{1,9})'", text):
        return int(match[1])
    raise query_error("Invalid skiptoken.")
