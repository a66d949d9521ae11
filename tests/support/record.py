"""Make records of any size quickly: the rows that the broker would write, with one statement for many of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, insert, select, update

from kiosk.broker.record.chain import Checkpoint, Row
from kiosk.broker.record.checkpoints import Signer, Signing
from kiosk.broker.record.ledger import Ledger
from kiosk.broker.record.schema import CHECKPOINT, HEAD, RECORD, Entry, Event, stamp
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
    with engine.begin() as connection:
        ledger.start(connection)
        head = connection.execute(select(HEAD)).one()
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
                connection.execute(update(HEAD).values(signed=covered, signed_at=signed[-1].time))
            connection.execute(update(HEAD).values(n=n, hash=previous))
    with engine.begin() as connection:
        ledger.stop(connection)


def signer(folder: Path, name: str = "record") -> Signer:
    """Make a signing key, with its public key beside it as ``NAME.pub``."""
    return Signer.load(folder / f"{name}.key", make=True)


def let_pass(clock: ManualClock, seconds: float, *, threads: int = 1) -> None:
    """Advance the clock and wait until that many threads have run what was due and wait on the clock again."""
    wait_for(lambda: clock.waiting() == threads)
    clock.advance(seconds)
    wait_for(lambda: clock.waiting() == threads)
