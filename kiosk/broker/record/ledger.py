"""Does the work of one transaction on the record: locks its head, appends rows, signs head and checkpoints."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    bindparam,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.exc import ProgrammingError

from kiosk.broker import logs
from kiosk.broker.record import indexes
from kiosk.broker.record.chain import Appended, Row, first_previous
from kiosk.broker.record.checkpoints import InvalidSignature, Signing
from kiosk.broker.record.database import unusable
from kiosk.broker.record.head import COLUMNS as HEAD_COLUMNS
from kiosk.broker.record.head import Head, Seen
from kiosk.broker.record.limits import DeviceCodeLimits, Limits, one_visit, within
from kiosk.broker.record.schema import (
    CHECKPOINT,
    COLUMNS,
    HEAD,
    LENGTHS,
    METADATA,
    PREVIOUS_VERSION,
    RECORD,
    TIME_FORMAT,
    UNKNOWN,
    VERSION,
    Entry,
    Event,
    beside_the_record,
    stamp,
)
from kiosk.clock import Clock
from kiosk.config.broker import LONGEST_GRAPH_SECONDS
from kiosk.errors import RecordUnavailable, ReleaseUnknown
from kiosk.text import clean

# Graph may take half of it; the rest is for slow writes and sinks. An older intention gets no outcome any more.
LONGEST_RELEASE = timedelta(seconds=2 * LONGEST_GRAPH_SECONDS)
_DEVICE = ("device_id", "device_name", "serial", "owner_type")
_PERSON = ("tid", "oid", "name", "address", "roles", "uti", "visit_key")
_FARTHEST_BACK = timedelta(days=1)
# The longest reveal that a kiosk may be configured for is an hour; what it says of one follows at once.
LONGEST_REPORT = timedelta(hours=2)
_UNREPORTED_BACK = timedelta(days=7)
# An arbitrary number, the same for all brokers: of two that start at once only one may create the tables.
_STARTING = 0x6B696F736B

# The head, and the hash that the row of the newest head seen has now. One statement saves a round trip.
_THERE = select(RECORD.c.hash).where(RECORD.c.n == bindparam("seen")).scalar_subquery()
_LOCKED = select(*HEAD_COLUMNS, _THERE).where(HEAD.c.id == 1).with_for_update(of=HEAD)


@dataclass
class Ledger:
    """Appends to the record. ``appended`` collects what the transaction under way adds.

    ``refused`` says why this broker appends nothing at the moment: the record is not the one that it left. It is empty
    as long as all is well. With ``confirmed``, a token is good only for the visit that confirmed its sign-in.
    ``device_codes`` limits sign-ins where there is no such confirmation.
    """

    clock: Clock
    signing: Signing | None = None
    configuration: Entry | None = None
    appended: list[Appended] = field(default_factory=list)
    refused: str = ""
    seen: Seen = field(default_factory=Seen)
    waited: Callable[[float], None] = lambda _seconds: None
    confirmed: bool = False
    device_codes: DeviceCodeLimits | None = None
    _began: float = 0.0
    _locked: Head | None = None
    _changed: bool = False

    def __post_init__(self) -> None:
        if self.signing:
            self.seen = Seen.load(self.signing.seen, [self.signing.signer.public])

    @contextlib.contextmanager
    def transaction(self, engine: Engine) -> Iterator[Connection]:
        """Begin a transaction. At its end the head is signed and written once, whatever was appended."""
        self._begin()
        with engine.begin() as connection:
            yield connection
            if self._locked and self._changed:
                self._write_head(connection, self._locked)
        if self._locked:
            self.seen.remember(self._locked)
            if self.refused:
                logs.LOG.warning("the record is appended to again, at row %d", self._locked.n)
                self.refused = ""

    def _begin(self) -> None:
        self.appended.clear()
        self._locked, self._changed = None, False
        self._began = self.clock.now()

    def start(self, connection: Connection) -> None:
        """Create missing tables, close what a crash left open, append the start.

        Raises RecordUnavailable for a record that has yet to be migrated, ConfigError for one of any other version.
        """
        _refuse_other_versions(connection)
        if not _is_made(connection):
            self._make(connection)
        if connection.dialect.name == "sqlite":
            indexes.bring_up_to_date(connection)
        self._check_end(connection)
        if connection.dialect.name == "sqlite":
            self._settle(connection, younger=True)
            self._close_unreported(connection, since=self.clock.utc() - _UNREPORTED_BACK)
        self.add(connection, Entry(Event.STARTED))
        if self.configuration and self.configuration.digest != _configured(connection):
            self.add(connection, self.configuration)
        self.append_checkpoint(connection)

    def _make(self, connection: Connection) -> None:
        """Create the tables and the head. Of brokers that start at once, one does it and the others wait for it."""
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _STARTING})
        METADATA.create_all(connection)
        _create_beside(connection)
        if connection.scalar(select(HEAD.c.n)) is None:
            self._create_head(connection)

    def keep_house(self, connection: Connection, farthest_back: timedelta = _FARTHEST_BACK) -> None:
        """Close what another broker's crash left open, and append a checkpoint if one is due."""
        since = self.clock.utc() - farthest_back
        self._settle(connection, younger=False, since=since)
        self._close_unreported(connection, since=since)
        self.append_checkpoint(connection, due_only=True)

    def accept(self, connection: Connection, head: Head, entry: Entry) -> None:
        """Append that the operator accepts the record as it is, after a head that this broker may not have written."""
        self._append(connection, head, entry, self.clock.utc())
        self.append_checkpoint(connection)

    def stop(self, connection: Connection) -> None:
        """Append the stop."""
        self.add(connection, Entry(Event.STOPPED))
        self.append_checkpoint(connection)

    def append_checkpoint(self, connection: Connection, *, due_only: bool = False) -> None:
        """Append a checkpoint unless the newest entry has one; with ``due_only``, only if one is due."""
        head, now = self._head(connection), self.clock.utc()
        if head.n > head.signed and (not due_only or self._due(head, now)):
            self._append_checkpoint(connection, head, now)

    def add(self, connection: Connection, entry: Entry) -> None:
        """Append one entry, except a refusal of a release that is done."""
        if entry.event == Event.REFUSED and entry.release_id:
            # Its commit took so long that it was given up, and the request refused. It was written nevertheless.
            done = (RECORD.c.release_id == entry.release_id) & (RECORD.c.event == Event.DONE)
            done &= within(self._head(connection).n)
            if connection.scalar(select(RECORD.c.n).where(done).limit(1)) is not None:
                return
        self._append(connection, self._head(connection), entry, self.clock.utc())

    def intend(self, connection: Connection, entry: Entry, limits: Limits) -> None:
        """Append an intention if its token and the limits allow it. Raises TokenBound or LimitReached."""
        head = self._head(connection)
        now = self.clock.utc()
        limits.check(connection, entry, now, head.n, confirmed=self.confirmed)
        self._append(connection, head, entry, now)

    def append_closing(self, connection: Connection, entry: Entry) -> None:
        """Append how a reveal, or the check of a copy, ended, unless that is recorded.

        Only the visit that the key was sealed to can say so. Raises TokenBound or ReleaseUnknown.
        """
        ours = (RECORD.c.release_id == entry.release_id) & (RECORD.c.tid == entry.tid) & (RECORD.c.oid == entry.oid)
        self._end(connection, entry, ours & (RECORD.c.visit_key == entry.visit_key), _DEVICE)

    def append_loss(self, connection: Connection, entry: Entry) -> None:
        """Append that a reveal ended with the process that showed it. Raises ReleaseUnknown.

        Unlike a closing, it does not say to whom; that is taken from the release.
        """
        self._end(connection, entry, RECORD.c.release_id == entry.release_id, (*_DEVICE, *_PERSON))

    def _end(self, connection: Connection, entry: Entry, which: ColumnElement[bool], known: Sequence[str]) -> None:
        """Append an ending, with the members ``known`` copied from the release that ``which`` selects."""
        head = self._head(connection)
        one_visit(connection, entry, head.n, confirmed=self.confirmed)
        which &= within(head.n)
        done = connection.execute(select(*COLUMNS).where(which, RECORD.c.event == Event.DONE)).first()
        if done is None:
            raise ReleaseUnknown(f"no release {entry.release_id}, or not to this visit")
        # A broker that wrote the release off only guessed its ending: what a kiosk says is recorded after that.
        said = (RECORD.c.event == entry.event) & (RECORD.c.outcome != UNKNOWN)
        if connection.scalar(select(RECORD.c.n).where(which, said).limit(1)) is None:
            names = {name: getattr(done, name) for name in known}
            self._append(connection, head, replace(entry, **names), self.clock.utc())

    def append_confirmation(self, connection: Connection, entry: Entry) -> None:
        """Append that the sign-in of a token was confirmed, unless that is recorded. Raises TokenBound."""
        head = self._head(connection)
        one_visit(connection, entry, head.n, confirmed=True)
        said = (RECORD.c.uti == entry.uti) & (RECORD.c.tid == entry.tid) & (RECORD.c.oid == entry.oid)
        said &= (RECORD.c.event == Event.SIGN_IN_CONFIRMED) & within(head.n)
        if connection.scalar(select(RECORD.c.n).where(said).limit(1)) is None:
            self._append(connection, head, entry, self.clock.utc())

    def append_session(self, connection: Connection, entry: Entry) -> None:
        """Append that a visit begins or ends. Its token serves no other visit, and none after the end.

        Raises TokenBound or SignInLimit.
        """
        head, now = self._head(connection), self.clock.utc()
        one_visit(connection, entry, head.n, confirmed=self.confirmed)
        if self.device_codes and entry.event == Event.SESSION_OPENED:
            self.device_codes.check(connection, entry, now, head.n)
        self._append(connection, head, entry, now)

    def trial(self, connection: Connection, entry: Entry | None = None) -> None:
        """Write without appending anything, to find out whether a write is possible.

        Raises RecordUnavailable, or TokenBound if the token of ``entry`` is bound to another visit.
        """
        head = self._head(connection)
        connection.execute(update(HEAD).values(trials=HEAD.c.trials + 1))
        if entry:
            one_visit(connection, entry, head.n, confirmed=self.confirmed)

    def probe(self, connection: Connection) -> None:
        """Write and take back a whole row, then do a trial. Raises RecordUnavailable.

        The head is changed in place, which can succeed where a row finds no space, or no longer fits the table.
        """
        self.trial(connection)
        head = self._head(connection)
        row = Row.follow(head.n + 1, stamp(self.clock.utc()), Entry(Event.STARTED), head.hash)
        taken_back = connection.begin_nested()
        try:
            connection.execute(insert(RECORD).values(row.members()))
        finally:
            taken_back.rollback()

    def _create_head(self, connection: Connection) -> None:
        if seen := self.seen.head:
            raise self._refusal(f"it is empty; row {seen.n} was written")
        origin = f"recovery-kiosk/{uuid.uuid4()}"
        head = self._signed(Head(VERSION, origin, 0, first_previous(origin), 0, "", 0))
        connection.execute(insert(HEAD).values(id=1, trials=0, **asdict(head)))

    def _signed(self, head: Head) -> Head:
        return head.signed_by(self.signing.signer) if self.signing else head

    def _write_head(self, connection: Connection, head: Head) -> None:
        self._locked = self._signed(head)
        connection.execute(update(HEAD).where(HEAD.c.id == 1).values(asdict(self._locked)))

    def _head(self, connection: Connection) -> Head:
        """Lock the head against all other writers until the transaction ends, and return it.

        Raises RecordUnavailable if it is not of this version, not signed by this broker's key, or was rolled back.
        """
        if self._locked is None:
            found = connection.execute(_LOCKED, {"seen": self.seen.head.n if self.seen.head else 0}).first()
            self.waited(self.clock.now() - self._began)
            if found is None:
                raise self._refusal("its head is missing")
            head, there_now = Head(*found[:-1]), found[-1]
            if why := self._objection(head, there_now):
                raise self._refusal(why)
            self._locked = head
        return self._locked

    def _objection(self, head: Head, there: str | None) -> str:
        """Return why nothing may be appended after this head; empty if all is well."""
        if head.version != VERSION:
            return f"it is of version {head.version}, not {VERSION}"
        if self.signing and head != self.seen.head:
            try:
                head.check([self.signing.signer.public])
            except InvalidSignature as invalid:
                return f"no broker wrote its head: {invalid}"
        return self.seen.objection(head, there)

    def _refusal(self, why: str) -> RecordUnavailable:
        """Return the error, and log it when it begins: not once for each request."""
        if not self.refused:
            logs.LOG.error("the record is refused, so no key is released: %s; see docs/record.md", clean(why, 300))
        self.refused = why
        return RecordUnavailable(f"the record is refused: {clean(why, 300)}")

    def _append(self, connection: Connection, head: Head, entry: Entry, now: datetime) -> None:
        row = Row.follow(head.n + 1, stamp(now), entry, head.hash)
        values = row.members()
        if too_long := [name for name, most in LENGTHS.items() if len(str(values[name])) > most]:
            # SQLite would store it, and no audit would believe it.
            raise RecordUnavailable(f"{too_long[0]} is longer than its column")
        connection.execute(insert(RECORD).values(values))
        self.appended.append(row)
        self._locked, self._changed = replace(head, n=row.n, hash=row.hash), True
        if self._due(self._locked, now):
            self._append_checkpoint(connection, self._locked, now)

    def _due(self, head: Head, now: datetime) -> bool:
        if self.signing is None or not head.signed_at:
            return False
        passed = abs(now - datetime.strptime(head.signed_at, TIME_FORMAT).replace(tzinfo=UTC))
        return head.n - head.signed >= self.signing.entries or passed >= self.signing.every

    def _append_checkpoint(self, connection: Connection, head: Head, now: datetime) -> None:
        if self.signing is None:
            return
        checkpoint = self.signing.signer.sign(head.origin, head.n, head.hash, now)
        connection.execute(insert(CHECKPOINT).values(checkpoint.members()))
        self.appended.append(checkpoint)
        self._locked, self._changed = replace(head, signed=checkpoint.size, signed_at=checkpoint.time), True

    def _check_end(self, connection: Connection) -> None:
        """Refuse a record whose last row is not the one that its head names. Raises RecordUnavailable.

        A checkpoint that is missing is only logged: releases are decided by rows, and the evidence stays.
        """
        head = self._head(connection)
        last = connection.execute(select(RECORD.c.n, RECORD.c.hash).order_by(RECORD.c.n.desc()).limit(1)).first()
        first = connection.scalar(select(func.min(RECORD.c.n)))
        if (first, *(last or (None, None))) != ((1, head.n, head.hash) if head.n else (None, None, None)):
            raise self._refusal(f"row {head.n} is not the last one, or is not the one that was written")
        signed = connection.scalar(select(func.max(CHECKPOINT.c.size))) or 0
        if signed != head.signed:
            logs.LOG.error("the checkpoints are not as they were left; kiosk audit verify says what is wrong")

    def _settle(self, connection: Connection, *, younger: bool, since: datetime | None = None) -> None:
        """Append an ``unknown`` ending to each intention without an outcome: the key may have been seen.

        Without ``younger``, only to intentions that are older than the longest release: on a shared database another
        broker may still be working on it. With ``since``, to none before.
        """

        def found(last: int) -> Select[Any]:
            outcome = RECORD.alias()
            follows = (outcome.c.release_id == RECORD.c.release_id) & (outcome.c.event != Event.INTENDED)
            followed = select(outcome.c.n).where(follows, within(last, outcome)).exists()
            intended = (RECORD.c.event == Event.INTENDED) & within(last)
            open_ones = select(*COLUMNS).where(intended, ~followed).order_by(RECORD.c.n)
            if since:
                open_ones = open_ones.where(RECORD.c.time > stamp(since))
            if not younger:
                open_ones = open_ones.where(RECORD.c.time < stamp(self.clock.utc() - LONGEST_RELEASE))
            return open_ones

        self._close_as_unknown(connection, found, "was left open: it may have been seen")

    def _close_unreported(self, connection: Connection, *, since: datetime) -> None:
        """Append an ``unknown`` ending to each key handed over ``since`` of which no kiosk can report an end any more.

        Supervisor and visit of that kiosk were killed, or it lost its power or its network.
        """

        def found(last: int) -> Select[Any]:
            ending = RECORD.alias()
            ends = (ending.c.release_id == RECORD.c.release_id) & ending.c.event.in_([Event.CLOSED, Event.REFUSED])
            over = select(ending.c.n).where(ends, within(last, ending)).exists()
            handed_over = (RECORD.c.event == Event.DONE) & within(last)
            late = stamp(self.clock.utc() - LONGEST_REPORT)
            unreported = select(*COLUMNS).where(handed_over, ~over).order_by(RECORD.c.n)
            return unreported.where(RECORD.c.time > stamp(since), RECORD.c.time < late)

        self._close_as_unknown(connection, found, "was released, and no kiosk reported how its reveal ended")

    def _close_as_unknown(self, connection: Connection, found: Callable[[int], Select[Any]], why: str) -> None:
        """Append an ``unknown`` ending to each release that is found among the rows up to a number."""
        # Looking through the record takes its time, so nobody has to wait for it; then again for what was found.
        last = connection.scalar(select(HEAD.c.n)) or 0
        ids = [row.release_id for row in connection.execute(found(last))]
        if not ids:
            return
        last = self._head(connection).n
        for row in connection.execute(found(last).where(RECORD.c.release_id.in_(ids))).all():
            entry = replace(Entry(**row._mapping), event=Event.CLOSED, outcome=UNKNOWN)
            logs.LOG.warning("release=%s of device=%s %s", entry.release_id, entry.device_id, why)
            self.add(connection, entry)


def _configured(connection: Connection) -> str | None:
    """Return the digest of the last configuration entry."""
    newest_first = select(RECORD.c.digest).where(RECORD.c.event == Event.CONFIGURED).order_by(RECORD.c.n.desc())
    return connection.scalar(newest_first.limit(1))


def _is_made(connection: Connection) -> bool:
    """Whether all tables and the head are there."""
    there = inspect(connection).get_table_names()
    needed = {*METADATA.tables, *(table.name for table in beside_the_record(connection.dialect.name))}
    return needed.issubset(there) and connection.scalar(select(HEAD.c.n)) is not None


def _create_beside(connection: Connection) -> None:
    """Create the other tables here, where the owner of the tables starts first: other accounts may not."""
    for table in beside_the_record(connection.dialect.name):
        try:
            with connection.begin_nested():
                table.create(connection, checkfirst=True)
        except ProgrammingError as error:
            logs.LOG.warning("what needs the table %s will fail: could not create it: %s", table.name, error.orig)


def _refuse_other_versions(connection: Connection) -> None:
    known = inspect(connection)
    if not known.has_table(HEAD.name):
        return
    named = {column["name"] for column in known.get_columns(HEAD.name)}
    found = connection.scalar(select(HEAD.c.version)) if "version" in named else 1
    if found == PREVIOUS_VERSION:
        # Brokers of that version may still be serving from it. It is migrated while this one waits.
        raise RecordUnavailable(f"the record has version {found}, not {VERSION}; see kiosk record migrate")
    if found not in {VERSION, None}:
        raise unusable(f"expected a record of version {VERSION}, not {found}")
