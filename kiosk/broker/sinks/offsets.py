"""Keeps the offset of each sink in the database: how far the record was delivered, and which broker holds the lease."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TypeAlias

from sqlalchemy import Connection, insert, select, update

from kiosk.broker import logs
from kiosk.broker.record.chain import Appended, Checkpoint, Row
from kiosk.broker.record.checkpoints import Signer
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.proven import following as proven
from kiosk.broker.record.schema import HEAD, SINK, stamp
from kiosk.broker.record.shared_time import SharedTime
from kiosk.broker.record.sink_offset import COLUMNS, SinkOffset
from kiosk.clock import Clock
from kiosk.errors import RecordUnavailable

Signs: TypeAlias = Callable[[], Signer | None]

# Longer than one batch may take. After that another broker may take over, as the holder has probably died.
_LEASE = timedelta(seconds=15)


def unsigned() -> None:
    """Sign nothing: the record of a test without a key."""


@dataclass(frozen=True)
class Batch:
    """The next items to deliver, possibly none, after an offset."""

    after: SinkOffset
    items: Sequence[Appended]

    @property
    def reached(self) -> int:
        """The last row that the sink has before this batch."""
        return self.after.n

    def delivered(self) -> SinkOffset:
        """Return the offset after this batch, unsigned."""
        rows = [item.n for item in self.items if isinstance(item, Row)]
        sizes = [item.size for item in self.items if isinstance(item, Checkpoint)]
        return SinkOffset(self.after.name, max([self.after.n, *rows]), max([self.after.size, *sizes]))


class Offsets:
    """The offset of one sink. All methods are called from one thread.

    Every method may raise SQLAlchemyError, or RecordUnavailable where a row is not the one that was appended.
    """

    def __init__(self, database: str, name: str, clock: Clock, signer: Signs = unsigned) -> None:
        """Open the database. ``signer`` returns what signs the record. Raises ConfigError."""
        # Of all brokers: one whose clock is ahead must not keep a sink to itself.
        shared = SharedTime(clock)
        self._engine = open_engine(database, tells=shared.tell)
        self._name = name[:255]
        self._clock = shared
        self._signer = signer
        self._holder = str(uuid.uuid4())
        self._exists = False
        self._origin = ""
        # Where this broker was last, if the offset that is stored is not to be believed.
        self._known = SinkOffset(self._name)
        self._proofs: dict[int, str] = {}

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
            return self._following(connection, self._stored(connection))

    def delivered(self, batch: Batch) -> Batch:
        """Commit the offset and return the next batch. An empty batch releases the lease."""
        until = self._clock.utc() + _LEASE
        with self._engine.begin() as connection:
            # Another broker may have taken the lease by force, and sends the same rows.
            stored, now = self._stored(connection), batch.delivered()
            reached = self._signed(replace(now, n=max(now.n, stored.n), size=max(now.size, stored.size)))
            try:
                following = self._following(connection, reached)
            except RecordUnavailable:
                # What was delivered is committed nevertheless. The next attempt says what is wrong.
                following = Batch(reached, ())
            holder = self._holder if following.items else ""
            mine = update(SINK).where(SINK.c.name == self._name, SINK.c.holder == self._holder)
            values = {"n": reached.n, "size": reached.size, "signature": reached.signature}
            if not connection.execute(mine.values(holder=holder, until=stamp(until), **values)).rowcount:
                return Batch(stored, ())
        self._known = reached
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
                first = {"name": self._name, "n": 0, "size": 0, "holder": "", "until": "", "signature": ""}
                connection.execute(insert(SINK).values(first))
            self._origin = connection.scalar(select(HEAD.c.origin)) or ""
        # Not before the commit, which may fail.
        self._exists = True

    def _stored(self, connection: Connection) -> SinkOffset:
        """Lock the offset and return it. One that no broker wrote is replaced by the one known here."""
        found = connection.execute(select(*COLUMNS).where(SINK.c.name == self._name).with_for_update()).one()
        stored, signer = SinkOffset(*found), self._signer()
        if signer is None or stored.holds(self._origin, [signer.public]):
            return stored
        n, known = stored.n, self._known
        logs.LOG.error("sink %s continues after row %d: no broker wrote its offset, row %d", self._name, known.n, n)
        connection.execute(update(SINK).where(SINK.c.name == self._name).values(asdict(known)))
        return known

    def _signed(self, offset: SinkOffset) -> SinkOffset:
        signer = self._signer()
        return offset.signed_by(self._origin, signer) if signer else offset

    def _following(self, connection: Connection, after: SinkOffset) -> Batch:
        signer = self._signer()
        keys = [signer.public] if signer else ()
        return Batch(after, proven(connection, after.n, after.size, keys, self._proofs))
