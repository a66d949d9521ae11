"""Writes the record: what was decided, for whom and when, durable before anything that depends on it happens."""

from __future__ import annotations

import asyncio
import contextlib
import math
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError

from kiosk.broker import logs
from kiosk.broker.record.chain import Appended
from kiosk.broker.record.checkpoints import Signer, Signing
from kiosk.broker.record.config_entry import config_entry
from kiosk.broker.record.database import (
    ended_before_commit,
    is_no_database,
    open_engine,
    unavailable,
    unusable,
)
from kiosk.broker.record.files import signing_of
from kiosk.broker.record.indexes import Builder
from kiosk.broker.record.ledger import Ledger
from kiosk.broker.record.limits import DeviceCodeLimits, Limit, Limits
from kiosk.broker.record.lookup import Lookup
from kiosk.broker.record.refusal_throttle import RefusalThrottle
from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.record.shared_time import SharedTime
from kiosk.broker.record.subscribers import Subscriber, confirm, notify
from kiosk.broker.record.time_limits import WRITE_SECONDS
from kiosk.clock import Deadline, ThreadClock
from kiosk.config.broker import BrokerConfig
from kiosk.errors import ConfigError, KioskError, RecordUnavailable, ReleaseUnknown
from kiosk.models import SignInMethod
from kiosk.process.logging import place_of

__all__ = ["Limit", "Limits", "Record", "Subscriber", "open_record"]

# Longer than a start takes, so that a broker usually listens when it has started.
_FIRST_SECONDS = 2.0
# Between two attempts to start.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 4.0
# An intention that is older was left open while no broker ran.
_LONG_AGO = timedelta(days=31)
_MOST_WAITING = 256
_MOST_TOGETHER = 64
_TICK_SECONDS = 5.0
# Raised because of one entry: text too long for its column, or characters that the database cannot store.
_UNFIT = (DataError, UnicodeError)

_Work: TypeAlias = Callable[[Connection], None]


@dataclass
class _Write:
    """A queued write and its result: what it added, or why it added nothing."""

    work: _Work
    done: Future[Sequence[Appended]] = field(default_factory=Future)
    added: Sequence[Appended] = ()
    refusal: KioskError | None = None
    given_up: bool = False

    def settle(self, failure: RecordUnavailable | None) -> None:
        """Hand the result to the caller, unless the caller has stopped waiting."""
        if not self.done.set_running_or_notify_cancel():
            return
        if error := failure or self.refusal:
            self.done.set_exception(error)
        else:
            self.done.set_result(self.added)


class Record:
    """The record, written by one thread of its own: entries keep their order, the event loop never waits for a disk.

    Writes that arrive while a transaction is under way share the next one, so they wait for the disk once.
    """

    def __init__(
        self,
        url: str,
        clock: ThreadClock,
        subscribers: Sequence[Subscriber] = (),
        signing: Signing | None = None,
        configuration: Entry | None = None,
        *,
        confirmed: bool = False,
        device_codes: DeviceCodeLimits | None = None,
    ) -> None:
        """Open the database. Raises ConfigError.

        Without ``signing`` there are no checkpoints. ``configuration`` is written if it differs from the last one. With
        ``confirmed``, a token is good only for the visit that confirmed its sign-in; ``device_codes`` limits sign-ins
        without it.
        """
        self.time = SharedTime(clock, warns=True)
        self.engine = open_engine(url, queues=True, tells=self.time.tell)
        self.lookup = Lookup(url, clock)
        self._clock = clock
        self._ledger = Ledger(self.time, signing, configuration, confirmed=confirmed, device_codes=device_codes)
        self._subscribers = subscribers
        self._throttle = RefusalThrottle(clock)
        self._indexes = Builder(url)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="record")
        self._queue: queue.SimpleQueue[_Write] = queue.SimpleQueue()
        self._waiting = 0
        self._every = signing.every.total_seconds() if signing else math.inf
        self._changed = threading.Condition()
        self._stopping = self._started = False
        self._waits_for: RecordUnavailable | ConfigError | None = None
        # Fails with ConfigError if waiting for the database is in vain.
        self.unusable: Future[None] = Future()

    @property
    def signer(self) -> Signer | None:
        """What signs this record."""
        return self._ledger.signing.signer if self._ledger.signing else None

    def derived(self, purpose: str) -> bytes:
        """Return a secret key for a purpose, which all brokers on this record have. Raises ValueError without a key."""
        if self._ledger.signing is None:
            raise ValueError("no key signs this record")
        return self._ledger.signing.signer.derived(purpose)

    @property
    def refused(self) -> bool:
        """Whether the record is not the one that this broker left, so that nothing is appended."""
        return bool(self._ledger.refused)

    def tell_waits(self, waited: Callable[[float], None]) -> None:
        """Call ``waited`` with the seconds that each transaction waited for the lock on the head."""
        self._ledger.waited = waited

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Create missing tables, settle what a crash left open, and write start and stop. Raises ConfigError.

        A database that cannot be used now is waited for in the background. Meanwhile everything is refused.
        """
        self._writer.submit(self._start)
        with self._changed:
            if not self._clock.wait_for(self._changed, lambda: self._started or bool(self._waits_for), _FIRST_SECONDS):
                self._wait_because(RecordUnavailable("it has not answered yet"))
        if self.unusable.done():
            self._close()
            self.unusable.result()
        housekeeper = threading.Thread(target=self._keep_house, name="record-house", daemon=True)
        housekeeper.start()
        try:
            yield
        finally:
            with self._changed:
                self._stopping = True
                self._changed.notify_all()
            self._indexes.stop()
            housekeeper.join()
            if self._started:
                self._attempt(lambda: self._write_counts(last=True))
                self._attempt(lambda: self._transaction(self._ledger.stop))
            self._close()
        if self.unusable.done():
            self.unusable.result()

    async def add(self, entry: Entry) -> None:
        """Append an entry. It is durable when this returns. Raises RecordUnavailable."""
        await self._queued(lambda connection: self._ledger.add(connection, entry))
        self.lookup.note(entry)

    async def refuse(self, entry: Entry) -> bool:
        """Append that a token was refused, or only count it if there were many. Raises RecordUnavailable.

        Returns whether it got a row. Counts are written and logged within seconds of the end of their minute, and when
        the broker stops.
        """
        if not self._throttle.admits(entry):
            return False
        await self.add(entry)
        return True

    async def intend(self, entry: Entry, limits: Limits) -> None:
        """Append the intention of a release if the limits allow it.

        Counting and appending are one transaction under the lock on the head, so two concurrent requests cannot both be
        the last. Raises TokenBound, LimitReached or RecordUnavailable.
        """
        await self._queued(lambda connection: self._ledger.intend(connection, entry, limits))

    async def append_closing(self, entry: Entry) -> None:
        """Append how a reveal to this visit, or the check of a copy, ended. Repetitions change nothing.

        Raises TokenBound, ReleaseUnknown or RecordUnavailable.
        """
        await self._queued(lambda connection: self._ledger.append_closing(connection, entry))
        self.lookup.note(entry)

    async def append_loss(self, entry: Entry) -> bool:
        """Record that a reveal ended with the process that showed it. Raises ReleaseUnknown or RecordUnavailable.

        Returns whether that was news. Anybody may report this, so the writer is asked only for the first report on a
        release that was made.
        """
        known = await self.lookup.events(entry.release_id)
        if Event.DONE not in known:
            raise ReleaseUnknown(f"no release {entry.release_id}")
        if entry.event in known:
            return False
        await self._queued(lambda connection: self._ledger.append_loss(connection, entry))
        self.lookup.note(entry)
        return True

    async def append_confirmation(self, entry: Entry) -> None:
        """Append that a sign-in was confirmed, which binds its token to the visit. Repetitions change nothing.

        Raises TokenBound or RecordUnavailable.
        """
        await self._queued(lambda connection: self._ledger.append_confirmation(connection, entry))

    async def append_session(self, entry: Entry) -> None:
        """Append that a visit begins, which binds the token to it, or ends, after which the token is good for nothing.

        Raises TokenBound or RecordUnavailable.
        """
        await self._queued(lambda connection: self._ledger.append_session(connection, entry))

    async def check(self, entry: Entry | None = None) -> None:
        """Return if the record can be written now, and if the token of ``entry`` is not bound to another visit.

        Raises TokenBound or RecordUnavailable.
        """
        await self._queued(lambda connection: self._ledger.trial(connection, entry))

    async def probe(self) -> None:
        """Return if a row could be appended now. Raises RecordUnavailable."""
        await self._queued(self._ledger.probe)

    async def _queued(self, work: _Work) -> None:
        """Queue the work and return once it is durable and every required subscriber has confirmed it."""
        if self._waits_for:
            raise RecordUnavailable(f"the broker waits for its database: {self._waits_for.cause}")
        if self._waiting >= _MOST_WAITING:
            raise RecordUnavailable(f"{self._waiting} entries wait to be written")
        self._waiting += 1
        write = _Write(work)
        written = asyncio.wrap_future(write.done)
        written.add_done_callback(self._one_less)
        self._queue.put(write)
        self._writer.submit(self._write_batch)
        try:
            # Shielded: a write under way completes even if the caller is cancelled.
            appended = await asyncio.wait_for(asyncio.shield(written), WRITE_SECONDS)
        except TimeoutError:
            # What has not begun must not be written any more: the request is refused now.
            write.given_up = True
            raise RecordUnavailable(f"not written after {WRITE_SECONDS} s") from None
        await confirm(self._subscribers, appended)

    def _one_less(self, written: asyncio.Future[Sequence[Appended]]) -> None:
        self._waiting -= 1
        if not written.cancelled():
            # Marks it as retrieved: a caller that has stopped waiting is no reason for a warning.
            written.exception()

    def _write_batch(self) -> None:
        """Drain up to ``_MOST_TOGETHER`` queued writes. Every caller submits this, so leftovers get their own run."""
        batch: list[_Write] = []
        with contextlib.suppress(queue.Empty):
            while len(batch) < _MOST_TOGETHER:
                batch.append(self._queue.get_nowait())
        if batch:
            self._write_and_settle(batch)

    def _write_and_settle(self, batch: Sequence[_Write]) -> None:
        """Write a batch in one transaction and hand each caller a result, whatever happens.

        If one entry does not fit into the database, each write gets its own transaction, so that it fails alone.
        """
        failure: RecordUnavailable | None = None
        try:
            self._commit(lambda connection: self._write(connection, batch))
        except _UNFIT as error:
            if len(batch) > 1:
                for one in batch:
                    self._write_and_settle([one])
                return
            failure = unavailable(error)
        except RecordUnavailable as error:
            failure = error
        except Exception as error:
            failure = unavailable(error)
        for one in batch:
            one.settle(failure)

    def _write(self, connection: Connection, batch: Sequence[_Write]) -> None:
        """Do the writes in order. A refusal, such as a limit, must add nothing and does not stop the others."""
        appended = self._ledger.appended
        for one in batch:
            before, one.refusal = len(appended), None
            try:
                if not one.given_up:
                    one.work(connection)
            except KioskError as refusal:
                if len(appended) > before:
                    raise RecordUnavailable(f"refused after it was written: {refusal.code}") from None
                one.refusal = refusal
            one.added = appended[before:]

    def _transaction(self, work: _Work) -> None:
        """Do the work like ``_commit``, but raise RecordUnavailable."""
        try:
            self._commit(work)
        except SQLAlchemyError as error:
            raise unavailable(error) from None

    def _commit(self, work: _Work) -> None:
        """Do the work in a transaction, then notify the subscribers of what it added. Raises SQLAlchemyError.

        If the connection is lost before the commit, nothing was written, and the work is done once more.
        """
        commits = False

        def once() -> None:
            nonlocal commits
            with self._ledger.transaction(self.engine) as connection:
                work(connection)
                commits = True

        try:
            once()
        except DBAPIError as error:
            # A server that restarted, or that ended the transaction of a broker that was frozen.
            if not error.connection_invalidated or (commits and not ended_before_commit(error)):
                raise
            once()
        notify(self._subscribers, tuple(self._ledger.appended))

    def _start(self) -> None:
        """Try to start on the database. If that fails, note what is waited for; log it when it changes."""
        failure: RecordUnavailable | ConfigError
        try:
            self._commit(self._ledger.start)
        except (RecordUnavailable, ConfigError) as error:
            failure = error
        except Exception as error:
            failure = unavailable(error)
            if is_no_database(error):
                failure = unusable(f"expected a database that can be written: {failure.cause}")
        else:
            if self._waits_for:
                logs.LOG.warning("the record can be written: the broker has started")
            with self._changed:
                self._started, self._waits_for = True, None
                self._changed.notify_all()
            return
        if isinstance(failure, ConfigError):
            self.unusable.set_exception(failure)
        with self._changed:
            self._wait_because(failure)
            self._changed.notify_all()

    def _wait_because(self, failure: RecordUnavailable | ConfigError) -> None:
        """Refuse everything from now on, and log why unless that is known."""
        known = self._waits_for
        self._waits_for = failure
        if isinstance(failure, RecordUnavailable) and (known is None or known.cause != failure.cause):
            logs.LOG.error("the broker waits for its database: %s", failure.cause)

    def _wait_for_start(self) -> bool:
        """Repeat the start until it succeeds. Returns False if the record is stopped or cannot be used."""
        pause = _FIRST_PAUSE
        while not self._started:
            if self.unusable.done() or self._stops_within(pause):
                return False
            pause = min(2 * pause, _LONGEST_PAUSE)
            self._writer.submit(self._start).result()
        return True

    def _write_counts(self, *, last: bool = False) -> None:
        """Append the counts of refused tokens that have no row of their own. Raises RecordUnavailable."""
        if not self._throttle.due(now=last):
            return
        counts = self._throttle.take()

        def write(connection: Connection) -> None:
            for entry in counts.entries():
                self._ledger.add(connection, entry)

        try:
            self._transaction(write)
        except Exception:
            counts.give_back()
            raise
        counts.log()

    def _keep_house(self) -> None:
        """Write what falls due without a request: counts, checkpoints, and the end of other brokers' releases."""
        if not self._wait_for_start():
            return
        if self.engine.dialect.name == "postgresql":
            # Of all brokers: not part of the start, because others would wait for it.
            self._attempt(lambda: self._transaction(lambda found: self._ledger.keep_house(found, _LONG_AGO)))
        try:
            self._indexes.run()
        except Exception as error:
            logs.LOG.warning("the indexes of the record could not be updated: %s", unavailable(error).cause)
        checkpoint = Deadline.after(self._clock, self._every)
        while not self._stops_within(min(_TICK_SECONDS, self._every)):
            self._attempt(self._write_counts)
            if checkpoint.passed():
                checkpoint = Deadline.after(self._clock, self._every)
                self._attempt(lambda: self._transaction(self._ledger.keep_house))

    def _stops_within(self, seconds: float) -> bool:
        """Whether the record is being stopped, after waiting for that for some seconds."""
        with self._changed:
            return self._clock.wait_for(self._changed, lambda: self._stopping, seconds)

    def _attempt(self, work: Callable[[], None]) -> None:
        """Do work that no caller waits for. If it fails, a later run or the next start does it."""
        try:
            self._writer.submit(work).result()
        except RecordUnavailable:
            return
        except Exception as error:
            logs.LOG.error("housekeeping of the record failed: %s", place_of(error))

    def _close(self) -> None:
        self.lookup.close()
        self._writer.submit(self.engine.dispose).result()
        self._writer.shutdown()


def open_record(config: BrokerConfig, clock: ThreadClock, subscribers: Sequence[Subscriber] = ()) -> Record:
    """Return the record as configured; the first start creates its signing key. Raises ConfigError."""
    settings = config.record
    # Before the key: a wrong address must not leave a key file behind.
    open_engine(settings.database).dispose()
    signing = signing_of(settings, make=settings.signing_key is None)
    signer = signing.signer
    logs.LOG.info("checkpoints are signed with %s: %s", signer.id[:16], " ".join(signer.public_pem.split("\n")[1:2]))
    confirmed = config.sign_in.method is SignInMethod.WEB
    return Record(
        settings.database,
        clock,
        subscribers,
        signing,
        config_entry(config.rules),
        confirmed=confirmed,
        device_codes=None if confirmed else DeviceCodeLimits.of(config.limits),
    )
