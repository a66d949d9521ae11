"""The record at size: how fast it grows, is verified, exported and searched, and how much memory that takes.

Run with ``python -m benchmarks.record [ROWS]``; a million rows take about two minutes and one gigabyte of disk.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert, select, update

from kiosk.broker.chain import Row
from kiosk.broker.checkpoints import Sealing, Signer
from kiosk.broker.database import open_engine
from kiosk.broker.ledger import Ledger
from kiosk.broker.record import Record
from kiosk.broker.schema import CHECKPOINT, HEAD, RECORD, Entry, Event, stamp
from kiosk.clock import ManualClock, SystemClock
from tests.support.record import signer, visits

_AT_ONCE = 10_000
_APPENDED = 1000
_ENTRIES = 100


def pour(url: str, key: Signer, rows: int) -> None:
    """The same rows and checkpoints that brokers would write, without a transaction for each."""
    engine, clock = open_engine(url), ManualClock()
    ledger = Ledger(clock, Sealing(key, timedelta(days=9999), _ENTRIES))
    with engine.begin() as connection:
        ledger.start(connection)
        head = connection.execute(select(HEAD)).one()
    n, previous, coming = head.n, head.hash, visits()
    while n < rows:
        made: list[Row] = []
        signed = []
        for entry in itertools.islice(coming, min(_AT_ONCE, rows - n)):
            n += 1
            clock.advance(1)
            made.append(Row.follow(n, stamp(clock.utc()), entry, previous))
            previous = made[-1].hash
            if n % _ENTRIES == 0 or n == rows:
                signed.append(key.sign(head.origin, n, previous, clock.utc()))
        with engine.begin() as connection:
            connection.execute(insert(RECORD), [row.members() for row in made])
            connection.execute(insert(CHECKPOINT), [one.members() for one in signed])
            connection.execute(update(HEAD).values(n=n, hash=previous, sealed=signed[-1].size))
    engine.dispose()


async def append(record: Record) -> float:
    """Seconds for one durable entry after the other."""
    before = time.perf_counter()
    for _ in range(_APPENDED):
        await record.add(Entry(Event.SESSION_OPENED))
    return time.perf_counter() - before


def command(arguments: Sequence[str], output: Path) -> tuple[float, float]:
    """Seconds and the most memory in MiB of one ``kiosk audit``; it must succeed."""
    before = time.perf_counter()
    child = os.fork()
    if not child:
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.execv(sys.executable, [sys.executable, "-m", "kiosk", "audit", *arguments])
    _, status, used = os.wait4(child, 0)
    assert status == 0, output.read_text()
    return time.perf_counter() - before, used.ru_maxrss / 1024


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url, public, out = f"sqlite:///{folder / 'record.db'}", str(folder / "record.pub"), folder / "out"
        pour(url, signer(folder), rows)
        size = (folder / "record.db").stat().st_size
        print(f"{rows} rows, {size / rows:.0f} bytes each in SQLite with its indices")
        exported = str(folder / "record.jsonl")
        figures = [
            ("verify the database", ["verify", "--database", url, "--public-key", public]),
            ("export as jsonl", ["export", "--database", url, "--output", exported]),
            ("verify the export", ["verify", "--export", exported, "--public-key", public]),
            (
                "verify with anchors",
                ["verify", "--database", url, "--public-key", public, "--anchors", exported],
            ),
            ("show one Mac", ["show", "--database", url, "--device", "H4XQ000007", "--seen"]),
        ]
        for what, arguments in figures:
            seconds, memory = command(arguments, out)
            print(f"{what}: {seconds:.1f} s, {rows / seconds:.0f} rows/s, {memory:.0f} MiB at most")
        before = time.perf_counter()
        record = Record(url, SystemClock(), sealing=Sealing(signer(folder)))
        with record.running():
            print(f"start of a broker: {time.perf_counter() - before:.2f} s")
            print(f"append: {_APPENDED / asyncio.run(append(record)):.0f} durable entries/s, one after the other")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
