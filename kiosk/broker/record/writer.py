"""The record: what was decided, for whom, when. Durable before anything that depends on it happens."""

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
from sqlalchemy.exc import DataError, SQLAlchemyError

from kiosk.broker import logs
from kiosk.broker.record.chain import Appended
from kiosk.broker.record.checkpoints import Signer, Signing
from kiosk.broker.record.config_entry import config_entry
from kiosk.broker.record.database import open_engine, sqlite_file, unavailable, unusable
from kiosk.broker.record.ledger import Ledger
from kiosk.broker.record.limits import Limit, Limits
from kiosk.broker.record.lookup import Lookup
from kiosk.broker.record.refusal_throttle import RefusalThrottle
from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.record.subscribers import Subscriber, confirm, notify
from kiosk.clock import Deadline, ThreadClock
from kiosk.config.broker import BrokerConfig
from kiosk.errors import ConfigError, KioskError, RecordUnavailable, ReleaseUnknown
from kiosk.process.logging import place_of

__all__ = ["Limit", "Limits", "Record", "Subscriber", "open_record"]

_WRITE_SECONDS = 10
_MOST_WAITING = 256
_MOST_TOGETHER = 64
_TICK_SECONDS = 5.0
# What an entry is to blame for: it is too long for its column, or has letters that the database does not know.
_UNFIT = (DataError, UnicodeError)

_Work: TypeAlias = Callable[[Connection], None]


@dataclass
class _Asked:
    """One thing to write, and what becomes of it: what it added, or why it added nothing."""

    work: _Work
    done: Future[Sequence[Appended]] = field(default_factory=Future)
    added: Sequence[Appended] = ()
    refusal: KioskError | None = None

    def settle(self, failure: RecordUnavailable | None) -> None:
        if not self.done.set_running_or_notify_cancel():
            return
        if error := failure or self.refusal:
            self.done.set_exception(error)
        else:
            self.done.set_result(self.added)


class Record:
    """One writer: a thread of its own, so that entries keep their order and the event loop never waits for a disk.

    What is asked for while it writes goes into one transaction, the next: the disk is waited for once for all of it.
    """

    def __init__(
        self,
        url: str,
        clock: ThreadClock,
        subscribers: Sequence[Subscriber] = (),
        signing: Signing | None = None,
        configuration: Entry | None = None,
    ) -> None:
        """Open the database. Raises ConfigError.

        Without ``signing`` no checkpoints are made; ``configuration`` is noted when it differs from the last one.
        """
        self.engine = open_engine(url)
        self.lookup = Lookup(url)
        self._clock = clock
        self._ledger = Ledger(clock, signing, configuration)
        self._subscribers = subscribers
        self._throttle = RefusalThrottle(clock)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="record")
        self._asked: queue.SimpleQueue[_Asked] = queue.SimpleQueue()
        self._waiting = 0
        self._every = signing.every.total_seconds() if signing else math.inf
        self._changed = threading.Condition()
        self._stopping = False

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Make what is missing, settle what a crash left open, and note start and stop. Raises ConfigError."""
        try:
            self._writer.submit(self._transaction, self._ledger.start).result()
        except RecordUnavailable as error:
            self._close()
            raise unusable(f"expected a database that can be written: {error.cause}") from None
        except ConfigError:
            self._close()
            raise
        tender = threading.Thread(target=self._tend, name="record-tender", daemon=True)
        tender.start()
        try:
            yield
        finally:
            with self._changed:
                self._stopping = True
                self._changed.notify_all()
            tender.join()
            self._attempt(lambda: self._sum_up(last=True))
            self._attempt(lambda: self._transaction(self._ledger.stop))
            self._close()

    async def add(self, entry: Entry) -> None:
        """Write one entry; it is durable when this returns. Raises RecordUnavailable."""
        await self._in_turn(lambda connection: self._ledger.add(connection, entry))

    async def refuse(self, entry: Entry) -> None:
        """Write that a token was refused; in a flood of them only count it. Raises RecordUnavailable.

        What is counted is written within a few seconds of the end of its minute, and at the end of the broker.
        """
        if self._throttle.admits(entry):
            await self.add(entry)

    async def intend(self, entry: Entry, limits: Limits) -> None:
        """Write the intention of a release if the limits allow it. Raises LimitReached or RecordUnavailable.

        Counting and writing are one transaction behind the lock on the head, so two at once cannot both be the last.
        """
        await self._in_turn(lambda connection: self._ledger.intend(connection, entry, limits))

    async def append_closing(self, entry: Entry) -> None:
        """Note how the reveal of a release to this person, or the check of a copy, ended; the first word on it stands.

        Raises ReleaseUnknown or RecordUnavailable.
        """
        await self._in_turn(lambda connection: self._ledger.append_closing(connection, entry))

    async def append_loss(self, entry: Entry) -> None:
        """Record that a reveal ended with the process that showed it. Raises ReleaseUnknown or RecordUnavailable.

        Anybody may report this, so the writer is asked only for the first report on a release that was made.
        """
        known = await self.lookup.events(entry.release_id)
        if Event.DONE not in known:
            raise ReleaseUnknown(f"no release {entry.release_id}")
        if entry.event in known:
            return
        await self._in_turn(lambda connection: self._ledger.append_loss(connection, entry))

    async def append_session(self, entry: Entry) -> None:
        """Write that a visit begins, which binds its token to it. Raises TokenBound or RecordUnavailable."""
        await self._in_turn(lambda connection: self._ledger.append_session(connection, entry))

    async def check(self, entry: Entry | None = None) -> None:
        """Return when an entry could be written now, this one for instance. Raises TokenBound or RecordUnavailable."""
        await self._in_turn(lambda connection: self._ledger.trial(connection, entry))

    async def _in_turn(self, work: _Work) -> None:
        if self._waiting >= _MOST_WAITING:
            raise RecordUnavailable(f"{self._waiting} entries wait to be written")
        self._waiting += 1
        asked = _Asked(work)
        written = asyncio.wrap_future(asked.done)
        written.add_done_callback(self._one_less)
        self._asked.put(asked)
        self._writer.submit(self._write_waiting)
        try:
            # Shielded: what is under way is finished, whoever stops waiting for it.
            appended = await asyncio.wait_for(asyncio.shield(written), _WRITE_SECONDS)
        except TimeoutError:
            raise RecordUnavailable(f"not written after {_WRITE_SECONDS} s") from None
        await confirm(self._subscribers, appended)

    def _one_less(self, written: asyncio.Future[Sequence[Appended]]) -> None:
        self._waiting -= 1
        if not written.cancelled():
            written.exception()

    def _write_waiting(self) -> None:
        """Write everything that waits, up to a bound; who is left over has submitted this once more, too."""
        together: list[_Asked] = []
        with contextlib.suppress(queue.Empty):
            while len(together) < _MOST_TOGETHER:
                together.append(self._asked.get_nowait())
        if together:
            self._write_and_settle(together)

    def _write_and_settle(self, together: Sequence[_Asked]) -> None:
        """Write it and tell those who wait. What the database cannot hold fails alone: each is then written by itself.

        Whatever it is, those who wait must hear of it.
        """
        failure: RecordUnavailable | None = None
        try:
            self._commit(lambda connection: self._write(connection, together))
        except _UNFIT as error:
            if len(together) > 1:
                for one in together:
                    self._write_and_settle([one])
                return
            failure = unavailable(error)
        except RecordUnavailable as error:
            failure = error
        except Exception as error:
            failure = unavailable(error)
        for one in together:
            one.settle(failure)

    def _write(self, connection: Connection, together: Sequence[_Asked]) -> None:
        """One after the other. Whoever is refused, as by a limit, has added nothing, and does not hinder the others."""
        appended = self._ledger.appended
        for one in together:
            before, one.refusal = len(appended), None
            try:
                one.work(connection)
            except KioskError as refusal:
                if len(appended) > before:
                    raise RecordUnavailable(f"refused after it was written: {refusal.code}") from None
                one.refusal = refusal
            one.added = appended[before:]

    def _transaction(self, work: _Work) -> None:
        """Do the work as ``_commit`` does. Raises RecordUnavailable."""
        try:
            self._commit(work)
        except SQLAlchemyError as error:
            raise unavailable(error) from None

    def _commit(self, work: _Work) -> None:
        """Do the work, and tell the subscribers what it added once that is durable. Raises SQLAlchemyError."""
        self._ledger.appended.clear()
        with self.engine.begin() as connection:
            work(connection)
        notify(self._subscribers, tuple(self._ledger.appended))

    def _sum_up(self, *, last: bool = False) -> None:
        """Write how many tokens were refused that have no row of their own. Raises RecordUnavailable."""
        if not self._throttle.due(now=last):
            return
        sums = self._throttle.take()

        def write(connection: Connection) -> None:
            for entry in sums.entries():
                self._ledger.add(connection, entry)

        try:
            self._transaction(write)
        except Exception:
            sums.give_back()
            raise

    def _tend(self) -> None:
        """Do what is due while nobody asks for anything."""
        checkpoint = Deadline.after(self._clock, self._every)
        while not self._stops_within(min(_TICK_SECONDS, self._every)):
            self._attempt(self._sum_up)
            if checkpoint.passed():
                checkpoint = Deadline.after(self._clock, self._every)
                self._attempt(lambda: self._transaction(self._ledger.tend))

    def _stops_within(self, seconds: float) -> bool:
        with self._changed:
            return self._clock.wait_for(self._changed, lambda: self._stopping, seconds)

    def _attempt(self, work: Callable[[], None]) -> None:
        """Do what nobody waits for; if it cannot be done now, it is tried again, or the next start does it."""
        try:
            self._writer.submit(work).result()
        except RecordUnavailable:
            return
        except Exception as error:
            logs.LOG.error("the record was not tended: %s", place_of(error))

    def _close(self) -> None:
        self.lookup.close()
        self._writer.submit(self.engine.dispose).result()
        self._writer.shutdown()


def open_record(config: BrokerConfig, clock: ThreadClock, subscribers: Sequence[Subscriber] = ()) -> Record:
    """The record as configured, with its signing key, which is made at the first start. Raises ConfigError."""
    settings = config.record
    # First of all the database: an address that is wrong must not leave a key somewhere.
    open_engine(settings.database).dispose()
    if settings.signing_key:
        signer = Signer.load(settings.signing_key, make=False)
    elif file := sqlite_file(settings.database):
        signer = Signer.load(file.with_suffix(".key"), make=True)
    else:
        expected = "missing; the brokers on one PostgreSQL database need a key for checkpoints"
        raise ConfigError("broker.toml", expected, key="record.signing_key")
    logs.LOG.info("checkpoints are signed with %s: %s", signer.id[:16], " ".join(signer.public_pem.split("\n")[1:2]))
    every = timedelta(seconds=settings.checkpoint_seconds)
    signing = Signing(signer, every, settings.checkpoint_entries)
    return Record(settings.database, clock, subscribers, signing, config_entry(config.rules))
