"""Every way to tamper with an export of 10,000 rows; in a file the order of lines is one more thing to change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kiosk.broker.record.chain import digest
from tests.support.tampering import folder, found, made

__all__ = ["folder", "made"]  # fixtures


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
    assert found(folder) == (first, how)
