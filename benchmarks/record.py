"""Measure a large record: how fast it is filled, verified, exported and searched, and the memory for it.

Run with ``python -m benchmarks.record [ROWS [URL]]``. A million rows need some minutes and two gigabytes of disk.
URL is the address of an empty PostgreSQL database; the default is SQLite in a temporary folder.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from kiosk.broker.record.checkpoints import Signing
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.record.writer import Record
from kiosk.clock import SystemClock
from tests.support.record import fill, signer

_APPENDED = 1000
_AT_ONCE = 64
_SIZE = {
    "sqlite": "select page_count * page_size from pragma_page_count(), pragma_page_size()",
    "postgresql": "select pg_total_relation_size('record')",
}


async def append(record: Record, at_once: int) -> float:
    """Return the seconds for some durable entries, with ``at_once`` of them waiting at any time."""

    async def one_after_the_other() -> None:
        for _ in range(_APPENDED // at_once):
            await record.add(Entry(Event.SESSION_OPENED))

    before = time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    return (time.perf_counter() - before) / (_APPENDED // at_once * at_once)


def command(arguments: Sequence[str], output: Path) -> tuple[float, float]:
    """Run one ``kiosk audit``, which must succeed. Returns its seconds and its peak memory in MiB."""
    before = time.perf_counter()
    child = os.fork()
    if not child:
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.execv(sys.executable, [sys.executable, "-m", "kiosk", "audit", *arguments])
    _, status, used = os.wait4(child, 0)
    assert status == 0, output.read_text()
    return time.perf_counter() - before, used.ru_maxrss / 1024


def measure(url: str, folder: Path, rows: int) -> None:
    """Run every measurement on a record of ``rows`` rows, whose key is in ``folder``."""
    public, exported, out = str(folder / "record.pub"), folder / "record.jsonl", folder / "out"
    engine = open_engine(url, limited=False)
    with engine.connect() as connection:
        size = connection.exec_driver_sql(_SIZE[engine.dialect.name]).scalar() or 0
    engine.dispose()
    print(f"{rows} rows, {size / rows:.0f} bytes each in {engine.dialect.name} with their indexes")
    read = ["--database", url]
    figures = [
        ("verify the database", ["verify", *read, "--public-key", public]),
        ("export as jsonl", ["export", *read, "--output", str(exported)]),
        ("verify the export", ["verify", "--export", str(exported), "--public-key", public]),
        ("verify with anchors", ["verify", *read, "--public-key", public, "--anchors", str(exported)]),
        ("show one Mac, seen", ["show", *read, "--device", "H4XQ000007", "--seen"]),
        ("show one Mac, seen, a week", ["show", *read, "--device", "h4xq000007", "--seen", "--since", "2026-11-27"]),
        ("show one person", ["show", *read, "--person", "person42@"]),
        ("show what nobody did", ["show", *read, "--event", "release.refused", "--outcome", "device_blocked"]),
    ]
    for what, arguments in figures:
        seconds, memory = command(arguments, out)
        said = f"{rows / seconds:.0f} rows/s" if "show" not in what else out.read_text().splitlines()[-1]
        print(f"{what}: {seconds:.1f} s, {said}, {memory:.0f} MiB at most")
    exported.unlink()
    before = time.perf_counter()
    record = Record(url, SystemClock(), signing=Signing(signer(folder)))
    with record.running():
        print(f"start of a broker: {time.perf_counter() - before:.2f} s")
        for at_once in (1, 8, _AT_ONCE):
            print(f"append, {at_once} at once: {1 / asyncio.run(append(record, at_once)):.0f} durable entries/s")


def main(rows: int, url: str | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = url or f"sqlite:///{folder / 'record.db'}"
        engine = open_engine(url, limited=False)
        fill(engine, signer(folder), rows)
        engine.dispose()
        measure(url, folder, rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, sys.argv[2] if len(sys.argv) > 2 else None)
