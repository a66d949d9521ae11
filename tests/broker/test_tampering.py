"""Every way to tamper with a record of 10,000 rows: found, named, and the first row that does not hold given."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from click.testing import CliRunner

from kiosk.audit_cli import audit
from kiosk.broker.chain import FIELDS, digest
from kiosk.broker.checkpoints import Signer
from kiosk.broker.database import open_engine
from kiosk.broker.schema import TIME_FORMAT
from tests.support.record import fill, signer

ROWS = 10_000
Cursor: TypeAlias = sqlite3.Connection


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the record, its export, the keys, and what a collector received."""
    folder = tmp_path_factory.mktemp("record")
    engine = open_engine(f"sqlite:///{folder / 'record.db'}")
    fill(engine, signer(folder), ROWS)
    engine.dispose()
    signer(folder, "other")
    exported = run("export", "--database", url(folder), "--output", str(folder / "record.jsonl"))
    assert exported == (0, "")
    lines = (folder / "record.jsonl").read_bytes().splitlines()[1:]
    (folder / "anchors").write_bytes(b"\n".join(b"<110>1 - broker - - - " + line for line in lines if b".done" in line))
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(audit, arguments)
    return result.exit_code, result.output


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'record.db'}"


def verdict(folder: Path, *more: str, key: str = "record", export: bool = False) -> dict[str, Any]:
    source = ("--export", str(folder / "record.jsonl")) if export else ("--database", url(folder))
    code, said = run("verify", *source, "--public-key", str(folder / f"{key}.pub"), "--json", *more)
    assert code in {0, 1}, said
    found: dict[str, Any] = json.loads(said)
    assert found["holds"] == (code == 0)
    return found


def found(folder: Path, *more: str, **options: Any) -> tuple[int | None, str]:
    answer = verdict(folder, *more, **options)
    return answer["first"], answer["how"]


@contextlib.contextmanager
def tampering(folder: Path) -> Iterator[Cursor]:
    with contextlib.closing(sqlite3.connect(folder / "record.db")) as connection, connection:
        connection.row_factory = sqlite3.Row
        yield connection


def row(db: Cursor, n: int) -> dict[str, Any]:
    return dict(db.execute("select * from record where n = ?", [n]).fetchone())


def put(db: Cursor, members: dict[str, Any]) -> None:
    marks = ", ".join("?" * len(FIELDS))
    db.execute(f"insert or replace into record values ({marks})", [members[name] for name in FIELDS])


def renumber(db: Cursor, first: int, by: int) -> None:
    # Over numbers that are free, as each must be unique at any time.
    db.execute("update record set n = -n where n >= ?", [first])
    db.execute("update record set n = -n + ? where n < 0", [by])


def rechain(db: Cursor, first: int) -> None:
    """What somebody does who knows the encoding, and may write to the database."""
    previous = row(db, first - 1)["hash"]
    for (n,) in db.execute("select n from record where n >= ? order by n", [first]).fetchall():
        members = row(db, n) | {"previous": previous}
        previous = members["hash"] = digest(members)
        put(db, members)
    db.execute("update head set n = (select max(n) from record), hash = ?", [previous])


def cut(db: Cursor, last: int, *, head: bool = True, checkpoints: bool = True) -> None:
    db.execute("delete from record where n > ?", [last])
    if checkpoints:
        db.execute("delete from checkpoint where size > ?", [last])
        db.execute("update head set sealed = (select max(size) from checkpoint)")
    if head:
        db.execute("update head set n = ?, hash = ?", [last, row(db, last)["hash"]])


def forged(db: Cursor, n: int) -> dict[str, Any]:
    """A row that fits behind the one before it."""
    members = row(db, n) | {"name": "Nobody", "previous": row(db, n - 1)["hash"]}
    return members | {"hash": digest(members)}


# --- what is done, and what is to be found ---------------------------------------------------------------------------


def edit(db: Cursor) -> None:
    db.execute("update record set name = 'Somebody Else' where n = 5000")


def edit_by_a_type(db: Cursor) -> None:
    db.execute("update record set reason = cast(reason as blob) where n = 5000")


def edit_into_no_text(db: Cursor) -> None:
    db.execute("update record set reason = cast(x'ff' as text) where n = 5000")


def edit_the_last(db: Cursor) -> None:
    members = row(db, ROWS) | {"outcome": "edited"}
    put(db, members | {"hash": digest(members)})


def edit_the_last_unsigned(db: Cursor) -> None:
    cut(db, 9950)
    members = row(db, 9950) | {"outcome": "edited"}
    put(db, members | {"hash": digest(members)})


def edit_and_hash_again(db: Cursor) -> None:
    members = row(db, 5050) | {"name": "Somebody Else"}
    put(db, members | {"hash": digest(members)})


def edit_the_chaining(db: Cursor) -> None:
    db.execute("update record set previous = ? where n = 5000", ["0" * 64])


def edit_and_chain_again(db: Cursor) -> None:
    db.execute("update record set name = 'Somebody Else' where n = 5050")
    rechain(db, 5050)


def delete(db: Cursor) -> None:
    db.execute("delete from record where n = 5000")


def delete_many(db: Cursor) -> None:
    db.execute("delete from record where n between 5000 and 5999")


def delete_the_first(db: Cursor) -> None:
    db.execute("delete from record where n = 1")


def delete_and_renumber(db: Cursor) -> None:
    db.execute("delete from record where n = 5000")
    renumber(db, 5001, -1)


def delete_and_chain_again(db: Cursor) -> None:
    delete_and_renumber(db)
    rechain(db, 5000)


def swap(first: int, second: int) -> Callable[[Cursor], None]:
    def swapped(db: Cursor) -> None:
        for before, after in ((first, -1), (second, first), (-1, second)):
            db.execute("update record set n = ? where n = ?", [after, before])

    return swapped


def move_to_the_end(db: Cursor) -> None:
    db.execute("update record set n = ? where n = 5000", [ROWS + 1])


def insert(db: Cursor) -> None:
    false = forged(db, 5000)
    renumber(db, 5000, 1)
    put(db, false)


def insert_a_stray(db: Cursor) -> None:
    false = row(db, 4000) | {"n": 5000}
    renumber(db, 5000, 1)
    put(db, false | {"hash": "f" * 64, "previous": "0" * 64})


def append(db: Cursor) -> None:
    members = row(db, ROWS) | {"n": ROWS + 1, "previous": row(db, ROWS)["hash"]}
    put(db, members | {"hash": digest(members)})


def cut_the_rows(db: Cursor) -> None:
    cut(db, 9950, head=False, checkpoints=False)


def cut_rows_and_head(db: Cursor) -> None:
    cut(db, 9950, checkpoints=False)


def cut_all_but_the_head(db: Cursor) -> None:
    cut(db, 9950, head=False)


def remove_checkpoints(db: Cursor) -> None:
    db.execute("delete from checkpoint")


def fork(db: Cursor) -> None:
    """The tail is replaced by another, which is chained to what was before; the checkpoints stay."""
    db.execute("update record set oid = 'somebody-else' where n > 9900")
    rechain(db, 9901)


def follow_another(db: Cursor) -> None:
    members = row(db, 5000) | {"previous": row(db, 4000)["hash"]}
    put(db, members | {"hash": digest(members)})


def edit_a_checkpoint(db: Cursor) -> None:
    db.execute("update checkpoint set note = replace(note, ' ', '  ') where size = 5001")


def edit_what_a_checkpoint_says(db: Cursor) -> None:
    db.execute("update checkpoint set time = '2020' where size = 5001")


def forge_a_signature(db: Cursor) -> None:
    (note,) = db.execute("select note from checkpoint where size = 5001").fetchone()
    db.execute("update checkpoint set note = ? where size = 5001", [note[:-20] + "AAAA" + note[-16:]])


def lose_the_head(db: Cursor) -> None:
    db.execute("delete from head")


KINDS: list[tuple[Callable[[Cursor], None], int, str]] = [
    (edit, 5000, "edited"),
    (edit_by_a_type, 5000, "edited"),
    (edit_into_no_text, 5000, "edited"),
    (edit_the_last, 9902, "forked"),
    (edit_the_last_unsigned, 9950, "edited"),
    (edit_and_hash_again, 5050, "edited"),
    (edit_the_chaining, 5000, "edited"),
    (edit_and_chain_again, 5002, "forked"),
    (delete, 5000, "deleted"),
    (delete_many, 5000, "deleted"),
    (delete_the_first, 1, "deleted"),
    (delete_and_renumber, 5000, "deleted"),
    (delete_and_chain_again, 4902, "forked"),
    (swap(5000, 5001), 5000, "reordered"),
    (swap(5000, 9000), 5000, "reordered"),
    (move_to_the_end, 5000, "reordered"),
    (insert, 5000, "inserted"),
    (insert_a_stray, 5000, "inserted"),
    (append, ROWS + 1, "inserted"),
    (cut_the_rows, 9951, "truncated"),
    (cut_rows_and_head, 9951, "truncated"),
    (cut_all_but_the_head, 9951, "truncated"),
    (remove_checkpoints, ROWS + 1, "truncated"),
    (fork, 9802, "forked"),
    (follow_another, 5000, "forked"),
    (edit_a_checkpoint, 5001, "edited"),
    (edit_what_a_checkpoint_says, 5001, "edited"),
    (forge_a_signature, 5001, "edited"),
    (lose_the_head, 1, "edited"),
]


@pytest.mark.parametrize(("tamper", "first", "how"), KINDS, ids=[f"{kind[0].__name__}-{kind[1]}" for kind in KINDS])
def test_it_is_found_and_named(folder: Path, tamper: Callable[[Cursor], None], first: int, how: str) -> None:
    with tampering(folder) as db:
        tamper(db)
    assert found(folder) == (first, how)


def test_an_untouched_record_holds(made: Path) -> None:
    for export in (False, True):
        answer = verdict(made, "--anchors", str(made / "anchors"), export=export)
        assert (answer["holds"], answer["rows"], answer["certain"]) == (True, ROWS, ROWS), answer
        assert answer["checkpoints"] == 101
        assert answer["anchors"] == 1999


def resign(db: Cursor, signer: Signer, first: int) -> None:
    """Chain again and sign again, everything from one row on."""
    rechain(db, first)
    (origin,) = db.execute("select origin from head").fetchone()
    for size, time in db.execute("select size, time from checkpoint where size >= ?", [first]).fetchall():
        moment = datetime.strptime(time, TIME_FORMAT).replace(tzinfo=UTC)
        made = signer.sign(origin, size, row(db, size)["hash"], moment)
        db.execute("update checkpoint set head = ?, note = ? where size = ?", [made.head, made.note, size])


def test_signed_again_by_another_key(folder: Path) -> None:
    with tampering(folder) as db:
        db.execute("update record set name = 'Somebody Else' where n = 5050")
        resign(db, signer(folder, "other"), 5050)
    assert found(folder) == (5101, "re-signed")
    assert found(folder, key="other") == (1, "re-signed")
    both = (folder / "record.pub").read_text() + (folder / "other.pub").read_text()
    (folder / "both.pub").write_text(both)
    # Whoever trusts both keys needs anchors.
    assert found(folder, key="both") == (None, "")
    assert found(folder, "--anchors", str(folder / "anchors"), key="both")[1] == "forked"


def test_the_stolen_key_does_not_help_against_anchors(folder: Path) -> None:
    with tampering(folder) as db:
        db.execute("update record set name = 'Somebody Else' where n = 5050")
        resign(db, signer(folder), 5050)
    assert found(folder) == (None, "")
    first, how = found(folder, "--anchors", str(folder / "anchors"))
    assert how == "forked"
    assert first is not None
    assert 5045 <= first <= 5050


def test_a_tail_with_everything_about_it_cut_is_seen_by_anchors_only(folder: Path) -> None:
    with tampering(folder) as db:
        cut(db, 9801)
    assert found(folder) == (None, "")
    assert found(folder, "--anchors", str(folder / "anchors")) == (9802, "truncated")


def test_another_record_with_the_same_key(folder: Path, tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'second.db'}")
    fill(engine, signer(folder), 300)
    engine.dispose()
    with tampering(folder) as db:
        db.execute("attach ? as second", [str(tmp_path / "second.db")])
        db.execute("delete from record")
        db.execute("insert into record select * from second.record")
    assert found(folder) == (1, "forked")


# --- the same in an export, where the order of lines is one more thing to change --------------------------------------


def lines(folder: Path) -> tuple[list[bytes], dict[int, int]]:
    found = (folder / "record.jsonl").read_bytes().splitlines(keepends=True)
    return found, {json.loads(line)["n"]: place for place, line in enumerate(found) if line.startswith(b'{"n"')}


def e_edit(all_: list[bytes], at: dict[int, int]) -> None:
    all_[at[5000]] = all_[at[5000]].replace(b"person", b"nobody")


def e_garbage(all_: list[bytes], at: dict[int, int]) -> None:
    all_[at[5000]] = b"\xff{[\n"


def e_endless(all_: list[bytes], at: dict[int, int]) -> None:
    all_[at[5000]] = b"x" * (3 << 20) + b"\n"


def e_extra(all_: list[bytes], at: dict[int, int]) -> None:
    all_[at[5000]] = all_[at[5000]].replace(b'{"n"', b'{"m":1,"n"')


def e_delete(all_: list[bytes], at: dict[int, int]) -> None:
    del all_[at[5000]]


def e_swap(all_: list[bytes], at: dict[int, int]) -> None:
    all_[at[5000]], all_[at[6000]] = all_[at[6000]], all_[at[5000]]


def e_twice(all_: list[bytes], at: dict[int, int]) -> None:
    all_.insert(at[5000], all_[at[5000]])


def e_fork(all_: list[bytes], at: dict[int, int]) -> None:
    members = json.loads(all_[at[5000]]) | {"name": "Nobody"}
    all_.insert(at[5000] + 1, json.dumps(members | {"hash": digest(members)}).encode() + b"\n")


def e_cut(all_: list[bytes], at: dict[int, int]) -> None:
    del all_[at[9950] :]


def e_move_checkpoint(all_: list[bytes], at: dict[int, int]) -> None:
    place = next(place for place, line in enumerate(all_) if b'"size":5001,' in line)
    all_.insert(at[6000], all_.pop(place))


EXPORTS = [
    (e_edit, 5000, "edited"),
    (e_garbage, 5000, "edited"),
    (e_endless, 5000, "edited"),
    (e_extra, 5000, "edited"),
    (e_delete, 5000, "deleted"),
    (e_swap, 5000, "reordered"),
    (e_twice, 5000, "inserted"),
    (e_fork, 5000, "forked"),
    (e_cut, 9950, "truncated"),
    (e_move_checkpoint, 5001, "reordered"),
]


@pytest.mark.parametrize(("tamper", "first", "how"), EXPORTS, ids=[kind[0].__name__ for kind in EXPORTS])
def test_exports(folder: Path, tamper: Callable[[list[bytes], dict[int, int]], None], first: int, how: str) -> None:
    changed, places = lines(folder)
    tamper(changed, places)
    (folder / "record.jsonl").write_bytes(b"".join(changed))
    assert found(folder, export=True) == (first, how)
