"""Decides by counting rows, inside the transaction that appends: limits, and one visit for each token.

The transaction holds the lock on the head of the record, so nothing is appended between counting and writing: neither
by this process nor by another broker on the same database.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, FromClause, ScalarSelect, Select, func, select

from kiosk.broker.record.schema import KEY_FETCHED, OK, RECORD, TIME_FORMAT, Entry, Event, KioskOf, kiosk_of, stamp
from kiosk.config.broker import LimitSettings, Rules
from kiosk.errors import (
    DeviceLimit,
    KioskLimit,
    LimitReached,
    OverallLimit,
    PersonLimit,
    SignInLimit,
    TokenBound,
    TokenUnconfirmed,
)

_PERIODS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_SHORTEST_WAIT = 1.0


@dataclass(frozen=True)
class Limit:
    """At most so many releases within a sliding window of time."""

    most: int
    period: timedelta

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Parse a text such as ``3/hour``, which the configuration has already validated."""
        most, _, period = text.partition("/")
        return cls(int(most), _PERIODS[period])


_Windows: TypeAlias = tuple[Limit, ...]
_Conditions: TypeAlias = tuple[ColumnElement[bool], ...]


@dataclass(frozen=True)
class Limits:
    """The limits for one person, one device, one kiosk, and for all brokers on this record together."""

    per_person: _Windows = ()
    per_device: _Windows = ()
    per_kiosk: _Windows = ()
    overall: _Windows = ()

    @classmethod
    def of(cls, rules: Rules) -> Limits:
        """Return the limits as configured."""
        texts = (rules.per_person, rules.per_device, rules.per_kiosk, rules.overall)
        return cls(*(tuple(map(Limit.parse, each)) for each in texts))

    def check(self, connection: Connection, entry: Entry, now: datetime, last: int, *, confirmed: bool = False) -> None:
        """Raise what ``one_visit`` raises, or LimitReached if one more release would exceed a limit.

        The head must be locked. The error is that of the first kind of limit that is reached. Its ``retry_after`` is
        the number of seconds until no limit is reached. Everything is one statement: the head is locked for as long as
        the answers take.
        """
        kinds: tuple[tuple[type[LimitReached], _Conditions, _Windows], ...] = (
            (PersonLimit, (RECORD.c.tid == entry.tid, RECORD.c.oid == entry.oid), self.per_person),
            (DeviceLimit, (RECORD.c.device_id == entry.device_id,), self.per_device),
            (KioskLimit, (KioskOf(RECORD.c.terminal) == kiosk_of(entry.terminal),), self.per_kiosk),
            (OverallLimit, (), self.overall),
        )
        limits = [
            (kind, limit, _last_that_counts(whose, limit, now, last)) for kind, whose, each in kinds for limit in each
        ]
        visit, ended, *times = connection.execute(
            select(*_visit_of(entry, last, confirmed=confirmed), *(found.scalar_subquery() for _, _, found in limits))
        ).one()
        _refuse_other_visit(entry, visit, ended, confirmed=confirmed)
        waits = [(kind, _wait(time, limit, now)) for (kind, limit, _), time in zip(limits, times, strict=True)]
        reached = next((kind for kind, wait in waits if wait), None)
        if reached:
            longest = max(wait for _, wait in waits)
            raise reached(f"the next in {longest:.0f} s", retry_after=longest)


@dataclass(frozen=True)
class DeviceCodeLimits:
    """How many device codes may be used at one kiosk, and by how many different people, within a sliding hour."""

    sign_ins: int
    people: int
    period: timedelta = _PERIODS["hour"]

    @classmethod
    def of(cls, settings: LimitSettings) -> DeviceCodeLimits:
        """Return the limits as configured."""
        return cls(settings.sign_ins_per_hour, settings.people_per_hour)

    def check(self, connection: Connection, entry: Entry, now: datetime, last: int) -> None:
        """Raise SignInLimit if this sign-in would exceed a limit at its kiosk. The head must be locked.

        A sign-in that the record has already counts once.
        """
        times: dict[str, str] = {}
        people: dict[tuple[str, str], str] = {}
        for row in connection.execute(self._opened(entry, now, last)):
            times[row.uti] = people[row.tid, row.oid] = row.time
        if entry.uti in times:
            return
        full: list[tuple[Collection[str], int]] = [(times.values(), self.sign_ins)]
        if (entry.tid, entry.oid) not in people:
            full.append((people.values(), self.people))
        wait = max(_wait(_uses_up(seen, most), Limit(most, self.period), now) for seen, most in full)
        if wait:
            raise SignInLimit(f"the next at this kiosk in {wait:.0f} s", retry_after=wait)

    def _opened(self, entry: Entry, now: datetime, last: int) -> Select[str, str, str, str]:
        """Select time and person of the sign-ins that count, oldest first."""
        here = KioskOf(RECORD.c.terminal) == kiosk_of(entry.terminal)
        opened = (RECORD.c.event == Event.SESSION_OPENED) & (RECORD.c.outcome == OK)
        return (
            select(RECORD.c.time, RECORD.c.tid, RECORD.c.oid, RECORD.c.uti)
            .where(here, opened, RECORD.c.time > stamp(now - self.period), within(last))
            .order_by(RECORD.c.time)
        )


def _uses_up(times: Collection[str], most: int) -> str | None:
    """Return the time that has to pass out of the window before there is room for one more; None if there is room."""
    newest_first = sorted(times, reverse=True)
    return newest_first[most - 1] if len(newest_first) >= most else None


def one_visit(connection: Connection, entry: Entry, last: int, *, confirmed: bool = False) -> None:
    """Raise TokenBound if the token of ``entry`` belongs to another visit, or to one that has ended.

    A token belongs to the first visit on the record that used it, even if that visit was refused. With ``confirmed`` it
    belongs to the visit that confirmed the sign-in, even if another one used it before; any other raises
    TokenUnconfirmed. An entry without a token passes. The head must be locked, at row ``last``.
    """
    if entry.uti:
        found = connection.execute(select(*_visit_of(entry, last, confirmed=confirmed))).one()
        _refuse_other_visit(entry, *found, confirmed=confirmed)


def _visit_of(entry: Entry, last: int, *, confirmed: bool) -> tuple[ScalarSelect[str], ScalarSelect[int]]:
    """Select the visit that the token of this entry belongs to, and the row at which that visit ended."""
    same = (RECORD.c.uti == entry.uti) & (RECORD.c.tid == entry.tid) & (RECORD.c.oid == entry.oid) & within(last)
    binds = RECORD.c.event == Event.SIGN_IN_CONFIRMED if confirmed else RECORD.c.visit_key != ""
    first = select(RECORD.c.visit_key).where(same, binds).order_by(RECORD.c.n).limit(1)
    ended = select(RECORD.c.n).where(same, RECORD.c.event == Event.SESSION_ENDED).limit(1)
    return first.scalar_subquery(), ended.scalar_subquery()


def _refuse_other_visit(entry: Entry, first: str | None, ended: int | None, *, confirmed: bool) -> None:
    if not entry.uti:
        return
    if confirmed and first != entry.visit_key and entry.event != Event.SIGN_IN_CONFIRMED:
        raise TokenUnconfirmed(f"uti={entry.uti!r} was confirmed by {first or 'nobody'!r}")
    if first not in {None, entry.visit_key}:
        raise TokenBound(f"uti={entry.uti!r} serves the visit {first!r}")
    if ended:
        raise TokenBound(f"uti={entry.uti!r} served a visit that has ended")


def within(last: int, table: FromClause = RECORD) -> ColumnElement[bool]:
    """Return the condition for rows of the chain: all these numbers are in use, so nobody can insert another one."""
    return table.c.n.between(1, last)


def _last_that_counts(whose: _Conditions, limit: Limit, now: datetime, last: int) -> Select[str]:
    """Select the time of the release that uses up the limit: none if one more is within it.

    Every intention counts unless a refusal followed: without a known outcome, the key may have been seen. A refusal
    after the key was fetched counts as well, or keys could be fetched without end.
    """
    outcome = RECORD.alias()
    # A count, and no condition on the event: PostgreSQL would turn an EXISTS into a join with all refusals, which it
    # takes for few, and would go through all of them for each release.
    refusals = (
        select(func.count().filter(outcome.c.event == Event.REFUSED, outcome.c.detail != KEY_FETCHED))
        .where(outcome.c.release_id == RECORD.c.release_id, within(last, outcome))
        .scalar_subquery()
    )
    return (
        select(RECORD.c.time)
        .where(*whose, RECORD.c.event == Event.INTENDED, RECORD.c.time > stamp(now - limit.period))
        .where(within(last), refusals == 0)
        .order_by(RECORD.c.time.desc())
        .limit(1)
        .offset(limit.most - 1)
    )


def _wait(time: str | None, limit: Limit, now: datetime) -> float:
    """Return the seconds until one more release is within the limit; 0 if it is within it now."""
    if time is None:
        return 0.0
    oldest = datetime.strptime(time, TIME_FORMAT).replace(tzinfo=UTC)
    return max(_SHORTEST_WAIT, (oldest + limit.period - now).total_seconds())
