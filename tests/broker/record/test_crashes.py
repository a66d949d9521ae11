"""Writers are killed at random moments. Every acknowledged row is in the record, and the chain holds."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from kiosk.broker.record.database import open_engine
from kiosk.broker.record.schema import RECORD
from kiosk.cli.main import cli
from tests.support.broker import ROOT
from tests.support.record import signer

WRITERS = 2

WRITER = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from kiosk.broker.record.checkpoints import Signing, Signer
from kiosk.broker.record.writer import Record
from kiosk.broker.record.schema import Entry, Event
from kiosk.clock import SystemClock

async def write(record, name):
    number = 0
    while True:
        number += 1
        await record.add(Entry(Event.SESSION_OPENED, oid=f"{name}-{number}"))
        print(f"{name}-{number}", flush=True)

url, key, name = sys.argv[1:]
record = Record(url, SystemClock(), signing=Signing(Signer.load(Path(key), make=False), timedelta(hours=1), 7))
with record.running():
    asyncio.run(write(record, name))
"""


def test_what_was_acknowledged_is_there_and_holds(url: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    signer(tmp_path)
    rounds = int(pytestconfig.getoption("--kills")) // WRITERS
    acknowledged: set[str] = set()
    for turn in range(rounds):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, url, str(tmp_path / "record.key"), f"{turn}-{number}"],
                stdout=subprocess.PIPE,
                cwd=ROOT,
                text=True,
            )
            for number in range(WRITERS)
        ]
        first = [writer.stdout.readline() for writer in writers if writer.stdout]
        time.sleep(random.uniform(0.05, 0.4))
        for writer in writers:
            writer.kill()
        rest = [line for writer in writers for line in writer.communicate()[0].splitlines(keepends=True)]
        # The last line may have been cut in the middle.
        acknowledged |= {line.strip() for line in [*first, *rest] if line.endswith("\n")}
    engine = open_engine(url)
    with engine.connect() as connection:
        written = set(connection.scalars(select(RECORD.c.oid)))
    engine.dispose()
    assert len(acknowledged) > rounds * WRITERS
    assert acknowledged <= written
    arguments = ["audit", "verify", "--database", url, "--public-key", str(tmp_path / "record.pub"), "--json"]
    verdict = json.loads(CliRunner().invoke(cli, arguments).output)
    assert verdict["holds"], verdict
