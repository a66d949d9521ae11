"""Who finds what: every cell of the table of attackers in docs/record.md, on a real record."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from kiosk.broker.audit.anchors import anchors
from kiosk.broker.audit.export import pieces
from kiosk.broker.audit.source import ExportSource, database
from kiosk.broker.audit.verify import verify
from kiosk.broker.record.chain import Appended, digest
from kiosk.broker.record.checkpoints import Signing
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.head import Seen
from kiosk.broker.record.limits import Limit, Limits
from kiosk.broker.record.schema import Entry, Event
from kiosk.broker.record.writer import Record
from kiosk.errors import ConfigError, LimitReached, RecordUnavailable
from tests.support.clock import ManualClock
from tests.support.record import head_of, signer
from tests.support.tampering import Cursor, put, rechain, row, sign_head

DOCUMENT = Path(__file__).parents[3] / "docs" / "record.md"
ATTACKS = ["insert at the end", "edit", "delete", "recompute the chain", "roll back", "set all back", "forge a refusal"]
INTENDED = Entry(Event.INTENDED, tid="t", oid="ada", device_id="d", release_id="r", name="Ada")
LIMITS = Limits(per_person=(Limit.parse("1/hour"),))
EDITED = 4


def table() -> Iterator[tuple[str, str, set[str]]]:
    """Yield attacker, attack and who finds it, from the table in docs/record.md."""
    lines = DOCUMENT.read_text().splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith("| attacker | insert"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[begin : begin + 6]]
    assert cells[0][1:] == ATTACKS
    for attacker, *found in cells[2:]:
        for attack, who in zip(ATTACKS, found, strict=True):
            yield attacker, attack, set(re.findall(r"\w+", who)) - {"nobody"}


CELLS = [cell for cell in table() if cell[2] != set() or cell[0] != "restored backup"]


@dataclass
class World:
    """A broker's machine: database, key and what the broker saw, beside what others hold of it."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "record.db"

    def record(self, subscribers: Sequence[Any] = ()) -> Record:
        signing = Signing(signer(self.folder), seen=self.folder / "record.seen")
        return Record(f"sqlite:///{self.file}", ManualClock(), subscribers, signing)

    @contextlib.contextmanager
    def cursor(self) -> Iterator[Cursor]:
        with contextlib.closing(sqlite3.connect(self.file)) as connection, connection:
            yield Cursor(connection, "?")

    def export(self, name: str) -> None:
        with database(f"sqlite:///{self.file}") as source:
            (self.folder / name).write_bytes(b"".join(pieces(source, "jsonl")))

    def keep(self) -> None:
        """Keep a copy of everything as it is now, with the newest head that a broker saw."""
        copied(self.file, self.folder / "earlier.db")
        shutil.copy(self.folder / "record.seen", self.folder / "earlier.seen")
        self.export("earlier.jsonl")


def copied(source: Path, target: Path) -> None:
    with contextlib.closing(sqlite3.connect(source)) as one, contextlib.closing(sqlite3.connect(target)) as other:
        one.backup(other)


class Collector:
    """Keeps what sinks would get, off the machine."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def appended(self, rows: Sequence[Appended]) -> None:
        with self._file.open("ab") as file:
            file.writelines(item.line() + b"\n" for item in rows)


async def _work(record: Record, release: str) -> None:
    for entry in (INTENDED, replace(INTENDED, event=Event.DONE), replace(INTENDED, event=Event.CLOSED)):
        await record.add(replace(entry, release_id=release))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a record of two starts, with a copy from the middle of the second."""
    world = World(tmp_path_factory.mktemp("world"))
    for number in range(2):
        record = world.record([Collector(world.folder / "anchors")])
        with record.running():
            asyncio.run(_work(record, f"r{number}"))
            if number:
                world.keep()
            asyncio.run(_work(record, f"s{number}"))
    world.export("record.jsonl")
    return world.folder


@pytest.fixture
def world(made: Path, tmp_path: Path) -> World:
    return World(Path(shutil.copytree(made, tmp_path / "world")))


# --- attacks on the database ------------------------------------------------------------------------------------------


def insert(world: World, event: Event = Event.DONE) -> None:
    with world.cursor() as db:
        (n,) = db.execute("select max(n) from record").fetchone()
        last = row(db, n)
        (intended,) = db.execute("select max(n) from record where event = 'release.intended'").fetchone()
        members = row(db, intended) | {"n": n + 1, "event": str(event), "previous": last["hash"]}
        members["hash"] = digest(members)
        put(db, members)
        db.execute("update head set n = ?, hash = ?", [n + 1, members["hash"]])


def edit(world: World) -> None:
    with world.cursor() as db:
        db.execute("update record set name = 'Wei Zhang' where n = ?", [EDITED])


def delete(world: World) -> None:
    with world.cursor() as db:
        db.execute("delete from record where n = ?", [EDITED])


def recompute(world: World) -> None:
    edit(world)
    with world.cursor() as db:
        rechain(db, EDITED)


def roll_back(world: World) -> None:
    with world.cursor() as db:
        db.execute("attach ? as earlier", [str(world.folder / "earlier.db")])
        for name in ("record", "checkpoint", "head"):
            db.execute(f"delete from main.{name}")
            db.execute(f"insert into main.{name} select * from earlier.{name}")


def set_all_back(world: World) -> None:
    # In place, also under a running broker.
    copied(world.folder / "earlier.db", world.file)


def forge_refusal(world: World) -> None:
    insert(world, Event.REFUSED)


DATABASE: list[Callable[[World], None]] = [insert, edit, delete, recompute, roll_back, set_all_back, forge_refusal]


# --- attacks on an export ---------------------------------------------------------------------------------------------


def attack_export(world: World, attack: str) -> None:
    file = world.folder / "record.jsonl"
    if attack in {"roll back", "set all back"}:
        shutil.copy(world.folder / "earlier.jsonl", file)
        return
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    rows = [line for line in lines if "n" in line]
    head = lines[0]["record"]
    changed = next(one for one in rows if one["n"] == EDITED)
    if attack in {"insert at the end", "forge a refusal"}:
        event = "release.refused" if attack == "forge a refusal" else "release.done"
        members = rows[-1] | {"n": rows[-1]["n"] + 1, "event": event, "previous": rows[-1]["hash"]}
        lines.append(members | {"hash": digest(members)})
        head |= {"n": members["n"], "hash": lines[-1]["hash"]}
    elif attack == "delete":
        lines.remove(changed)
    else:
        changed["name"] = "Wei Zhang"
    if attack == "recompute the chain":
        previous = ""
        for one in rows:
            one["previous"] = previous or one["previous"]
            previous = one["hash"] = digest(one)
        head["hash"] = previous
    file.write_bytes(b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines))


# --- who finds it -----------------------------------------------------------------------------------------------------


def sign_again(world: World) -> None:
    """Make everything fit again with the key, and let the machine forget what its broker saw."""
    key = signer(world.folder)
    with world.cursor() as db:
        for place, (n,) in enumerate(db.execute("select n from record order by n").fetchall(), 1):
            db.execute("update record set n = ? where n = ?", [place, n])
        rechain(db, 2)
        (head,) = db.dictionaries("select * from head")
        for checkpoint in db.dictionaries("select * from checkpoint where size <= ?", [head["n"]]):
            now = ManualClock().utc()
            made = key.sign(head["origin"], checkpoint["size"], row(db, checkpoint["size"])["hash"], now)
            values = [made.head, made.time, made.note, made.size]
            db.execute("update checkpoint set head = ?, time = ?, note = ? where size = ?", values)
        db.execute("delete from checkpoint where size > ?", [head["n"]])
        (signed,) = db.execute("select max(size) from checkpoint").fetchone()
        db.execute("update head set signed = ?", [signed])
        sign_head(db, key)
    (world.folder / "record.seen").unlink(missing_ok=True)
    engine = open_engine(f"sqlite:///{world.file}")
    Seen(world.folder / "record.seen").remember(head_of(engine))
    engine.dispose()


def by_verify(world: World, *, export: bool = False) -> set[str]:
    """Return whether plain verify finds it, and verify with anchors, with nothing but the public key."""
    keys = [signer(world.folder).public]
    found = set()
    for name, path in (("verify", None), ("anchors", world.folder / "anchors")):
        with contextlib.ExitStack() as stack:
            if export:
                source: Any = ExportSource(world.folder / "record.jsonl")
            else:
                source = stack.enter_context(database(f"sqlite:///{world.file}"))
            if not verify(source, keys, stack.enter_context(anchors(path, keys))).holds:
                found.add(name)
    return found


def by_the_broker(world: World, attack: Callable[[World], None]) -> bool:
    """Whether a running broker refuses to append after the attack."""
    record = world.record()
    with record.running():
        attack(world)
        try:
            asyncio.run(record.add(Entry(Event.SESSION_OPENED)))
        except RecordUnavailable:
            return True
        return False


def by_a_start(world: World) -> bool:
    try:
        record = world.record()
        with record.running():
            asyncio.run(record.check())
    except (ConfigError, RecordUnavailable):
        return True
    return False


@pytest.mark.parametrize(("attacker", "attack", "who"), CELLS, ids=[f"{one[0]}-{one[1]}" for one in CELLS])
def test_who_finds_it(world: World, tmp_path: Path, attacker: str, attack: str, who: set[str]) -> None:
    found: set[str] = set()
    do = DATABASE[ATTACKS.index(attack)]
    if attacker == "auditor's file":
        attack_export(world, attack)
        found = by_verify(world, export=True)
    elif attacker == "machine owner":
        do(world)
        sign_again(world)
        found = by_verify(world)
        assert not by_a_start(world)
    else:
        if attacker == "database writer" and by_the_broker(
            World(Path(shutil.copytree(world.folder, tmp_path / "running"))), do
        ):
            found.add("broker")
        do(world)
        if attacker == "restored backup" and attack == "set all back":
            shutil.copy(world.folder / "earlier.seen", world.folder / "record.seen")
        found |= by_verify(world)
        if by_a_start(world):
            found.add("start")
    # What verify finds, it finds with anchors as well.
    assert found - ({"anchors"} if "verify" in found else set()) == who
    assert "anchors" in found or not who


def test_the_table_is_whole() -> None:
    assert len(list(table())) == 4 * len(ATTACKS)
    assert len(CELLS) == 3 * len(ATTACKS) + 2


def test_a_forged_refusal_frees_no_limit(world: World) -> None:
    record = world.record()
    again = replace(INTENDED, release_id="again")
    with record.running():
        with pytest.raises(LimitReached):
            asyncio.run(record.intend(again, LIMITS))
        forge_refusal(world)
        with pytest.raises(RecordUnavailable):
            asyncio.run(record.intend(again, LIMITS))


def test_the_machine_owner_leaves_a_record_that_holds(world: World) -> None:
    # So what anchors find above is found by anchors only, and not for want of skill.
    recompute(world)
    sign_again(world)
    assert by_verify(world) == {"anchors"}
