"""Every way to tamper with a record of 1,000 rows is found, with the rows between which to look."""

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
    db.execute("update record set name = 'Somebody Else' where n = 500")


def edit_by_a_type(db: Cursor) -> None:
    if db.mark != "?":
        pytest.skip("PostgreSQL keeps the type of a column")
    db.execute("update record set reason = cast(reason as blob) where n = 500")


def edit_into_no_text(db: Cursor) -> None:
    if db.mark != "?":
        pytest.skip("PostgreSQL keeps texts what they are")
    db.execute("update record set reason = cast(x'ff' as text) where n = 500")


def edit_the_last(db: Cursor) -> None:
    members = row(db, ROWS) | {"outcome": "edited"}
    put(db, members | {"hash": digest(members)})


def edit_the_last_unsigned(db: Cursor) -> None:
    cut(db, 950)
    members = row(db, 950) | {"outcome": "edited"}
    put(db, members | {"hash": digest(members)})


def edit_and_hash_again(db: Cursor) -> None:
    members = row(db, 550) | {"name": "Somebody Else"}
    put(db, members | {"hash": digest(members)})


def edit_the_chaining(db: Cursor) -> None:
    db.execute("update record set previous = ? where n = 500", ["0" * 64])


def edit_and_chain_again(db: Cursor) -> None:
    db.execute("update record set name = 'Somebody Else' where n = 550")
    rechain(db, 550)


def delete(db: Cursor) -> None:
    db.execute("delete from record where n = 500")


def delete_many(db: Cursor) -> None:
    db.execute("delete from record where n between 500 and 599")


def delete_the_first(db: Cursor) -> None:
    db.execute("delete from record where n = 1")


def delete_and_renumber(db: Cursor) -> None:
    db.execute("delete from record where n = 500")
    renumber(db, 501, -1)


def delete_and_chain_again(db: Cursor) -> None:
    delete_and_renumber(db)
    rechain(db, 500)


def swap(first: int, second: int) -> Callable[[Cursor], None]:
    def swapped(db: Cursor) -> None:
        for before, after in ((first, -1), (second, first), (-1, second)):
            db.execute("update record set n = ? where n = ?", [after, before])

    return swapped


def move_to_the_end(db: Cursor) -> None:
    db.execute("update record set n = ? where n = 500", [ROWS + 1])


def insert(db: Cursor) -> None:
    false = forged(db, 500)
    renumber(db, 500, 1)
    put(db, false)


def insert_a_stray(db: Cursor) -> None:
    false = row(db, 400) | {"n": 500}
    renumber(db, 500, 1)
    put(db, false | {"hash": "f" * 64, "previous": "0" * 64})


def append(db: Cursor) -> None:
    members = row(db, ROWS) | {"n": ROWS + 1, "previous": row(db, ROWS)["hash"]}
    put(db, members | {"hash": digest(members)})


def cut_the_rows(db: Cursor) -> None:
    cut(db, 950, head=False, checkpoints=False)


def cut_rows_and_head(db: Cursor) -> None:
    cut(db, 950, checkpoints=False)


def cut_all_but_the_head(db: Cursor) -> None:
    cut(db, 950, head=False)


def remove_checkpoints(db: Cursor) -> None:
    db.execute("delete from checkpoint")


def fork(db: Cursor) -> None:
    """Replace the tail by another that is chained to the rows before it. The checkpoints stay."""
    db.execute("update record set oid = 'somebody-else' where n > 900")
    rechain(db, 901)


def follow_another(db: Cursor) -> None:
    members = row(db, 500) | {"previous": row(db, 400)["hash"]}
    put(db, members | {"hash": digest(members)})


def edit_a_checkpoint(db: Cursor) -> None:
    db.execute("update checkpoint set note = replace(note, ' ', '  ') where size = 501")


def edit_what_a_checkpoint_says(db: Cursor) -> None:
    db.execute("update checkpoint set time = '2020' where size = 501")


def forge_a_signature(db: Cursor) -> None:
    (note,) = db.execute("select note from checkpoint where size = 501").fetchone()
    db.execute("update checkpoint set note = ? where size = 501", [note[:-20] + "AAAA" + note[-16:]])


def lose_the_head(db: Cursor) -> None:
    db.execute("delete from head")


# The tampering, the changed row, and the row at which it shows.
KINDS: list[tuple[Callable[[Cursor], None], int, int]] = [
    (edit, 500, 500),
    (edit_by_a_type, 500, 500),
    (edit_into_no_text, 500, 500),
    (edit_the_last, ROWS, ROWS),
    (edit_the_last_unsigned, 950, 950),
    (edit_and_hash_again, 550, 551),
    (edit_the_chaining, 500, 500),
    (edit_and_chain_again, 550, 601),
    (delete, 500, 500),
    (delete_many, 500, 500),
    (delete_the_first, 1, 1),
    (delete_and_renumber, 500, 500),
    (delete_and_chain_again, 500, 501),
    (swap(500, 501), 500, 500),
    (swap(500, 900), 500, 500),
    (move_to_the_end, 500, 500),
    (insert, 500, 501),
    (insert_a_stray, 500, 500),
    (append, ROWS + 1, ROWS + 1),
    (cut_the_rows, 951, 951),
    (cut_rows_and_head, 951, 951),
    (cut_all_but_the_head, 951, 951),
    (remove_checkpoints, ROWS, ROWS),
    (fork, 901, 901),
    (follow_another, 500, 500),
    (edit_a_checkpoint, 501, 501),
    (edit_what_a_checkpoint_says, 501, 501),
    (forge_a_signature, 501, 501),
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
        "does not hold: row 500 is missing or is not the one that was written",
        "rows 1 to 401 are vouched for by a signature or an anchor",
    ]


def test_an_untouched_record_holds(case: Case) -> None:
    for source in (case, case.folder):
        answer = verdict(source, "--anchors", str(case.folder / "anchors"))
        assert (answer["holds"], answer["rows"], answer["certain"]) == (True, ROWS, ROWS), answer
        assert answer["checkpoints"] == 11
        assert answer["anchors"] == 199


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
        db.execute("update record set name = 'Somebody Else' where n = 550")
        resign(db, signer(case.folder, "other"), 550)
    assert found(case) == (501, 601)
    assert "signed with another key" in verdict(case)["says"]
    assert found(case, key="other") == (0, 1)
    both = (case.folder / "record.pub").read_text() + (case.folder / "other.pub").read_text()
    (case.folder / "both.pub").write_text(both)
    # With both keys trusted, only anchors reveal it.
    assert found(case, key="both") is None
    assert "the anchor names" in verdict(case, "--anchors", str(case.folder / "anchors"), key="both")["says"]


def test_the_stolen_key_does_not_help_against_anchors(case: Case) -> None:
    with tampering(case) as db:
        db.execute("update record set name = 'Somebody Else' where n = 550")
        resign(db, signer(case.folder), 550)
    assert found(case) is None
    answer = found(case, "--anchors", str(case.folder / "anchors"))
    assert answer is not None
    assert 540 <= answer[0] < 550 <= answer[1] <= 560


def test_a_tail_with_everything_about_it_cut_is_seen_by_anchors_only(case: Case) -> None:
    with tampering(case) as db:
        cut(db, 801)
        sign_head(db, signer(case.folder))
    assert found(case) is None
    assert found(case, "--anchors", str(case.folder / "anchors")) == (801, 802)


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
