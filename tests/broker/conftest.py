"""One sandbox and one broker for each file of tests, and more brokers for tests that need their own."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from kiosk.broker.record.shared_time import SharedTime
from kiosk.clock import SystemClock, ThreadClock
from tests.support.broker import RunningBroker, broker_config, running_broker
from tests.support.postgresql import MISSING, cluster, database, find_binaries
from tests.support.sandbox import RunningSandbox, running_sandbox

Start = Callable[..., contextlib.AbstractContextManager[RunningBroker]]


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[RunningSandbox]:
    with tempfile.TemporaryDirectory() as name, running_sandbox(Path(name)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    """Return the sandbox without faults and with an empty log of requests."""
    shared_sandbox.clear_requests()
    yield shared_sandbox
    shared_sandbox.clear_faults()


@pytest.fixture
def place() -> Iterator[Path]:
    """Make a folder with a short path, because the path of a socket is limited to about 100 characters."""
    with tempfile.TemporaryDirectory(prefix="kb") as name:
        yield Path(name)


@pytest.fixture
def start(sandbox: RunningSandbox, place: Path) -> Start:
    """Return a function that starts a broker in a thread, with tables of broker.toml as keywords."""

    def start(clock: ThreadClock | None = None, **tables: Any) -> contextlib.AbstractContextManager[RunningBroker]:
        return running_broker(broker_config(sandbox.directory, place, **tables), clock)

    return start


@pytest.fixture(scope="module")
def shared_broker(shared_sandbox: RunningSandbox) -> Iterator[RunningBroker]:
    with tempfile.TemporaryDirectory(prefix="kb") as name:
        unlimited = {"per_person": (), "per_device": ()}
        with running_broker(broker_config(shared_sandbox.directory, Path(name), rules=unlimited)) as running:
            yield running


@pytest.fixture
def broker(sandbox: RunningSandbox, shared_broker: RunningBroker) -> RunningBroker:
    """Return the file's shared broker, which has no limits. A test sees only its own entries of the record."""
    shared_broker.forget_rows()
    return shared_broker


@pytest.fixture(autouse=True)
def time_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock of a test be the database's as well. The machine's own clock is compared as always."""
    tell = SharedTime.tell

    def tell_of_machines(shared: SharedTime, moment: datetime, took: float) -> None:
        if type(shared._clock) is SystemClock:
            tell(shared, moment, took)

    monkeypatch.setattr(SharedTime, "tell", tell_of_machines)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Return the address of a PostgreSQL server."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip(MISSING)
    pytest.importorskip("psycopg", reason=MISSING)
    with cluster(binaries, careless=True) as server:
        yield server


@pytest.fixture
def postgresql_database(postgresql: str) -> Iterator[str]:
    with database(postgresql, f"record-{uuid.uuid4()}") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'record.db'}"
    found: str = request.getfixturevalue("postgresql_database")
    return found
