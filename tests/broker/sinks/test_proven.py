"""Sinks get what was appended: a row that does not lead to a signature of the broker's key is not delivered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, text, update

from kiosk.broker.record.chain import Checkpoint, Row
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.schema import HEAD, RECORD, Entry, Event
from kiosk.broker.record.sink_offset import SinkOffset
from kiosk.broker.sinks.offsets import Batch, Offsets
from kiosk.errors import RecordUnavailable
from tests.support.clock import ManualClock
from tests.support.record import fill, head_of, signer

ROWS = 450


@pytest.fixture(params=[100, 10_000], ids=["checkpoints", "head"])
def offsets(request: pytest.FixtureRequest, url: str, tmp_path: Path) -> Iterator[Offsets]:
    """Yield the offsets of a sink of a record that is larger than two batches."""
    engine = open_engine(url, limited=False)
    fill(engine, signer(tmp_path), ROWS, entries=request.param)
    engine.dispose()
    found = Offsets(url, "file a", ManualClock(), lambda: signer(tmp_path))
    yield found
    found.close()


def change(url: str, statement: str) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def delivered(offsets: Offsets) -> tuple[list[int], str]:
    """Deliver all that is to be delivered. Returns the numbers of the rows, and why the rest was not."""
    numbers: list[int] = []
    try:
        batch: Batch | None = offsets.take()
        while batch and batch.items:
            numbers += [item.n for item in batch.items if isinstance(item, Row)]
            batch = offsets.delivered(batch)
        offsets.take()
    except RecordUnavailable as refusal:
        return numbers, refusal.cause
    return numbers, ""


def test_everything_is_delivered_in_order(offsets: Offsets) -> None:
    assert delivered(offsets) == (list(range(1, ROWS + 1)), "")


@pytest.mark.parametrize(
    ("statement", "first"),
    [
        ("update record set name = 'Wei Zhang' where n = 330", 330),
        ("update record set previous = hash where n = 330", 330),
        ("delete from record where n = 330", 330),
        ("update record set version = 9 where n = 330", 330),
        ("update checkpoint set note = head where size = 450", 450),
    ],
)
def test_what_was_changed_is_not_delivered(offsets: Offsets, url: str, statement: str, first: int) -> None:
    change(url, statement)
    numbers, why = delivered(offsets)
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) < first
    assert f"row {first} " in why


def test_a_forged_row_is_not_delivered(offsets: Offsets, url: str) -> None:
    engine = open_engine(url)
    head = head_of(engine)
    row = Row.follow(ROWS + 1, "2026-11-22T09:00:01.000000Z", Entry(Event.DONE, name="Priya Raman"), head.hash)
    with engine.begin() as connection:
        connection.execute(insert(RECORD).values(row.members()))
        connection.execute(update(HEAD).values(n=row.n, hash=row.hash))
    engine.dispose()
    numbers, why = delivered(offsets)
    assert ROWS + 1 not in numbers
    assert "no broker wrote its head" in why
    # What was delivered before is not sent again and again.
    assert delivered(offsets)[0] == []
    change(url, f"delete from record where n > {ROWS}")
    change(url, f"update head set n = {ROWS}, hash = '{head.hash}'")
    assert numbers + delivered(offsets)[0] == list(range(1, ROWS + 1))


def test_a_chain_that_was_computed_again_is_not_delivered(offsets: Offsets, url: str) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text("update record set name = 'Wei Zhang' where n = 440"))
        previous = connection.scalar(text("select hash from record where n = 439"))
        for found in connection.execute(RECORD.select().where(RECORD.c.n >= 440).order_by(RECORD.c.n)).mappings():
            values = dict(found)
            entry = Entry(**{name: values[name] for name in Entry.__dataclass_fields__})
            row = Row.follow(values["n"], values["time"], entry, str(previous))
            previous = row.hash
            connection.execute(update(RECORD).where(RECORD.c.n == row.n).values(row.members()))
        connection.execute(update(HEAD).values(hash=previous))
    engine.dispose()
    numbers, why = delivered(offsets)
    assert len(numbers) < 440
    assert "nothing is delivered from this record" in why


@pytest.mark.parametrize(
    "forged",
    ["n = 449, size = 400", "(n, size, signature) = (select n, size, signature from sink where name = 'file b')"],
)
def test_an_offset_that_no_broker_wrote_skips_nothing(
    offsets: Offsets, url: str, tmp_path: Path, forged: str, caplog: pytest.LogCaptureFixture
) -> None:
    with contextlib.closing(Offsets(url, "file b", ManualClock(), lambda: signer(tmp_path))) as other:
        assert delivered(other)[1] == ""
    forge = f"update sink set {forged}, holder = '' where name = 'file a'"
    # A broker goes on where it was, and one that starts believes nothing else.
    for one, after in ((offsets, 200), (Offsets(url, "file a", ManualClock(), lambda: signer(tmp_path)), 0)):
        if after:
            batch = one.take()
            assert batch
            assert one.delivered(batch).reached == after
        change(url, forge)
        assert delivered(one) == (list(range(after + 1, ROWS + 1)), "")
        one.close()
    assert caplog.text.count("no broker wrote its offset") == 2


def test_an_offset_that_lies_beyond_the_record(offsets: Offsets, url: str, tmp_path: Path) -> None:
    assert delivered(offsets)[1] == ""
    engine = open_engine(url)
    beyond = SinkOffset("file a", 1000, 450).signed_by(head_of(engine).origin, signer(tmp_path))
    engine.dispose()
    change(url, f"update sink set n = 1000, signature = '{beyond.signature}'")
    assert delivered(offsets) == (
        [],
        "nothing is delivered from this record: it ends at row 450, and row 1000 was delivered",
    )


def test_checkpoints_are_delivered_after_the_row_that_they_cover(offsets: Offsets) -> None:
    batch = offsets.take()
    assert batch
    for place, item in enumerate(batch.items):
        if isinstance(item, Checkpoint):
            before = batch.items[place - 1]
            assert isinstance(before, Row)
            assert (before.n, before.hash) == (item.size, item.head)
