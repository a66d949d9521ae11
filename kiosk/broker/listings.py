"""Lists a person's Macs, each with the refusal that a release would meet. Keeps a list for some seconds."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass, field, replace

from kiosk.broker import rules
from kiosk.broker.graph.client import Graph
from kiosk.broker.graph.encryption import described
from kiosk.broker.graph.managed_device import ManagedDevice
from kiosk.broker.graph.requests import CallBudget
from kiosk.broker.logs import event
from kiosk.clock import Clock, Deadline
from kiosk.config.broker import Rules
from kiosk.errors import DevicesUnreadable, KioskError
from kiosk.models import Device
from kiosk.process.logging import place_of

# More Macs than a person has: a hostile or broken list must not cause calls to Graph without end.
_MOST_LOOKED_INTO = 20
_AT_ONCE = 4
_MOST_KEPT = 1_000


@dataclass(frozen=True)
class Listing:
    """A person's Macs: first those whose key can be released, then the most recently seen.

    ``budget`` has the ids of the last request to Graph for it.
    """

    devices: tuple[Device, ...]
    budget: CallBudget


@dataclass
class _Kept:
    task: asyncio.Task[Listing]
    until: Deadline | None = field(default=None)

    def serves(self) -> bool:
        """Whether the list is still being made, or is good and young enough."""
        if not self.task.done():
            return True
        good = not self.task.cancelled() and self.task.exception() is None
        return good and self.until is not None and not self.until.passed()


class Listings:
    """Makes the lists. All who ask for the same person's at once share one, and so do those some seconds later.

    One list takes up to 21 calls of Graph. A release does not depend on it: that reads the device itself.
    """

    def __init__(self, settings: Rules, graph: Graph, clock: Clock, seconds: float) -> None:
        self._settings = settings
        self._graph = graph
        self._clock = clock
        self._seconds = seconds
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def of(self, oid: str) -> Listing:
        """Return a person's list. Raises KioskError, with the ids of the last request to Graph."""
        kept = self._kept.get(oid)
        if kept is None or not kept.serves():
            kept = self._kept[oid] = _Kept(asyncio.create_task(self._made(oid)))
            kept.task.add_done_callback(lambda _: self._finish(oid, kept))
            self._kept.move_to_end(oid)
        # Shielded: others may wait for the same list.
        return await asyncio.shield(kept.task)

    async def close(self) -> None:
        """Give up the lists that are being made."""
        tasks = [kept.task for kept in self._kept.values() if not kept.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _finish(self, oid: str, kept: _Kept) -> None:
        kept.until = Deadline.after(self._clock, self._seconds)
        # Marks an error as retrieved: whoever asked for the list may be gone.
        failed = kept.task.cancelled() or kept.task.exception() is not None
        if self._kept.get(oid) is kept and (failed or not self._seconds):
            del self._kept[oid]
        for old in [who for who, one in self._kept.items() if not one.serves()]:
            del self._kept[old]
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)

    async def _made(self, oid: str) -> Listing:
        budget = self._graph.budget()
        try:
            macs = await self._macs(budget, oid)
        except Exception as error:
            refusal = error if isinstance(error, KioskError) else KioskError(place_of(error))
            budget.label(refusal)
            raise refusal from None
        return Listing(tuple(sorted(macs, key=_place_in_list)), budget)

    async def _macs(self, budget: CallBudget, oid: str) -> list[Device]:
        devices, unreadable = await self._graph.devices_of(budget, oid)
        macs = [device for device in devices if rules.may_be_mac(device)]
        if unreadable:
            cause = f"Graph: {unreadable} entries of the list are not devices with an id"
            if not macs:
                raise DevicesUnreadable(cause)
            event("devices.unreadable", logging.WARNING, cause=cause)
        turns = asyncio.Semaphore(_AT_ONCE)

        async def look_into(device: ManagedDevice) -> Device:
            primary: frozenset[str] | None = None
            if device in macs[:_MOST_LOOKED_INTO]:
                async with turns:
                    primary = await self._primary_users(budget, device)
            case = rules.Case(device, oid, primary, self._settings)
            return described(device, rules.first_refusal(case))

        try:
            async with asyncio.TaskGroup() as group:
                looks = [group.create_task(look_into(device)) for device in macs]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [look.result() for look in looks]

    async def _primary_users(self, budget: CallBudget, device: ManagedDevice) -> frozenset[str] | None:
        """Return the primary users for the list, None if Graph does not say: the release asks again."""
        try:
            return await self._graph.primary_users(replace(budget), device.id)
        except KioskError:
            return None


def _place_in_list(device: Device) -> tuple[bool, float, str]:
    return device.refusal is not None, -(device.last_seen.timestamp() if device.last_seen else 0.0), device.name
