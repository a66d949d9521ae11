"""Opens PostgreSQL for the record: few round trips, time limits on both sides, and commits that are durable.

Nothing here belongs to a session of the server, because PgBouncer may give each transaction another one: there are no
prepared statements, and each transaction begins with its own settings.
"""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, TypeAlias

import psycopg
from psycopg.errors import _WaitTimeout
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError

from kiosk.broker.record import time_limits
from kiosk.broker.record.shared_time import Tells

_APPLICATION = "kiosk-broker"
# Notices a dead machine within ten seconds instead of TCP's minutes.
_KEEPALIVE = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 2, "tcp_user_timeout": 10_000}
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
# ``off`` and ``local`` acknowledge what a crash or a failover may lose; other values are the operator's choice.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', true)"
    " WHERE current_setting('synchronous_commit') IN ('off', 'local')"
)

_TIME = "SELECT clock_timestamp()"

_Query: TypeAlias = tuple[str, Any]


class _Connection(psycopg.Connection[Any]):
    """A connection with statements that wait for the next round trip. With ``limited`` it closes if that takes long.

    A server that hangs keeps its connections alive, so neither TCP nor the server's own time limits would end the wait.
    """

    limited = False
    tells: Tells | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.queued: list[_Query] = []

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        if timeout is None and self.limited:
            timeout = time_limits.ANSWER_SECONDS
        try:
            return super().wait(gen, interval=interval, timeout=timeout)
        except _WaitTimeout:
            self.close()
            raise psycopg.OperationalError(f"the server has not answered for {timeout:g} s") from None

    def execute_with_queued(self, cursor: psycopg.ClientCursor[Any], *query: _Query) -> None:
        """Execute what waits, and this query, in one round trip. The cursor has the rows of the last."""
        binding = psycopg.ClientCursor(self)
        tells = self.tells if query and (_BEGIN, None) in self.queued else None
        asked = [binding.mogrify(*one) for one in (*self.queued, *query)]
        if tells:
            # After the query, which may have waited for a lock.
            asked.append(_TIME)
        self.queued.clear()
        began = monotonic()
        # One message of the simple protocol. A pipeline of the extended one ends with a message after which the server
        # no longer ends a transaction that is idle.
        cursor.execute("; ".join(asked))
        cursor.set_result(-1)
        if tells:
            tells(next(cursor)[0], monotonic() - began)
            cursor.set_result(-2)


def open_postgresql(url: URL, *, limited: bool, writes: bool, queues: bool, tells: Tells | None) -> Engine:
    """Open PostgreSQL. The keywords are those of ``open_engine``. Raises ArgumentError."""
    engine = create_engine(
        _with_all_hosts(url),
        use_native_hstore=False,
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,
        connect_args={
            "connect_timeout": time_limits.CONNECT_SECONDS,
            "application_name": _APPLICATION,
            "prepare_threshold": None,
            # Otherwise the driver sends BEGIN by itself, in a round trip of its own.
            "autocommit": True,
            # Binds parameters here, as only the simple protocol takes several statements at once.
            "cursor_factory": psycopg.ClientCursor,
        }
        | _KEEPALIVE,
    )

    _check_options(engine)

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        made = _Connection.connect(*arguments, **options)
        made.limited = limited
        made.tells = tells
        return made

    @event.listens_for(engine, "checkout")
    def still_open(connection: Any, _record: Any, _proxy: Any) -> None:
        # An idle server sends nothing but its farewell. Noticing this here costs no round trip.
        arrived = select.poll()
        arrived.register(connection, select.POLLIN)
        if arrived.poll(0):
            raise DisconnectionError("the server has closed the connection")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        _driver(connection).queued = _opening(limited=limited, writes=writes)

    @event.listens_for(engine, "do_execute")
    def execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        """Execute the statement in one round trip with those that wait, or let it wait. Returns True if it was done."""
        driver = cursor.connection
        if queues and (context.isinsert or context.isupdate) and not context.compiled.effective_returning:
            driver.queued.append((statement, parameters))
            return True
        if not driver.queued or not isinstance(cursor, psycopg.ClientCursor):
            execute_before(cursor)
            return False
        driver.execute_with_queued(cursor, (statement, parameters))
        return True

    @event.listens_for(engine, "do_executemany")
    def execute_many(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
        """Execute the statement for all parameters in one round trip. Returns True: it was done."""
        execute_before(cursor)
        psycopg.Cursor(cursor.connection).executemany(statement, parameters)
        return True

    @event.listens_for(engine, "do_execute_no_params")
    def execute_before(cursor: Any, *_: Any) -> None:
        if cursor.connection.queued:
            cursor.connection.execute_with_queued(psycopg.ClientCursor(cursor.connection))

    @event.listens_for(engine, "commit")
    def commit(connection: Connection) -> None:
        driver = _driver(connection)
        if driver.queued == _opening(limited=limited, writes=writes):
            # Nothing was executed in this transaction.
            driver.queued.clear()
            return
        with _raising(connection, driver):
            driver.execute_with_queued(psycopg.ClientCursor(driver), ("COMMIT", None))

    return engine


def _check_options(engine: Engine) -> None:
    """Raise ArgumentError for options of the address that libpq does not know: waiting for the server helps nobody."""
    _, options = engine.dialect.create_connect_args(engine.url)
    try:
        psycopg.conninfo.make_conninfo("", **{name: value for name, value in options.items() if name != "context"})
    except psycopg.ProgrammingError:
        raise ArgumentError("unknown options") from None


def _opening(*, limited: bool, writes: bool) -> list[_Query]:
    """Return how a transaction begins."""
    first: list[_Query] = [(_BEGIN, None)]
    if limited:
        first += [(f"SET LOCAL {name} = '{seconds:g}s'", None) for name, seconds in time_limits.on_server().items()]
    return [*first, (_DURABLE, None)] if writes else first


def _driver(connection: Connection) -> _Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, _Connection)
    return driver


@contextmanager
def _raising(connection: Connection, driver: _Connection) -> Iterator[None]:
    """Raise the driver's errors as SQLAlchemy does where it executes a statement itself."""
    try:
        yield
    except psycopg.Error as error:
        if driver.closed:
            connection.invalidate(error)
        raise DBAPIError.instance(
            None,
            None,
            error,
            psycopg.Error,
            hide_parameters=True,
            connection_invalidated=driver.closed,
            dialect=connection.dialect,
        ) from None


def _with_all_hosts(url: URL) -> URL:
    """Return the address with hosts as SQLAlchemy expects them; libpq's way, ``host=a:1,b:2``, is allowed as well."""
    named = url.query.get("host", ())
    hosts = [host for one in ((named,) if isinstance(named, str) else named) for host in one.split(",")]
    if len(hosts) < 2:
        return url
    # A standby takes no writes, and there is only one address for reading and writing.
    target = url.query.get("target_session_attrs", "read-write")
    return url.update_query_dict({"host": hosts, "target_session_attrs": target})
