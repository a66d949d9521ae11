"""The part of OData that Intune serves for managed devices: filter, select, order, paging."""

from __future__ import annotations

import base64
import datetime as dt
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kiosk.sandbox.tenant.directory import Device

Test = Callable[[Device], bool]


class QueryProblem(Exception):
    """A query that the service does not take; the words are for the answer."""


# Properties with which real tenants are filtered, and what they are here.
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
    """A condition; ``user`` is set when it asks for one person's devices, so that nobody has to search."""

    tests: tuple[Test, ...] = ()
    user: str | None = None

    def accepts(self, device: Device) -> bool:
        return all(test(device) for test in self.tests)


def parse_filter(text: str, address_to_oid: Callable[[str], str]) -> Filter:
    """Understand ``$filter``. Raises QueryProblem for everything that the service does not do."""
    tests: list[Test] = []
    user: str | None = None
    at = 0
    while True:
        match = _TERM.match(text, at)
        if match is None:
            raise QueryProblem(f"Invalid filter clause: syntax error at position {at}.")
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
            raise QueryProblem(f"Invalid filter clause: only 'and' combines conditions, at position {at}.")
        at = conjunction.end()


def _test(match: re.Match[str], name: str, value: str) -> Test:
    if match["function"]:
        if match["argument"] != "deviceName":
            raise QueryProblem(f"Invalid filter clause: {match['function']} on '{match['argument']}' is not supported.")
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
    raise QueryProblem(f"Invalid filter clause: '{name} {match['operator']}' is not supported.")


def _unquoted(text: str | None) -> str:
    return (text or "").replace("''", "'")


def _moment(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise QueryProblem("Invalid filter clause: not a date.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


_ORDERS: dict[str, Callable[[Device], str | dt.datetime]] = {
    "deviceName": lambda device: device.name.casefold(),
    "serialNumber": lambda device: device.serial,
    "operatingSystem": lambda device: device.os,
    **_DATES,
}


def ordered(devices: list[Device], text: str) -> list[Device]:
    """The devices in the order of ``$orderby``. Raises QueryProblem."""
    for term in reversed(text.split(",")):
        name, _, direction = term.strip().partition(" ")
        if name not in _ORDERS or direction.strip() not in {"", "asc", "desc"}:
            raise QueryProblem(f"Ordering by '{term.strip()}' is not supported.")
        devices = sorted(devices, key=_ORDERS[name], reverse=direction.strip() == "desc")
    return devices


def whole_number(parameters: Mapping[str, str], name: str, default: int) -> int:
    """A count from the query. Raises QueryProblem."""
    text = parameters.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise QueryProblem(f"Invalid value for '{name}'.")
    return int(text)


def selected(text: str | None, known: frozenset[str]) -> tuple[str, ...] | None:
    """The properties of ``$select``; None for all. Raises QueryProblem for one that the version does not have."""
    if text is None:
        return None
    wanted = tuple(part.strip() for part in text.split(",") if part.strip())
    for name in wanted:
        if name not in known:
            raise QueryProblem(
                f"Parsing OData Select and Expand failed: Could not find a property named '{name}' on type "
                "'microsoft.graph.managedDevice'."
            )
    return wanted


def skip_token(offset: int) -> str:
    """Where the next page begins, in a form that nobody should look into."""
    return base64.urlsafe_b64encode(f"LastDeviceRow='{offset}'".encode()).decode().rstrip("=")


def read_skip_token(token: str) -> int:
    """The reverse. Raises QueryProblem."""
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except ValueError:
        text = ""
    if match := re.fullmatch(r"LastDeviceRow='([0-9]{1,9})'", text):
        return int(match[1])
    raise QueryProblem("Invalid skiptoken.")
