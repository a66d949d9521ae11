"""The record: what was decided, for whom, when. Durable before anything that depends on it happens."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from kiosk.broker import followers as following
from kiosk.broker import logs
from kiosk.broker.chain import Appended
from kiosk.broker.checkpoints import Sealing, Signer
from kiosk.broker.database import open_engine, sqlite_file, unusable
from kiosk.broker.followers import Follower
from kiosk.broker.ledger import Ledger
from kiosk.broker.limits import Limit, Limits
from kiosk.broker.schema import Entry
from kiosk.broker.summary import configured
from kiosk.clock import Clock
from kiosk.config import BrokerConfig
from kiosk.errors import ConfigError, RecordUnavailable

__all__ = ["Follower", "Limit", "Limits", "Record", "open_record"]

_WRITE_SECONDS = 10
_MOST_WAITING = 256


class Record:
    """One writer: a thread of its own, so that entries keep their order and the event loop never waits for a disk."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        followers: Sequence[Follower] = (),
        sealing: Sealing | None = None,
        configuration: Entry | None = None,
    ) -> None:
        """Open the database. Raises ConfigError.

        Without ``sealing`` no checkpoints are made; ``configuration`` is noted when it differs from the last one.
        """
        self.engine = open_engine(url)
        self._ledger = Ledger(clock, sealing, configuration)
        self._followers = followers
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="record")
        self._waiting = 0
        self._every = sealing.every.total_seconds() if sealing else None
        self._stopping = threading.Event()

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
            self._stopping.set()
            tender.join()
            with contextlib.suppress(RecordUnavailable):
                self._writer.submit(self._transaction, self._ledger.stop).result()
            self._close()

    async def add(self, entry: Entry) -> None:
        """Write one entry; it is durable when this returns. Raises RecordUnavailable."""
        await self._in_turn(lambda connection: self._ledger.add(connection, entry))

    async def intend(self, entry: Entry, limits: Limits) -> None:
        """Write the intention of a release if the limits allow it. Raises LimitReached or RecordUnavailable.

        Counting and writing are one transaction behind the lock on the head, so two at once cannot both be the last.
        """
        await self._in_turn(lambda connection: self._ledger.intend(connection, entry, limits))

    async def close(self, entry: Entry) -> None:
        """Note how the reveal of a release to this person ended; the first word on it stands.

        Raises ReleaseUnknown or RecordUnavailable.
        """
        await self._in_turn(lambda connection: self._ledger.close(connection, entry))

    async def lose(self, entry: Entry) -> None:
        """Note that a reveal ended with the process that showed it. Raises ReleaseUnknown or RecordUnavailable."""
        await self._in_turn(lambda connection: self._ledger.lose(connection, entry))

    async def open(self, entry: Entry) -> None:
        """Write that a visit begins, which binds its token to it. Raises TokenBound or RecordUnavailable."""
        await self._in_turn(lambda connection: self._ledger.open(connection, entry))

    async def check(self, entry: Entry | None = None) -> None:
        """Return when an entry could be written now, this one for instance. Raises TokenBound or RecordUnavailable."""
        await self._in_turn(lambda connection: self._ledger.trial(connection, entry))

    async def _in_turn(self, work: Callable[[Connection], None]) -> None:
        if self._waiting >= _MOST_WAITING:
            raise RecordUnavailable(f"{self._waiting} entries wait to be written")
        self._waiting += 1
        written = asyncio.wrap_future(self._writer.submit(self._transaction, work))
        written.add_done_callback(self._one_less)
        try:
            # Shielded: what is under way is finished, whoever stops waiting for it.
            appended = await asyncio.wait_for(asyncio.shield(written), _WRITE_SECONDS)
        except TimeoutError:
            raise RecordUnavailable(f"not written after {_WRITE_SECONDS} s") from None
        await following.agree(self._followers, appended)

    def _one_less(self, written: asyncio.Future[Sequence[Appended]]) -> None:
        self._waiting -= 1
        if not written.cancelled():
            written.exception()

    def _transaction(self, work: Callable[[Connection], None]) -> Sequence[Appended]:
        """Do the work, and tell the followers what it added once that is durable."""
        self._ledger.appended.clear()
        try:
            with self.engine.begin() as connection:
                work(connection)
        except SQLAlchemyError as error:
            origin = getattr(error, "orig", None) or error
            raise RecordUnavailable(f"{type(origin).__name__}: {origin}") from None
        appended = tuple(self._ledger.appended)
        following.tell(self._followers, appended)
        return appended

    def _tend(self) -> None:
        """Do what is due while nobody asks for anything."""
        while self._every and not self._stopping.wait(self._every):
            with contextlib.suppress(RecordUnavailable):
                self._writer.submit(self._transaction, self._ledger.tend).result()

    def _close(self) -> None:
        self._writer.submit(self.engine.dispose).result()
        self._writer.shutdown()


def open_record(config: BrokerConfig, clock: Clock, followers: Sequence[Follower] = ()) -> Record:
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
    sealing = Sealing(signer, every, settings.checkpoint_entries)
    return Record(settings.database, clock, followers, sealing, configured(config.rules))
