"""Looks single releases up without the lock that the record's writer needs."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from kiosk.broker.record.database import open_reader, unavailable
from kiosk.broker.record.schema import RECORD, UNKNOWN, Entry, Event
from kiosk.clock import Clock
from kiosk.errors import RecordUnavailable

_MOST_WAITING = 64
_SECONDS = 5
# Lookups in the database per second, for all callers together.
READS_PER_SECOND = 10
_MOST_KNOWN = 10_000


class Lookup:
    """Reads in its own thread and on its own connection, one lookup at a time.

    Requests without a token may cause lookups. What this broker released itself it knows by heart; of the others only
    so many are looked up in a second, and none delays the writer.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        """Open the record for reading. Raises ConfigError."""
        self.engine = open_reader(url)
        self._clock = clock
        self._known: OrderedDict[str, set[str]] = OrderedDict()
        self._reads, self._read_at = float(READS_PER_SECOND), clock.now()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="record-lookup")
        self._waiting = 0

    async def events(self, release_id: str) -> frozenset[str]:
        """Return the kinds of entries on the record about a release, except guessed endings.

        Raises RecordUnavailable.
        """
        if known := self._known.get(release_id):
            return frozenset(known)
        self._take_turn()
        if self._waiting >= _MOST_WAITING:
            raise RecordUnavailable(f"{self._waiting} lookups wait")
        self._waiting += 1
        try:
            found = asyncio.get_running_loop().run_in_executor(self._thread, self._read, release_id)
            return await asyncio.wait_for(found, _SECONDS)
        except TimeoutError:
            raise RecordUnavailable(f"no answer after {_SECONDS} s") from None
        except SQLAlchemyError as error:
            raise unavailable(error) from None
        finally:
            self._waiting -= 1

    def note(self, entry: Entry) -> None:
        """Remember an entry that is on the record now, if it is about a release of this broker."""
        if entry.event == Event.DONE:
            self._known[entry.release_id] = {entry.event}
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        elif entry.release_id in self._known:
            self._known[entry.release_id].add(entry.event)

    def _take_turn(self) -> None:
        now = self._clock.now()
        self._reads = min(READS_PER_SECOND, self._reads + (now - self._read_at) * READS_PER_SECOND)
        self._read_at = now
        if self._reads < 1:
            raise RecordUnavailable(f"more than {READS_PER_SECOND} lookups in a second", retry_after=1)
        self._reads -= 1

    def close(self) -> None:
        """End the thread and close the connection."""
        self._thread.shutdown(cancel_futures=True)
        self.engine.dispose()

    def _read(self, release_id: str) -> frozenset[str]:
        with self.engine.connect() as connection:
            said = (RECORD.c.release_id == release_id) & (RECORD.c.outcome != UNKNOWN)
            return frozenset(connection.scalars(select(RECORD.c.event).where(said)))
