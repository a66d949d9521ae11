"""The record: what was decided, for whom, when. Durable before anything that depends on it happens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy import Column, ColumnElement, Connection, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from kiosk.broker.database import open_engine, unusable
from kiosk.broker.schema import (
    COLUMNS,
    HEAD,
    METADATA,
    RECORD,
    TIME_FORMAT,
    UNKNOWN,
    Entry,
    Event,
    stamp,
)
from kiosk.clock import Clock
from kiosk.errors import LimitReached, RecordUnavailable, ReleaseUnknown

_WRITE_SECONDS = 10
_MOST_WAITING = 256
_LONGEST_RELEASE = timedelta(minutes=10)
_PERIODS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Limit:
    """So many releases within a period that slides with the clock."""

    most: int
    period: timedelta

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read ``3/hour``; the configuration has already seen to the form."""
        most, _, period = text.partition("/")
        return cls(int(most), _PERIODS[period])


@dataclass(frozen=True)
class Limits:
    """What one person may be given, and what may be given out of one device."""

    per_person: tuple[Limit, ...] = ()
    per_device: tuple[Limit, ...] = ()


class Record:
    """One writer: a thread of its own, so that entries keep their order and the event loop never waits for a disk."""

    def __init__(self, url: str, clock: Clock) -> None:
        """Open the database. Raises ConfigError."""
        self.engine = open_engine(url)
        self._clock = clock
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="record")
        self._waiting = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Make what is missing, settle what a crash left open, and note start and stop. Raises ConfigError."""
        try:
            self._writer.submit(self._transaction, self._start).result()
        except RecordUnavailable as error:
            self._close()
            raise unusable(f"expected a database that can be written: {error.cause}") from None
        try:
            yield
        finally:
            with contextlib.suppress(RecordUnavailable):
                self._writer.submit(self._transaction, lambda c: self._add(c, Entry(Event.STOPPED))).result()
            self._close()

    async def add(self, entry: Entry) -> None:
        """Write one entry; it is durable when this returns. Raises RecordUnavailable."""
        await self._in_turn(lambda connection: self._add(connection, entry))

    async def intend(self, entry: Entry, limits: Limits) -> None:
        """Write the intention of a release if the limits allow it. Raises LimitReached or RecordUnavailable.

        Counting and writing are one transaction behind the lock on the head, so two at once cannot both be the last.
        """
        await self._in_turn(lambda connection: self._intend(connection, entry, limits))

    async def close(self, entry: Entry) -> None:
        """Note how the reveal of a release to this person ended; the first word on it stands.

        Raises ReleaseUnknown or RecordUnavailable.
        """
        await self._in_turn(lambda connection: self._closed(connection, entry))

    async def check(self) -> None:
        """Return when an entry could be written now. Raises RecordUnavailable."""
        await self._in_turn(lambda connection: self._change_head(connection, HEAD.c.trials))

    async def _in_turn(self, work: Callable[[Connection], _Result]) -> _Result:
        if self._waiting >= _MOST_WAITING:
            raise RecordUnavailable(f"{self._waiting} entries wait to be written")
        self._waiting += 1
        written = asyncio.wrap_future(self._writer.submit(self._transaction, work))
        written.add_done_callback(self._one_less)
        try:
            # Shielded: what is under way is finished, whoever stops waiting for it.
            return await asyncio.wait_for(asyncio.shield(written), _WRITE_SECONDS)
        except TimeoutError:
            raise RecordUnavailable(f"not written after {_WRITE_SECONDS} s") from None

    def _one_less(self, written: asyncio.Future[_Result]) -> None:
        self._waiting -= 1
        if not written.cancelled():
            written.exception()

    def _transaction(self, work: Callable[[Connection], _Result]) -> _Result:
        try:
            with self.engine.begin() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            origin = getattr(error, "orig", None) or error
            raise RecordUnavailable(f"{type(origin).__name__}: {origin}") from None

    def _close(self) -> None:
        self._writer.submit(self.engine.dispose).result()
        self._writer.shutdown()

    def _start(self, connection: Connection) -> None:
        METADATA.create_all(connection)
        if connection.scalar(select(HEAD.c.n)) is None:
            connection.execute(insert(HEAD).values(id=1, n=0, trials=0))
        for entry in self._unsettled(connection):
            self._add(connection, entry)
        self._add(connection, Entry(Event.STARTED))

    def _unsettled(self, connection: Connection) -> Sequence[Entry]:
        """For each intention that nothing followed, the entry that closes it: the key may have been seen, or not."""
        outcome = RECORD.alias()
        followed = (
            select(outcome.c.n)
            .where(outcome.c.release_id == RECORD.c.release_id, outcome.c.event != Event.INTENDED)
            .exists()
        )
        open_ones = select(*COLUMNS).where(RECORD.c.event == Event.INTENDED, ~followed)
        if connection.dialect.name != "sqlite":
            # Behind a shared database another broker may be at work on a younger one.
            open_ones = open_ones.where(RECORD.c.time < stamp(self._clock.utc() - _LONGEST_RELEASE))
        left = connection.execute(open_ones).all()
        return [replace(Entry(**row._mapping), event=Event.CLOSED, outcome=UNKNOWN) for row in left]

    def _add(self, connection: Connection, entry: Entry) -> None:
        self._insert(connection, self._change_head(connection, HEAD.c.n), entry, self._clock.utc())

    def _change_head(self, connection: Connection, column: Column[int]) -> int:
        """Lock the head against all other writers until the transaction ends, and count one of its numbers on."""
        number = connection.scalar(update(HEAD).values({column: column + 1}).returning(column))
        if number is None:
            raise RecordUnavailable("the head of the record is missing")
        return int(number)

    def _insert(self, connection: Connection, number: int, entry: Entry, now: datetime) -> None:
        connection.execute(insert(RECORD).values(entry.row(number, stamp(now))))

    def _intend(self, connection: Connection, entry: Entry, limits: Limits) -> None:
        number = self._change_head(connection, HEAD.c.n)
        now = self._clock.utc()
        person = (RECORD.c.tid == entry.tid) & (RECORD.c.oid == entry.oid)
        device = RECORD.c.device_id == entry.device_id
        waits = [_wait(connection, person, limit, now) for limit in limits.per_person]
        waits += [_wait(connection, device, limit, now) for limit in limits.per_device]
        if any(waits):
            raise LimitReached(f"the next in {max(waits):.0f} s", retry_after=max(waits))
        self._insert(connection, number, entry, now)

    def _closed(self, connection: Connection, entry: Entry) -> None:
        ours = (RECORD.c.release_id == entry.release_id) & (RECORD.c.tid == entry.tid) & (RECORD.c.oid == entry.oid)
        done = connection.execute(select(*COLUMNS).where(ours, RECORD.c.event == Event.DONE)).first()
        if done is None:
            raise ReleaseUnknown(f"release {entry.release_id} was not made to this person")
        if connection.scalar(select(RECORD.c.n).where(ours, RECORD.c.event == Event.CLOSED)) is None:
            about = replace(entry, device_id=done.device_id, serial=done.serial, owner_type=done.owner_type)
            self._add(connection, about)


def _wait(connection: Connection, whose: ColumnElement[bool], limit: Limit, now: datetime) -> float:
    """Seconds until one more release is within the limit; 0 when it is now.

    Every intention counts but one that was refused afterwards: of one without a known outcome the worse is assumed.
    """
    outcome = RECORD.alias()
    refused = (
        select(outcome.c.n)
        .where(outcome.c.release_id == RECORD.c.release_id, outcome.c.event == Event.REFUSED)
        .exists()
    )
    counted = (
        select(RECORD.c.time)
        .where(whose, RECORD.c.event == Event.INTENDED, RECORD.c.time > stamp(now - limit.period), ~refused)
        .order_by(RECORD.c.time.desc())
        .limit(limit.most)
    )
    times = connection.scalars(counted).all()
    if len(times) < limit.most:
        return 0.0
    oldest = datetime.strptime(times[-1], TIME_FORMAT).replace(tzinfo=UTC)
    return max(1.0, (oldest + limit.period - now).total_seconds())
