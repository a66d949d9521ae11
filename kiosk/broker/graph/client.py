"""Reads from Microsoft Graph: a person's devices, one device, its primary users, its encryption, its recovery key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import httpx
import msgspec

from kiosk.broker.graph.encryption import EncryptionState, read_encryption
from kiosk.broker.graph.managed_device import FIELDS, ManagedDevice, guid, read_device
from kiosk.broker.graph.requests import CallBudget, GraphHttp, NotFound
from kiosk.clock import Clock
from kiosk.config.broker import GraphSettings
from kiosk.errors import DeviceNotFound, GraphGarbled, KeyNotEscrowed

_MOST_PAGES = 50
_Shape = TypeVar("_Shape")
_SELECT = "$select=" + ",".join(FIELDS)


class _Page(msgspec.Struct):
    value: list[Any]
    next: str | None = msgspec.field(name="@odata.nextLink", default=None)


class Graph:
    """What the broker reads. Every method may raise what ``GraphHttp.get`` raises, except NotFound."""

    def __init__(self, settings: GraphSettings, http: GraphHttp, clock: Clock) -> None:
        self._url = settings.url.rstrip("/")
        self._get = http.get
        self._clock = clock
        self.budget = http.budget
        self.close = http.close

    async def devices_of(self, budget: CallBudget, oid: str) -> tuple[list[ManagedDevice], int]:
        """Return the devices whose user is this person, each once, and how many entries of the list cannot be read.

        Filters the collection instead of reading ``/users/{oid}/managedDevices``. The filter uses the field that a
        release checks, so the list offers nothing that the release then refuses. And a person who has left the
        directory gets an empty list, not an error. The result is filtered again, in case Graph ignores the filter.
        """
        query = f"$filter=userId%20eq%20'{oid}'&{_SELECT}"
        found: dict[str, ManagedDevice] = {}
        unreadable = 0
        try:
            async for item in self._pages(budget, f"{self._url}/deviceManagement/managedDevices?{query}"):
                item = item if isinstance(item, dict) else {}
                device = read_device(item, self._clock.utc())
                if device and device.user_id == oid:
                    found.setdefault(device.id, device)
                unreadable += device is None and guid(item.get("userId")) in {"", oid}
        except NotFound as error:
            raise GraphGarbled(f"the list of devices is missing: {error}") from None
        return list(found.values()), unreadable

    async def device(self, budget: CallBudget, device_id: str) -> ManagedDevice:
        """Return one device as it is now. Raises DeviceNotFound."""
        try:
            body = await self._get(budget, f"{self._device(device_id)}?{_SELECT}")
        except NotFound as error:
            raise DeviceNotFound(str(error)) from None
        device = read_device(_decode(body, dict[str, Any]), self._clock.utc())
        if device is None:
            raise GraphGarbled("Graph: an answer without a device")
        if device.id != device_id:
            raise GraphGarbled(f"Graph: asked for device {device_id}, got {device.id}")
        return device

    async def primary_users(self, budget: CallBudget, device_id: str) -> frozenset[str]:
        """Return the object ids of the primary users: none for a shared device, or one. Raises DeviceNotFound."""
        try:
            items = [item async for item in self._pages(budget, f"{self._device(device_id)}/users?$select=id")]
        except NotFound as error:
            raise DeviceNotFound(str(error)) from None
        return frozenset(guid(item.get("id")) for item in items if isinstance(item, dict))

    async def key(self, budget: CallBudget, device_id: str) -> bytearray:
        """Return the response that holds the recovery key, for the caller to wipe. Raises KeyNotEscrowed."""
        try:
            return await self._get(budget, f"{self._device(device_id)}/getFileVaultKey", nullable=True)
        except NotFound as error:
            raise KeyNotEscrowed(str(error)) from None

    async def encryption(self, budget: CallBudget, device_id: str) -> EncryptionState | None:
        """Return what Intune knows about a device's encryption, None if nothing or if it answers for another device."""
        url = f"{self._url}/deviceManagement/managedDeviceEncryptionStates/{device_id}"
        try:
            item = _decode(await self._get(budget, url), dict[str, Any])
        except NotFound:
            return None
        # Undocumented: the state's id equals the device's id.
        return read_encryption(item) if guid(item.get("id")) == device_id else None

    def _device(self, device_id: str) -> str:
        return f"{self._url}/deviceManagement/managedDevices/{device_id}"

    async def _pages(self, budget: CallBudget, url: str) -> AsyncIterator[Any]:
        seen: set[str] = set()
        next_url: str | None = url
        while next_url:
            if next_url in seen or len(seen) >= _MOST_PAGES:
                raise GraphGarbled(f"Graph: pages without end after {len(seen)}")
            seen.add(next_url)
            page = _decode(await self._get(budget, next_url), _Page)
            for item in page.value:
                yield item
            next_url = self._same_host(next_url, page.next) if page.next else None

    @staticmethod
    def _same_host(url: str, following: str) -> str:
        """Return the address of the next page. Raises GraphGarbled for another host, which must not get our token."""
        try:
            here, there = httpx.URL(url), httpx.URL(url).join(following)
        except (httpx.InvalidURL, ValueError):
            raise GraphGarbled("Graph: the address of the next page is malformed") from None
        if (there.scheme, there.netloc, there.userinfo) != (here.scheme, here.netloc, b""):
            raise GraphGarbled(f"Graph: the next page is at {there.scheme}://{there.host}")
        return str(there)


def _decode(body: bytearray, kind: type[_Shape]) -> _Shape:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise GraphGarbled(f"Graph: {type(error).__name__}: {error}") from None
