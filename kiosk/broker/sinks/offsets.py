"""Keeps the offset of each sink in the database: how far the record was delivered, and which broker holds the lease."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, insert, select, update

from kiosk.broker.record.chain import Appended, Checkpoint, Row
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.proven import following as proven
from kiosk.broker.record.schema import SINK, stamp
from kiosk.broker.record.shared_time import SharedTime
from kiosk.clock import Clock
from kiosk.errors import RecordUnavailable

Keys: TypeAlias = Callable[[], Sequence[Ed25519PublicKey]]

# Longer than one batch may take. After that another broker may take over, as the holder has probably died.
_LEASE = timedelta(seconds=15)


@dataclass(frozen=True)
class Batch:
    """The next items to deliver, possibly none; ``reached`` is the offset before them."""

    reached: int
    items: Sequence[Appended]


class Offsets:
    """The offset of one sink. All methods are called from one thread.

    Every method may raise SQLAlchemyError, or RecordUnavailable where a row is not the one that was appended.
    """

    def __init__(self, database: str, name: str, clock: Clock, keys: Keys = tuple) -> None:
        """Open the database. ``keys`` returns those that sign the record. Raises ConfigError."""
        # Of all brokers: one whose clock is ahead must not keep a sink to itself.
        shared = SharedTime(clock)
        self._engine = open_engine(database, tells=shared.tell)
        self._name = name[:255]
        self._clock = shared
        self._keys = keys
        self._holder = str(uuid.uuid4())
        self._exists = False

    def take(self, *, by_force: bool = False) -> Batch | None:
        """Take the lease and return the next batch. Returns None if another broker holds it, unless ``by_force``."""
        self._begin()
        with self._engine.begin() as connection:
            now = self._clock.utc()
            free = (SINK.c.until < stamp(now)) | (SINK.c.holder.in_([self._holder, ""]))
            named = SINK.c.name == self._name
            taken = update(SINK).where(named if by_force else named & free)
            if not connection.execute(taken.values(holder=self._holder, until=stamp(now + _LEASE))).rowcount:
                return None
            return self._next(connection)

    def delivered(self, batch: Batch) -> Batch:
        """Commit the offset and return the next batch. An empty batch releases the lease."""
        rows = [item.n for item in batch.items if isinstance(item, Row)]
        sizes = [item.size for item in batch.items if isinstance(item, Checkpoint)]
        until = self._clock.utc() + _LEASE
        with self._engine.begin() as connection:
            mine = update(SINK).where(SINK.c.name == self._name, SINK.c.holder == self._holder)
            if rows:
                connection.execute(mine.where(SINK.c.n < rows[-1]).values(n=rows[-1]))
            if sizes:
                connection.execute(mine.where(SINK.c.size < sizes[-1]).values(size=sizes[-1]))
            try:
                following = self._next(connection)
            except RecordUnavailable:
                # What was delivered is committed nevertheless. The next attempt says what is wrong.
                following = Batch(rows[-1] if rows else batch.reached, ())
            holder = self._holder if following.items else ""
            if not connection.execute(mine.values(holder=holder, until=stamp(until))).rowcount:
                # Another broker took the lease by force, and may send the same rows again.
                return Batch(following.reached, ())
            return following

    def leave(self) -> None:
        """Release the lease."""
        with self._engine.begin() as connection:
            mine = update(SINK).where(SINK.c.name == self._name, SINK.c.holder == self._holder)
            connection.execute(mine.values(holder=""))

    def close(self) -> None:
        """Close the database connection."""
        self._engine.dispose()

    def _begin(self) -> None:
        """Create the row of this sink if it is missing."""
        if self._exists:
            return
        with self._engine.begin() as connection:
            if connection.scalar(select(SINK.c.n).where(SINK.c.name == self._name)) is None:
                connection.execute(insert(SINK).values(name=self._name, n=0, size=0, holder="", until=""))
        # Not before the commit, which may fail.
        self._exists = True

    def _next(self, connection: Connection) -> Batch:
        reached, size = connection.execute(select(SINK.c.n, SINK.c.size).where(SINK.c.name == self._name)).one()
        return Batch(reached, proven(connection, reached, size, self._keys()))
