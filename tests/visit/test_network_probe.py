"""Looking for the network: less and less often, and no more once it is back."""

from __future__ import annotations

import asyncio

from kiosk.visit.answers import Network
from kiosk.visit.network_probe import until_back
from tests.support.clock import ManualClock


class Looking:
    """A network that comes back when told to, and what was made of it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.back = False
        self.looked: list[float] = []
        self.told: list[Network] = []

    async def answers(self) -> bool:
        self.looked.append(self.clock.now() - 1000)
        return self.back

    async def seconds(self, seconds: int) -> None:
        for second in range(seconds + 1):
            self.clock.advance(1 if second else 0)
            for _ in range(5):
                await asyncio.sleep(0)


async def test_it_looks_less_and_less_often_and_stops_when_the_network_is_back() -> None:
    looking = Looking()
    task = asyncio.ensure_future(until_back(looking.answers, looking.clock, looking.told.append))
    await looking.seconds(200)
    assert looking.looked == [0, 5, 15, 35, 75, 135, 195]
    assert set(looking.told) == {Network.AWAY}
    looking.back = True
    await looking.seconds(100)
    assert looking.looked[-1] == 255
    assert looking.told[-1] is Network.BACK
    assert task.done()
    await looking.seconds(600)
    assert looking.looked[-1] == 255


async def test_a_network_that_is_there_is_said_at_once() -> None:
    looking = Looking()
    looking.back = True
    await until_back(looking.answers, looking.clock, looking.told.append)
    assert looking.told == [Network.BACK]
    assert looking.looked == [0]
