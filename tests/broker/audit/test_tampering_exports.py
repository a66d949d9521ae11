"""Every way to tamper with an export of 10,000 rows is found, including the order of its lines."""

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
    all_[at[500]] = all_[at[500]].replace(b"person", b"nobody")


def e_garbage(all_: list[bytes], at: dict[int, int]) -> None:
    all_[at[500]] = b"\xff{[\n"


def e_endless(all_: list[bytes], at: dict[int, int]) -> None:
    all_[at[500]] = b"x" * (3 << 20) + b"\n"


def e_extra(all_: list[bytes], at: dict[int, int]) -> None:
    all_[at[500]] = all_[at[500]].replace(b'{"n"', b'{"m":1,"n"')


def e_delete(all_: list[bytes], at: dict[int, int]) -> None:
    del all_[at[500]]


def e_swap(all_: list[bytes], at: dict[int, int]) -> None:
    all_[at[500]], all_[at[600]] = all_[at[600]], all_[at[500]]


def e_twice(all_: list[bytes], at: dict[int, int]) -> None:
    all_.insert(at[500], all_[at[500]])


def e_fork(all_: list[bytes], at: dict[int, int]) -> None:
    members = json.loads(all_[at[500]]) | {"name": "Nobody"}
    all_.insert(at[500] + 1, json.dumps(members | {"hash": digest(members)}).encode() + b"\n")


def e_cut(all_: list[bytes], at: dict[int, int]) -> None:
    del all_[at[950] :]


def e_move_checkpoint(all_: list[bytes], at: dict[int, int]) -> None:
    place = next(place for place, line in enumerate(all_) if b'"size":501,' in line)
    all_.insert(at[800], all_.pop(place))


EXPORTS = [
    (e_edit, 401, 500),
    (e_garbage, 401, 500),
    (e_endless, 401, 500),
    (e_extra, 401, 500),
    (e_delete, 401, 500),
    (e_swap, 401, 500),
    (e_twice, 401, 501),
    (e_fork, 401, 501),
    (e_cut, 901, 950),
    (e_move_checkpoint, 701, 800),
]


@pytest.mark.parametrize(("tamper", "certain", "first"), EXPORTS, ids=[kind[0].__name__ for kind in EXPORTS])
def test_exports(folder: Path, tamper: Callable[[list[bytes], dict[int, int]], None], certain: int, first: int) -> None:
    changed, places = lines(folder)
    tamper(changed, places)
    (folder / "record.jsonl").write_bytes(b"".join(changed))
    assert found(folder) == (certain, first)
