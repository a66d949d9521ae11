"""What the broker asks Microsoft Graph: a person's devices, one device, its primary users, encryption, recovery key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import httpx
import msgspec

from kiosk.broker.graph.encryption import EncryptionState, read_encryption
from kiosk.broker.graph.managed_device import FIELDS, ManagedDevice, guid, read_device
from kiosk.broker.graph.requests import NotFound, Question, Questioner
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
    """Every call can raise GraphUnavailable, GraphThrottled, GraphRefused and GraphGarbled."""

    def __init__(self, settings: GraphSettings, questioner: Questioner, clock: Clock) -> None:
        self._url = settings.url.rstrip("/")
        self._ask = questioner.ask
        self._clock = clock
        self.question = questioner.question
        self.close = questioner.close

    async def devices_of(self, question: Question, oid: str) -> list[ManagedDevice]:
        """The devices whose user is this person, each once.

        Asked by filter and not as ``/users/{oid}/managedDevices``, although both lists are served: the filter looks at
        the same field of the same collection as the release does, so the list offers nothing that the release refuses,
        and a person whom the directory has forgotten is an empty list and not an error. A Graph that ignored the
        filter would show other people's devices, so what comes back is filtered again.
        """
        query = f"$filter=userId%20eq%20'{oid}'&{_SELECT}"
        found: dict[str, ManagedDevice] = {}
        try:
            async for item in self._pages(question, f"{self._url}/deviceManagement/managedDevices?{query}"):
                device = read_device(item, self._clock.utc()) if isinstance(item, dict) else None
                if device and device.user_id == oid:
                    found.setdefault(device.id, device)
        except NotFound as error:
            raise GraphGarbled(f"a list that is not there: {error}") from None
        return list(found.values())

    async def device(self, question: Question, device_id: str) -> ManagedDevice:
        """One device by its id, as it is now. Raises DeviceNotFound, too."""
        try:
            body = await self._ask(question, f"{self._device(device_id)}?{_SELECT}")
        except NotFound as error:
            raise DeviceNotFound(str(error)) from None
        item = _decode(body, dict[str, Any])
        device = read_device(item, self._clock.utc())
        if device is None:
            # Intune has been seen to answer 200 with nothing in it for an id that it does not know.
            raise DeviceNotFound("Graph: an answer without a device")
        if device.id != device_id:
            raise GraphGarbled(f"Graph: asked for device {device_id}, got {device.id}")
        return device

    async def primary_users(self, question: Question, device_id: str) -> frozenset[str]:
        """The object ids of the device's primary users: none for a shared device, else one. Raises DeviceNotFound."""
        try:
            items = [item async for item in self._pages(question, f"{self._device(device_id)}/users?$select=id")]
        except NotFound as error:
            raise DeviceNotFound(str(error)) from None
        return frozenset(guid(item.get("id")) for item in items if isinstance(item, dict))

    async def key(self, question: Question, device_id: str) -> bytearray:
        """The answer that holds the recovery key, unread and for the caller to wipe. Raises KeyNotEscrowed, too."""
        try:
            return await self._ask(question, f"{self._device(device_id)}/getFileVaultKey")
        except NotFound as error:
            raise KeyNotEscrowed(str(error)) from None

    async def encryption(self, question: Question, device_id: str) -> EncryptionState | None:
        """What Intune knows of a device's encryption. None where it knows nothing, or what it says is about another."""
        url = f"{self._url}/deviceManagement/managedDeviceEncryptionStates/{device_id}"
        try:
            item = _decode(await self._ask(question, url), dict[str, Any])
        except NotFound:
            return None
        # That its id is the device's is how it is, but nowhere written down.
        return read_encryption(item) if guid(item.get("id")) == device_id else None

    def _device(self, device_id: str) -> str:
        return f"{self._url}/deviceManagement/managedDevices/{device_id}"

    async def _pages(self, question: Question, url: str) -> AsyncIterator[Any]:
        seen: set[str] = set()
        next_url: str | None = url
        while next_url:
            if next_url in seen or len(seen) >= _MOST_PAGES:
                raise GraphGarbled(f"Graph: pages without end after {len(seen)}")
            seen.add(next_url)
            page = _decode(await self._ask(question, next_url), _Page)
            for item in page.value:
                yield item
            next_url = self._same_host(next_url, page.next) if page.next else None

    @staticmethod
    def _same_host(url: str, following: str) -> str:
        """The address of the next page, which gets our token only at the configured host."""
        try:
            here, there = httpx.URL(url), httpx.URL(url).join(following)
        except (httpx.InvalidURL, ValueError):
            raise GraphGarbled("Graph: the address of the next page is none") from None
        if (there.scheme, there.netloc, there.userinfo) != (here.scheme, here.netloc, b""):
            raise GraphGarbled(f"Graph: the next page is at {there.scheme}://{there.host}")
        return str(there)


def _decode(body: bytearray, kind: type[_Shape]) -> _Shape:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise GraphGarbled(f"Graph: {type(error).__name__}: {error}") from None
