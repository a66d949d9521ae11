"""Make records of any size quickly: the rows that the broker would write, with one statement for many of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import Engine, insert, select, update

from kiosk.broker.record.chain import Checkpoint, Row
from kiosk.broker.record.checkpoints import Signer, Signing
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.head import COLUMNS as HEAD_COLUMNS
from kiosk.broker.record.head import Head
from kiosk.broker.record.ledger import Ledger
from kiosk.broker.record.schema import CHECKPOINT, HEAD, METADATA, RECORD, Entry, Event, stamp
from tests.support.broker import wait_for
from tests.support.clock import ManualClock

_IN_ONE = 10_000


def visits() -> Iterator[Entry]:
    """Yield the entries of visit after visit, five for each, without end."""
    for number in itertools.count():
        person = Entry(
            Event.SESSION_OPENED,
            tid="6f1f1f0e-0000-4000-8000-000000000001",
            oid=f"00000000-0000-4000-8000-{number % 997:012}",
            name=f"Zoë Ångström {number % 997}",
            address=f"person{number % 997}@nordwind.example",
            terminal=f"desk-{number % 7}",
        )
        device = replace(
            person,
            device_id=f"10000000-0000-4000-8000-{number % 997:012}",
            device_name=f"NW-{number % 997}",
            serial=f"H4XQ{number % 997:06}",
            owner_type="company",
            reason="forgot the password after the holidays",
            release_id=f"20000000-0000-4000-8000-{number:012}",
        )
        yield person
        yield replace(person, event=Event.DEVICES_LISTED)
        yield replace(device, event=Event.INTENDED)
        yield replace(device, event=Event.DONE)
        yield replace(device, event=Event.CLOSED, outcome="hidden", shown_seconds=12.5 + number % 9)


def fill(engine: Engine, signer: Signer, rows: int, *, entries: int = 100) -> None:
    """Fill a record with exactly ``rows`` rows, the last one a stop, and a checkpoint after every ``entries`` entries.

    Rows and checkpoints are the ones that a broker would write, without a statement for each.
    """
    clock = ManualClock()
    ledger = Ledger(clock, Signing(signer, timedelta(days=9999), entries))
    with ledger.transaction(engine) as connection:
        ledger.start(connection)
    head = head_of(engine)
    n, previous, covered, coming = head.n, head.hash, head.signed, visits()
    while n < rows - 1:
        made: list[Row] = []
        signed: list[Checkpoint] = []
        for entry in itertools.islice(coming, min(rows - 1 - n, _IN_ONE)):
            n += 1
            clock.advance(1)
            made.append(Row.follow(n, stamp(clock.utc()), entry, previous))
            previous = made[-1].hash
            if n - covered >= entries:
                covered = n
                signed.append(signer.sign(head.origin, n, previous, clock.utc()))
        with engine.begin() as connection:
            connection.execute(insert(RECORD), [row.members() for row in made])
            if signed:
                connection.execute(insert(CHECKPOINT), [one.members() for one in signed])
                head = replace(head, signed=covered, signed_at=signed[-1].time)
            head = replace(head, n=n, hash=previous).signed_by(signer)
            connection.execute(update(HEAD).values(asdict(head)))
    with ledger.transaction(engine) as connection:
        ledger.stop(connection)


def head_of(engine: Engine) -> Head:
    """Return the head of a record."""
    with engine.connect() as connection:
        return Head(*connection.execute(select(*HEAD_COLUMNS)).one())


def signer(folder: Path, name: str = "record") -> Signer:
    """Make a signing key, with its public key beside it as ``NAME.pub``."""
    return Signer.load(folder / f"{name}.key", make=True)


def let_pass(clock: ManualClock, seconds: float, *, threads: int = 1) -> None:
    """Advance the clock and wait until that many threads have run what was due and wait on the clock again."""
    wait_for(lambda: clock.waiting() == threads)
    clock.advance(seconds)
    wait_for(lambda: clock.waiting() == threads)


Contents: TypeAlias = dict[str, list[dict[str, Any]]]


def contents(url: str) -> Contents:
    """Return all rows of all tables of a record, by the name of the table."""
    engine = open_engine(url, limited=False)
    with engine.connect() as connection:
        found = {
            table.name: [row._asdict() for row in connection.execute(table.select())]
            for table in METADATA.sorted_tables
        }
    engine.dispose()
    return found


def set_back(url: str, earlier: Contents) -> None:
    """Put a record back to what it was, as somebody does who restores a copy under running brokers."""
    engine = open_engine(url, limited=False)
    with engine.begin() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(table.delete())
            for row in earlier[table.name]:
                # By the names of the columns, which are not those in the program.
                columns = {column.name: column for column in table.columns}
                connection.execute(insert(table).values({columns[name]: value for name, value in row.items()}))
    engine.dispose()


def broker_toml(folder: Path, url: str) -> str:
    """Write a configuration with this database and the key in the folder, and return its path."""
    file, certificate = folder / "broker.toml", folder / "certificate.pem"
    certificate.touch()
    file.write_text(
        f"""
[tokens]
authority = "https://login.nordwind.example/t"
tenant = "t"
audience = "a"
client = "k"
[graph]
authority = "https://login.nordwind.example/t"
client_id = "c"
certificate = "{certificate}"
[record]
database = "{url}"
signing_key = "{folder / "record.key"}"
"""
    )
    return str(file)
