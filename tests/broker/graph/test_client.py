"""Parsing of Graph's answers in every shape, and next links that lead elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from kiosk.broker.graph import requests
from kiosk.broker.graph.client import Graph
from kiosk.broker.graph.managed_device import read_device
from kiosk.broker.graph.requests import Backoff, CallBudget, NotFound
from kiosk.clock import Deadline
from kiosk.config.broker import GraphSettings
from kiosk.errors import DeviceNotFound, GraphGarbled, KeyNotEscrowed
from tests.support.clock import ManualClock

URL = "https://graph.example/beta"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ME = "00000000-0000-0000-0000-00000000000a"


def guid(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012}"


def item(number: int, **changes: Any) -> dict[str, Any]:
    return {"id": guid(number), "userId": ME, "deviceName": f"Mac {number}", "operatingSystem": "macOS"} | changes


class FakeHttp:
    """Replaces GraphHttp. Answers by address, and collects the requests."""

    def __init__(self, answer: Callable[[str], Any]) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def budget(self) -> CallBudget:
        return CallBudget(Deadline.after(ManualClock(), 30))

    async def get(self, _budget: CallBudget, url: str, *, nullable: bool = False) -> bytearray:
        self.asked.append(url)
        body = self.answer(url)
        if isinstance(body, Exception):
            raise body
        return bytearray(body if isinstance(body, bytes) else json.dumps(body).encode())

    async def close(self) -> None: ...


def graph(answer: Callable[[str], Any] | Any) -> tuple[Graph, FakeHttp, CallBudget]:
    fake = FakeHttp(answer if callable(answer) else lambda _: answer)
    settings = GraphSettings(url=URL, authority="https://login.example/t", client_id="c", certificate="c.pem")  # type: ignore[arg-type]
    http: Any = fake
    return Graph(settings, http, ManualClock()), fake, fake.budget()


async def test_the_list_is_requested_by_user_and_filtered_again() -> None:
    page = {"value": [item(1), item(2, userId=guid(9)), item(3, userId=""), item(4, userId=ME.upper()), item(1)]}
    asked, fake, budget = graph(page)
    devices, unreadable = await asked.devices_of(budget, ME)
    assert ([device.id for device in devices], unreadable) == ([guid(1), guid(4)], 0)
    (url,) = fake.asked
    assert url.startswith(f"{URL}/deviceManagement/managedDevices?$filter=userId%20eq%20'{ME}'&$select=id,")


async def test_pages_are_followed_and_a_device_on_two_pages_is_one() -> None:
    pages = {
        1: {"value": [item(1), item(2)], "@odata.nextLink": f"{URL}/x?page=2"},
        2: {"value": [], "@odata.nextLink": "/beta/x?page=3"},
        3: {"value": [item(2, deviceName="again"), item(3)], "@odata.nextLink": None},
    }
    asked, fake, budget = graph(lambda url: pages[int(url[-1]) if url[-2] == "=" else 1])
    devices, _ = await asked.devices_of(budget, ME)
    assert [device.name for device in devices] == ["Mac 1", "Mac 2", "Mac 3"]
    assert fake.asked[1:] == [f"{URL}/x?page=2", f"{URL}/x?page=3"]


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/beta/x",
        "http://graph.example/beta/x",
        "https://graph.example:8443/beta/x",
        "https://graph.example@evil.example/beta/x",
        "https://user:word@graph.example/beta/x",
        "//evil.example/x",
        "https://graph.example.evil.example/x",
        "https://[/x",
        "https://graph.example:port/x",
        "https://graph.example/\x00",
        "javascript:alert(1)",
    ],
)
async def test_our_token_goes_to_no_other_host(following: str) -> None:
    asked, fake, budget = graph({"value": [item(1)], "@odata.nextLink": following})
    with pytest.raises(GraphGarbled):
        await asked.devices_of(budget, ME)
    assert len(fake.asked) == 1


async def test_pages_in_a_circle_and_without_end() -> None:
    asked, fake, budget = graph({"value": [], "@odata.nextLink": f"{URL}/same"})
    with pytest.raises(GraphGarbled, match="without end"):
        await asked.devices_of(budget, ME)
    assert len(fake.asked) == 2
    asked, fake, budget = graph(lambda _: {"value": [], "@odata.nextLink": f"{URL}/page{len(fake.asked)}"})
    with pytest.raises(GraphGarbled, match="without end"):
        await asked.devices_of(budget, ME)
    assert len(fake.asked) == 50


@pytest.mark.parametrize(
    "body",
    [b"", b"<html></html>", b"[]", b"null", b'{"value":{}}', b'{"value":null}', b"{}", b'{"value":[', b"\xff",
     b'{"value":[],"@odata.nextLink":7}', b'{"value":' + b"[" * 60_000],
)  # fmt: skip
async def test_a_list_that_cannot_be_read(body: bytes) -> None:
    asked, _, budget = graph(body)
    with pytest.raises(GraphGarbled):
        await asked.devices_of(budget, ME)


async def test_items_that_are_not_devices_are_counted() -> None:
    """Only what may be this person's: nobody learns that somebody else has a device."""
    foreign = [item(1, id=None, userId=guid(9)), item(3, userId=guid(9)), item(4, userId=None)]
    odd: list[Any] = [None, 7, "x", [], {}, item(1, id=None), item(1, id="x' or"), item(1, id=None, userId=None)]
    asked, _, budget = graph({"value": [*odd, item(2), *foreign]})
    devices, unreadable = await asked.devices_of(budget, ME)
    assert ([device.id for device in devices], unreadable) == ([guid(2)], len(odd))


async def test_a_device_by_id() -> None:
    asked, fake, budget = graph(item(1))
    assert (await asked.device(budget, guid(1))).name == "Mac 1"
    assert fake.asked[0].startswith(f"{URL}/deviceManagement/managedDevices/{guid(1)}?$select=id,")
    with pytest.raises(GraphGarbled, match="asked for device"):
        await asked.device(budget, guid(2))
    for answer in ({}, {"id": None}, b"[]"):
        asked, _, budget = graph(answer)
        with pytest.raises(GraphGarbled):
            await asked.device(budget, guid(1))


async def test_what_404_means() -> None:
    asked, _, budget = graph(NotFound("404"))
    with pytest.raises(DeviceNotFound):
        await asked.device(budget, guid(1))
    with pytest.raises(DeviceNotFound):
        await asked.primary_users(budget, guid(1))
    with pytest.raises(KeyNotEscrowed):
        await asked.key(budget, guid(1))
    with pytest.raises(GraphGarbled):
        await asked.devices_of(budget, ME)


async def test_primary_users() -> None:
    asked, fake, budget = graph({"value": [{"id": ME.upper()}, {"id": None}, 7]})
    assert await asked.primary_users(budget, guid(1)) == {ME, ""}
    assert fake.asked == [f"{URL}/deviceManagement/managedDevices/{guid(1)}/users?$select=id"]
    asked, _, budget = graph({"value": []})
    assert await asked.primary_users(budget, guid(1)) == frozenset()


def read(**changes: Any) -> Any:
    return read_device(item(1, **changes), NOW)


@pytest.mark.parametrize("value", [None, 7, [], {}, True, ""])
def test_fields_of_the_wrong_type_are_empty(value: Any) -> None:
    names = {
        "deviceName": "name", "model": "model", "serialNumber": "serial", "operatingSystem": "os",
        "osVersion": "os_version", "userId": "user_id", "managementState": "state", "managementAgent": "agent",
        "managedDeviceOwnerType": "owner",
    }  # fmt: skip
    device = read(**dict.fromkeys(names, value))
    assert all(getattr(device, ours) == "" for ours in names.values())
    assert read(lastSyncDateTime=value).last_seen is None


def test_words_that_grow_in_lower_case_stay_short_enough_for_the_record() -> None:
    device = read(managedDeviceOwnerType="İ" * 64, deviceName="\ufb2c" * 64, serialNumber="\ufb2c" * 64)
    assert (len(device.owner), len(device.name), len(device.serial)) == (64, 64, 64)


@pytest.mark.parametrize(
    ("given", "seen", "never"),
    [
        ("2026-11-21T08:30:00Z", datetime(2026, 11, 21, 8, 30, tzinfo=UTC), False),
        ("2026-11-21T08:30:00.1234567Z", datetime(2026, 11, 21, 8, 30, 0, 123456, tzinfo=UTC), False),
        ("2026-11-21T09:30:00+01:00", datetime(2026, 11, 21, 8, 30, tzinfo=UTC), False),
        ("2026-11-21T08:30:00", datetime(2026, 11, 21, 8, 30, tzinfo=UTC), False),
        ("0001-01-01T00:00:00Z", None, True),
        ("1970-01-01T00:00:00Z", None, True),
        ("9999-12-31T23:59:59Z", None, False),
        ("2026-11-24T08:30:00Z", None, False),
        ("yesterday", None, False),
        ("2026-13-01T00:00:00Z", None, False),
        ("0001-01-01T00:00:00+14:00", None, True),
        ("9999-12-31T23:59:59-14:00", None, False),
    ],
)
def test_dates(given: str, seen: datetime | None, never: bool) -> None:
    device = read(lastSyncDateTime=given)
    assert (device.last_seen, device.never_seen) == (seen, never)


@pytest.mark.parametrize(
    ("v1", "beta", "owner"),
    [
        ("company", None, "company"),
        ("unknown", "company", "company"),
        (None, "Personal", "personal"),
        ("personal", "company", "personal"),
        ("somethingNew", "company", "somethingnew"),
        (None, None, ""),
    ],
)
def test_owner(v1: str | None, beta: str | None, owner: str) -> None:
    assert read(managedDeviceOwnerType=v1, ownerType=beta).owner == owner


def test_foreign_text_is_cleaned() -> None:
    device = read(deviceName="\x1b[2JMac\u202e" + "x" * 100, serialNumber="C02\n'; drop")
    assert "\x1b" not in device.name
    assert len(device.name) == 64
    assert device.serial == "C02 '; drop"


def test_waits_are_random_growing_and_capped() -> None:
    backoff = Backoff(first=0.5, most=8.0)
    for tried, most in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (9, 8.0)]:
        waits = [backoff.wait(tried) for _ in range(50)]
        assert 0 <= min(waits) < max(waits) <= most


@pytest.mark.parametrize("path", ["", "/", "/users", "/beta/x"])
def test_every_address_has_a_name_for_metrics(path: str) -> None:
    assert requests._call(f"https://graph.example{path}") in {"users", "device"}
