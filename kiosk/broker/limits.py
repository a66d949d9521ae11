"""Limits on releases, counted from the record itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, select

from kiosk.broker.schema import RECORD, TIME_FORMAT, Entry, Event, stamp

_PERIODS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}


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

    def wait(self, connection: Connection, entry: Entry, now: datetime) -> float:
        """Seconds until this release is within all limits; 0 when it is now. The head must be locked."""
        person = (RECORD.c.tid == entry.tid) & (RECORD.c.oid == entry.oid)
        device = RECORD.c.device_id == entry.device_id
        waits = [_wait(connection, person, limit, now) for limit in self.per_person]
        waits += [_wait(connection, device, limit, now) for limit in self.per_device]
        return max(waits, default=0.0)


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
