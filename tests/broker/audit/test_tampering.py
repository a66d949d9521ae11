"""Every way to tamper with a record of 10,000 rows: found, named, and the first row that does not hold given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from kiosk.broker.record.chain import digest
from kiosk.broker.record.checkpoints import Signer
from kiosk.broker.record.database import open_engine
from kiosk.broker.record.schema import RECORD, TIME_FORMAT
from tests.support.record import fill, signer
from tests.support.tampering import (
    ROWS,
    Case,
    Cursor,
    case,
    cut,
    forged,
    found,
    made,
    made_on_server,
    put,
    rechain,
    renumber,
    row,
    tampering,
    verdict,
)

__all__ = ["case", "made", "made_on_server"]  # fixtures


# --- what is done, and what is to be found ---------------------------------------------------------------------------


def edit(db: Cursor) -> None:
    db.execute("update record set name = 'Somebody Else' where n = 5000")


def edit_by_a_type(db: Cursor) -> None:
    if db.mark != "?":
        pytest.skip("PostgreSQL keeps the type of a column")
    db.execute("update record set reason = cast(reason as blob) where n = 5000")


def edit_into_no_text(db: Cursor) -> None:
    if db.mark != "?":
        pytest.skip("PostgreSQL keeps texts what they are")
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
def test_it_is_found_and_named(case: Case, tamper: Callable[[Cursor], None], first: int, how: str) -> None:
    with tampering(case) as db:
        tamper(db)
    assert found(case) == (first, how)


def test_an_untouched_record_holds(case: Case) -> None:
    for source in (case, case.folder):
        answer = verdict(source, "--anchors", str(case.folder / "anchors"))
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


def test_signed_again_by_another_key(case: Case) -> None:
    with tampering(case) as db:
        db.execute("update record set name = 'Somebody Else' where n = 5050")
        resign(db, signer(case.folder, "other"), 5050)
    assert found(case) == (5101, "re-signed")
    assert found(case, key="other") == (1, "re-signed")
    both = (case.folder / "record.pub").read_text() + (case.folder / "other.pub").read_text()
    (case.folder / "both.pub").write_text(both)
    # Whoever trusts both keys needs anchors.
    assert found(case, key="both") == (None, "")
    assert found(case, "--anchors", str(case.folder / "anchors"), key="both")[1] == "forked"


def test_the_stolen_key_does_not_help_against_anchors(case: Case) -> None:
    with tampering(case) as db:
        db.execute("update record set name = 'Somebody Else' where n = 5050")
        resign(db, signer(case.folder), 5050)
    assert found(case) == (None, "")
    first, how = found(case, "--anchors", str(case.folder / "anchors"))
    assert how == "forked"
    assert first is not None
    assert 5045 <= first <= 5050


def test_a_tail_with_everything_about_it_cut_is_seen_by_anchors_only(case: Case) -> None:
    with tampering(case) as db:
        cut(db, 9801)
    assert found(case) == (None, "")
    assert found(case, "--anchors", str(case.folder / "anchors")) == (9802, "truncated")


def test_another_record_with_the_same_key(case: Case, tmp_path: Path) -> None:
    second = open_engine(f"sqlite:///{tmp_path / 'second.db'}")
    fill(second, signer(case.folder), 300)
    with second.connect() as connection:
        rows = [dict(found) for found in connection.execute(select(RECORD)).mappings()]
    second.dispose()
    with tampering(case) as db:
        db.execute("delete from record")
        put(db, *rows)
    assert found(case) == (1, "forked")
