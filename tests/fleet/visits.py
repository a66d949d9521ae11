"""People at kiosks, played with the product's own client: each signs in, asks for a key, opens it and compares it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kiosk import api
from kiosk.clock import SystemClock
from kiosk.config.kiosk import KioskConfig
from kiosk.errors import KioskError
from kiosk.identity.device_code import DeviceCodeSignIn
from kiosk.models import Ending
from kiosk.proof import Prover
from kiosk.sandbox.phone import Phone
from kiosk.sandbox.tenant.directory import Device, Directory, Person, load_directory
from kiosk.sandbox.tenant.generate import grow
from kiosk.secret import VisitKeys, release_info
from tests.support.sandbox import RunningSandbox

DEVICES = 4000
_Answer = TypeVar("_Answer")
# One visit in so many is by somebody who has been here before, so that limits are met across brokers.
_REGULARS_EVERY = 8
_REGULARS = 3


@dataclass
class Tally:
    """What became of some visits. ``wordless`` are endings that a kiosk could not explain to the person."""

    visits: int = 0
    keys: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    wordless: list[str] = field(default_factory=list)
    longest: float = 0.0


@dataclass
class Opened:
    """A key that was opened at a kiosk. ``right`` says whether it is the sandbox's."""

    release_id: str
    oid: str
    device_id: str
    right: bool


class Crowd:
    """Everybody who visits during a rehearsal."""

    def __init__(self, kiosk: KioskConfig, sandbox: RunningSandbox, devices: int = DEVICES) -> None:
        self._kiosk = kiosk
        self._sandbox = sandbox
        self._people = _people(sandbox, devices)
        self._count = itertools.count(1)
        self.tally = Tally()
        self.opened: list[Opened] = []
        self.last_key = 0.0
        self._running: set[asyncio.Task[None]] = set()

    def new_tally(self) -> Tally:
        """Count from now on into a new tally, and return it."""
        self.tally = Tally()
        return self.tally

    async def arrive(self, per_second: float) -> None:
        """Begin visits at this rate, without waiting for the ones before, until cancelled."""
        while True:
            task = asyncio.create_task(self.visit())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            await asyncio.sleep(1 / per_second)

    async def leave(self) -> None:
        """Wait for the visits that have begun."""
        await asyncio.gather(*self._running)

    async def visit(self) -> None:
        """Make one visit, and count how it ended. An error of the product is counted by its code."""
        tally, number = self.tally, next(self._count)
        tally.visits += 1
        person, device = next(self._people)
        try:
            await self._visit(person, device, f"desk{number % 40} tty1", tally)
        except KioskError as error:
            # What answers is not the broker: no person could do anything with that.
            if error.code == "broker_garbled":
                tally.wordless.append(f"{error.code}: {error.cause}")
            else:
                tally.refused[error.code] += 1
        except Exception as error:
            tally.wordless.append(f"{type(error).__name__}: {error}")

    async def _visit(self, person: Person, device: Device, terminal: str, tally: Tally) -> None:
        sign_in, keys = DeviceCodeSignIn(self._kiosk.device_code_settings, SystemClock()), VisitKeys()
        code = await sign_in.begin()
        async with Phone(self._sandbox.url, self._sandbox.ca) as phone:
            await phone.approve(code.user_code, person.oid)
        await sign_in.wait()
        broker = api.Broker(self._kiosk.broker, sign_in.authorization, terminal, Prover(keys, SystemClock()))
        try:
            session = await self._timed(broker.session(), tally)
            await self._timed(broker.devices(), tally)
            release = await self._timed(broker.release(device.id, keys.public_key), tally)
            info = release_info(
                tid=session.person.tid, oid=person.oid, device_id=device.id, release_id=release.release_id
            )
            with keys.open(release.sealed, info) as key:
                right = bytes(key[index] for index in range(len(key))).decode() == device.key
            self.opened.append(Opened(release.release_id, person.oid, device.id, right))
            self.last_key = time.monotonic()
            tally.keys += 1
            # As in the kiosk, which tells nobody if this fails: the person has the key and is gone.
            with contextlib.suppress(KioskError):
                await broker.closed(release.release_id, Ending.FINISHED, 1.0)
        finally:
            await broker.aclose()
            sign_in.forget()

    async def _timed(self, request: Coroutine[Any, Any, _Answer], tally: Tally) -> _Answer:
        begun = time.monotonic()
        try:
            return await request
        finally:
            tally.longest = max(tally.longest, time.monotonic() - begun)


def _people(sandbox: RunningSandbox, devices: int) -> Iterator[tuple[Person, Device]]:
    """Yield people with a Mac whose key can be released: mostly new ones, now and then one of a few regulars."""
    now = SystemClock().utc()
    directory: Directory = load_directory(now, tenant_id=sandbox.tenant)
    grow(directory, devices, 1, now)
    # One Mac for each of the people whom ``grow`` made up.
    found = {
        person.oid: (person, device)
        for device in directory.devices()
        if device.key and (person := directory.person(device.user)) and person.address.startswith("user")
    }
    pairs = list(found.values())
    regulars, others = itertools.cycle(pairs[:_REGULARS]), iter(pairs[_REGULARS:])
    for number in itertools.count(1):
        yield next(regulars) if number % _REGULARS_EVERY == 0 else next(others)
