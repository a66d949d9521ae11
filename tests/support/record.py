"""Records of any size, made quickly: the real ledger, but many entries to one transaction."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine

from kiosk.broker.checkpoints import Sealing, Signer
from kiosk.broker.ledger import Ledger
from kiosk.broker.schema import Entry, Event
from kiosk.clock import ManualClock

_IN_ONE = 10_000


def visits() -> Iterator[Entry]:
    """What visit after visit leaves on the record, five entries each."""
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
    """A record with exactly so many rows, the last one a stop; a checkpoint after every so many entries."""
    clock = ManualClock()
    ledger = Ledger(clock, Sealing(signer, timedelta(days=999), entries))
    with engine.begin() as connection:
        ledger.start(connection)
    coming = visits()
    left = rows - 2
    while left:
        with engine.begin() as connection:
            for entry in itertools.islice(coming, min(left, _IN_ONE)):
                clock.advance(1)
                ledger.add(connection, entry)
        left -= min(left, _IN_ONE)
        ledger.appended.clear()
    with engine.begin() as connection:
        ledger.stop(connection)


def signer(folder: Path, name: str = "record") -> Signer:
    """A key of its own, with the public one beside it as ``NAME.pub``."""
    return Signer.load(folder / f"{name}.key", make=True)
