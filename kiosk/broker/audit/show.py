"""Shows entries of the record: found by what people know, readable in 80 columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import Column, ColumnElement, or_

from kiosk.broker.audit.source import DatabaseSource, Members
from kiosk.broker.record.schema import RECORD, UNKNOWN, Event, stamp
from kiosk.errors import ConfigError
from kiosk.text import clean

WIDTH = 80
_INDENT = "    "
_LONGEST = 1000
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_WHEN = "expected a day such as monday, today or 2026-11-20, a time such as 2026-11-20T08:00, or a span such as 7d"
_MORE = ("reason", "terminal", "reference", "shown_seconds", "release_id", "detail")


def moment(option: str, text: str, now: datetime, *, end: bool = False) -> datetime:
    """Parse a time such as ``monday`` or ``7d`` into a moment in UTC. Raises ConfigError.

    A day means its beginning or, with ``end``, its end.
    """
    words = text.strip().lower()
    if span := re.fullmatch(r"([0-9]{1,5})([mhdw])", words):
        return now - timedelta(**{_UNITS[span[2]]: int(span[1])})
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    day: datetime | None = None
    if words in {"today", "yesterday"}:
        day = midnight - timedelta(days=words == "yesterday")
    elif words in _DAYS:
        day = midnight - timedelta(days=(now.weekday() - _DAYS.index(words)) % 7)
    elif re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", words):
        day = _iso(option, text, words)
    if day is not None:
        return day + timedelta(days=1) if end else day
    return _iso(option, text, words)


class Wanted:
    """A search: conditions for the database, and tests of the rows that it finds."""

    def __init__(self) -> None:
        self.where: list[ColumnElement[bool]] = []
        self.tests: list[Callable[[Members], bool]] = []

    def named(
        self,
        source: DatabaseSource,
        id_: Column[str],
        named: str,
        others: Iterable[Column[str]],
        fits: Callable[[str], bool],
    ) -> None:
        """Restrict the search to rows with this id, or with a value that ``fits`` in one of the other columns.

        Python compares the values, because it knows the capitals of all languages and SQLite does not.
        """
        columns = tuple(others)
        id_text = named.lower()
        self.where.append(or_(id_ == id_text, *(source.having(column, fits) for column in columns)))
        self.tests.append(
            lambda row: row[id_.name] == id_text or any(fits(str(row[column.name])) for column in columns)
        )

    def rows(self, source: DatabaseSource) -> Iterator[Members]:
        """Yield the rows, oldest first."""
        return (row for row in source.rows(*self.where) if all(test(row) for test in self.tests))


def wanted(
    source: DatabaseSource,
    *,
    person: str | None,
    device: str | None,
    since: datetime | None,
    until: datetime | None,
    event: str | None,
    outcome: str | None,
    seen: bool,
) -> Wanted:
    """Return the search for these options."""
    row = RECORD.c
    asked = Wanted()
    where = asked.where
    if person:
        part = person.casefold()
        asked.named(source, row.oid, person, (row.name, row.address), lambda text: part in text.casefold())
    if device:
        whole = device.casefold()
        asked.named(source, row.device_id, device, (row.serial, row.device_name), lambda text: text.casefold() == whole)
    if since:
        where.append(row.time >= stamp(since))
    if until:
        where.append(row.time < stamp(until))
    if event:
        where.append(row.event.in_([event, *(kind for kind in Event if kind.startswith(f"{event}."))]))
    if outcome:
        where.append(row.outcome == outcome)
    if seen:
        # In doubt a key counts as seen: one that was handed over, and one that a crash left open.
        where.append((row.event == Event.DONE) | ((row.event == Event.CLOSED) & (row.outcome == UNKNOWN)))
    return asked


def entry(row: Members) -> str:
    """Format an entry as a few lines of at most 80 columns, free of control characters."""
    said = {name: clean(value, _LONGEST) if isinstance(value, str) else value for name, value in row.items()}
    time = str(said["time"]).replace("T", " ").partition(".")[0]
    lines = wrapped(f"{said['n']}  {time}Z  {said['event']}  {said['outcome']}", "")
    who = said["name"] or said["oid"]
    if who:
        lines += wrapped(f"{who} <{said['address'] or said['oid']}>", _INDENT)
    what = said["device_name"] or said["serial"] or said["device_id"]
    if what:
        serial = said["serial"] or said["device_id"]
        lines += wrapped(f"{what} ({serial})" if what != serial else str(what), _INDENT)
    more = [f"{name.replace('_', ' ')}: {said[name]}" for name in _MORE if said[name] not in {"", None}]
    for piece in more:
        lines += wrapped(piece, _INDENT)
    return "\n".join(lines)


def wrapped(text: str, indent: str) -> list[str]:
    """Break text into lines of at most 80 columns, at spaces where possible."""
    if text.isascii() and 0 < len(indent + text) <= WIDTH:
        return [indent + text]
    lines, current = [], ""
    for word in re.findall(r" *[^ ]+", text):
        if current and _width(indent + current + word) > WIDTH:
            lines.append(indent + current)
            current, word = "", word.lstrip()
        for character in word:
            if _width(indent + current + character) > WIDTH:
                lines.append(indent + current)
                current = ""
            current += character
    return [*lines, indent + current] if current else lines


def _width(text: str) -> int:
    """Return the number of terminal columns that the text takes."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _iso(option: str, text: str, words: str) -> datetime:
    try:
        found = datetime.fromisoformat(words.upper())
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ConfigError(option, f"{_WHEN}, not {clean(text)}") from None
