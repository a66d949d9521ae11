"""Looks single releases up without the lock that the record's writer needs."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from kiosk.broker.record.database import open_reader, unavailable
from kiosk.broker.record.schema import RECORD, UNKNOWN
from kiosk.errors import RecordUnavailable

_MOST_WAITING = 64
_SECONDS = 5


class Lookup:
    """Reads in its own thread and on its own connection, one lookup at a time.

    Requests without a token may cause lookups, so only so many may wait, and none delays the writer.
    """

    def __init__(self, url: str) -> None:
        """Open the record for reading. Raises ConfigError."""
        self.engine = open_reader(url)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="record-lookup")
        self._waiting = 0

    async def events(self, release_id: str) -> frozenset[str]:
        """Return the kinds of entries on the record about a release, except guessed endings.

        Raises RecordUnavailable.
        """
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

    def close(self) -> None:
        """End the thread and close the connection."""
        self._thread.shutdown(cancel_futures=True)
        self.engine.dispose()

    def _read(self, release_id: str) -> frozenset[str]:
        with self.engine.connect() as connection:
            said = (RECORD.c.release_id == release_id) & (RECORD.c.outcome != UNKNOWN)
            return frozenset(connection.scalars(select(RECORD.c.event).where(said)))
