"""Every way to tamper with a record of 10,000 rows is found, with the rows between which to look."""

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
    run,
    sign_head,
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
    """Replace the tail by another that is chained to the rows before it. The checkpoints stay."""
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


# The tampering, the changed row, and the row at which it shows.
KINDS: list[tuple[Callable[[Cursor], None], int, int]] = [
    (edit, 5000, 5000),
    (edit_by_a_type, 5000, 5000),
    (edit_into_no_text, 5000, 5000),
    (edit_the_last, ROWS, ROWS),
    (edit_the_last_unsigned, 9950, 9950),
    (edit_and_hash_again, 5050, 5051),
    (edit_the_chaining, 5000, 5000),
    (edit_and_chain_again, 5050, 5101),
    (delete, 5000, 5000),
    (delete_many, 5000, 5000),
    (delete_the_first, 1, 1),
    (delete_and_renumber, 5000, 5000),
    (delete_and_chain_again, 5000, 5001),
    (swap(5000, 5001), 5000, 5000),
    (swap(5000, 9000), 5000, 5000),
    (move_to_the_end, 5000, 5000),
    (insert, 5000, 5001),
    (insert_a_stray, 5000, 5000),
    (append, ROWS + 1, ROWS + 1),
    (cut_the_rows, 9951, 9951),
    (cut_rows_and_head, 9951, 9951),
    (cut_all_but_the_head, 9951, 9951),
    (remove_checkpoints, ROWS, ROWS),
    (fork, 9901, 9901),
    (follow_another, 5000, 5000),
    (edit_a_checkpoint, 5001, 5001),
    (edit_what_a_checkpoint_says, 5001, 5001),
    (forge_a_signature, 5001, 5001),
    (lose_the_head, 1, 1),
]


@pytest.mark.parametrize(("tamper", "changed", "shows"), KINDS, ids=[f"{one[0].__name__}-{one[1]}" for one in KINDS])
def test_it_is_found(case: Case, tamper: Callable[[Cursor], None], changed: int, shows: int) -> None:
    with tampering(case) as db:
        tamper(db)
    answer = found(case)
    assert answer is not None
    certain, first = answer
    assert first == shows
    # The report names the rows between which the change is.
    assert certain < changed <= first


def test_the_words_say_where_to_look(case: Case) -> None:
    with tampering(case) as db:
        edit(db)
    code, said = run("verify", "--database", case.url, "--public-key", str(case.folder / "record.pub"))
    assert code == 1
    assert said.splitlines() == [
        "does not hold: row 5000 is missing or is not the one that was written",
        "rows 1 to 4901 are vouched for by a signature or an anchor",
    ]


def test_an_untouched_record_holds(case: Case) -> None:
    for source in (case, case.folder):
        answer = verdict(source, "--anchors", str(case.folder / "anchors"))
        assert (answer["holds"], answer["rows"], answer["certain"]) == (True, ROWS, ROWS), answer
        assert answer["checkpoints"] == 101
        assert answer["anchors"] == 1999


def resign(db: Cursor, signer: Signer, first: int) -> None:
    """Recompute all hashes and signatures from a row on."""
    rechain(db, first)
    (origin,) = db.execute("select origin from head").fetchone()
    for size, time in db.execute("select size, time from checkpoint where size >= ?", [first]).fetchall():
        moment = datetime.strptime(time, TIME_FORMAT).replace(tzinfo=UTC)
        made = signer.sign(origin, size, row(db, size)["hash"], moment)
        db.execute("update checkpoint set head = ?, note = ? where size = ?", [made.head, made.note, size])
    sign_head(db, signer)


def test_signed_again_by_another_key(case: Case) -> None:
    with tampering(case) as db:
        db.execute("update record set name = 'Somebody Else' where n = 5050")
        resign(db, signer(case.folder, "other"), 5050)
    assert found(case) == (5001, 5101)
    assert "signed with another key" in verdict(case)["says"]
    assert found(case, key="other") == (0, 1)
    both = (case.folder / "record.pub").read_text() + (case.folder / "other.pub").read_text()
    (case.folder / "both.pub").write_text(both)
    # With both keys trusted, only anchors reveal it.
    assert found(case, key="both") is None
    assert "the anchor names" in verdict(case, "--anchors", str(case.folder / "anchors"), key="both")["says"]


def test_the_stolen_key_does_not_help_against_anchors(case: Case) -> None:
    with tampering(case) as db:
        db.execute("update record set name = 'Somebody Else' where n = 5050")
        resign(db, signer(case.folder), 5050)
    assert found(case) is None
    answer = found(case, "--anchors", str(case.folder / "anchors"))
    assert answer is not None
    assert 5040 <= answer[0] < 5050 <= answer[1] <= 5060


def test_a_tail_with_everything_about_it_cut_is_seen_by_anchors_only(case: Case) -> None:
    with tampering(case) as db:
        cut(db, 9801)
        sign_head(db, signer(case.folder))
    assert found(case) is None
    assert found(case, "--anchors", str(case.folder / "anchors")) == (9801, 9802)


def test_another_record_with_the_same_key(case: Case, tmp_path: Path) -> None:
    second = open_engine(f"sqlite:///{tmp_path / 'second.db'}")
    fill(second, signer(case.folder), 300)
    with second.connect() as connection:
        rows = [dict(found) for found in connection.execute(select(RECORD)).mappings()]
    second.dispose()
    with tampering(case) as db:
        db.execute("delete from record")
        put(db, *rows)
    assert found(case) == (0, 1)
