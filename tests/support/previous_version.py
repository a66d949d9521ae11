"""A record of the version before, and a broker of that version, which writes it as that program did."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import SQLAlchemyError

from kiosk.broker.record.chain import Row, digest
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.schema import RECORD, Entry, Event, stamp
from kiosk.clock import SystemClock

_SUPPORT = Path(__file__).parent
PUBLIC_KEY = _SUPPORT / "released.pub"
_VERSION = 2
_LOCKED = "SELECT head.origin, head.n, head.hash, head.sealed, head.sealed_at FROM head"
_UPDATED = "UPDATE head SET n = :n, hash = :hash"


def write_previous(url: str) -> None:
    """Fill an empty database with a record as the version before left it."""
    engine = open_engine(url)
    with engine.begin() as connection:
        plain = connection.connection.driver_connection
        assert plain is not None
        script = (_SUPPORT / "released.sql").read_text()
        # psycopg's execute() runs within our transaction; SQLite's executescript() commits it first.
        plain.executescript(script) if engine.dialect.name == "sqlite" else plain.execute(script)
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
    engine.dispose()


@dataclass
class PreviousBroker:
    """Appends one row after the other, by the statements of that version, which never compare versions.

    ``acknowledged`` are the tokens of the rows that are durable.
    """

    url: str
    acknowledged: list[str] = field(default_factory=list)

    def serve(self, most: int = 100_000) -> str:
        """Append so many rows, or until that fails; return why it failed."""
        # Without the limits on idle transactions: on a busy machine this thread may not run for a second.
        engine = open_engine(self.url, limited=False)
        try:
            for _ in range(most):
                self._append(engine)
        except SQLAlchemyError as error:
            return str(error)
        finally:
            engine.dispose()
        return ""

    def _append(self, engine: Engine) -> None:
        entry = Entry(Event.SESSION_OPENED, tid="t", oid="ada", uti=f"token {len(self.acknowledged)}")
        with engine.begin() as connection:
            locks = " FOR UPDATE" if engine.dialect.name == "postgresql" else ""
            head = connection.execute(text(_LOCKED + locks)).one()
            members = Row(head.n + 1, stamp(SystemClock().utc()), entry, head.hash, "", _VERSION).members()
            members["hash"] = digest(members)
            connection.execute(insert(RECORD).values(members))
            connection.execute(text(_UPDATED), {"n": members["n"], "hash": members["hash"]})
        self.acknowledged.append(entry.uti)
