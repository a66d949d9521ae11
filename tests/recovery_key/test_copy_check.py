"""The copy check says right or wrong of a group, a few times, and keeps too little to reveal the key."""

from __future__ import annotations

import itertools
import string
import subprocess
import sys
from pathlib import Path

import pytest

from kiosk.__main__ import environment
from kiosk.recovery_key.copy_check import BITS, TRIES, CopyCheck, Outcome, Verdict, is_between, may_occur
from kiosk.secret import SecretBuffer
from tests.support.memory import scan

KEY = "HJ4W-7QXB-MNPR-K2LC-9YTG-D5FA"
GROUPS = KEY.split("-")


def held(text: str = KEY) -> SecretBuffer:
    return SecretBuffer(bytes(bytearray(text.encode())))


def wrong(check: CopyCheck, number: int) -> bytearray:
    """A group that is not taken for the right one, which one in 1024 is."""
    for four in itertools.permutations("ABCDEFGH", 4):
        typed = "".join(four)
        if typed != GROUPS[number - 1] and not check._same(number - 1, bytearray(typed.encode())):
            return bytearray(typed.encode())
    raise AssertionError


def test_a_right_copy_is_right_after_the_key_is_gone() -> None:
    key = held()
    check = CopyCheck(key)
    key.wipe()
    assert [check.check(number, bytearray(group.encode())) for number, group in enumerate(GROUPS, 1)] == [
        Verdict.RIGHT
    ] * 6
    assert check.outcome == Outcome(right=6, out_of_tries=0)
    assert check.outcome.complete


@pytest.mark.parametrize("typed", ["hj4w", "HJ4W-", " h j-4 w ", "HJ\u00a04W"])
def test_case_dashes_and_blanks_do_not_matter(typed: str) -> None:
    assert CopyCheck(held()).check(1, bytearray(typed.encode("latin-1"))) is Verdict.RIGHT


def test_a_key_in_small_letters_has_no_groups_to_check() -> None:
    with pytest.raises(ValueError, match="no groups"):
        CopyCheck(held(KEY.lower()))


@pytest.mark.parametrize("typed", ["", "HJ4", "HJ4WX", "---", "HJ4W-7QXB"])
def test_what_is_no_group_costs_no_try(typed: str) -> None:
    check = CopyCheck(held())
    assert check.check(1, bytearray(typed.encode())) is Verdict.INCOMPLETE
    assert check.tries_left(1) == TRIES


def test_a_group_has_few_tries_and_then_answers_no_more() -> None:
    check = CopyCheck(held())
    mistake = wrong(check, 2)
    answers = [check.check(2, bytearray(mistake)) for _ in range(TRIES)]
    assert answers == [Verdict.WRONG] * TRIES
    assert check.tries_left(2) == 0
    assert check.check(2, bytearray(GROUPS[1].encode())) is Verdict.OUT_OF_TRIES
    assert check.check(3, bytearray(GROUPS[2].encode())) is Verdict.RIGHT
    assert check.outcome == Outcome(right=1, out_of_tries=1)
    assert not check.outcome.complete


def test_a_group_is_right_in_its_own_place_only() -> None:
    """Each place has a hash of its own, so of a hundred keys hardly one takes another group's tag for its own."""
    found = [CopyCheck(held("-".join(["AB23"] * 6))) for _ in range(100)]
    tags = [[check._kept[place] for place in range(32, 44)] for check in found]
    same = sum(tag[0:2] == tag[2:4] for tag in tags)
    assert same < 5


def test_after_a_wipe_only_the_outcome_is_known() -> None:
    check = CopyCheck(held())
    assert check.check(1, bytearray(b"HJ4W")) is Verdict.RIGHT
    check.wipe()
    check.wipe()
    assert check.check(1, bytearray(b"HJ4W")) is Verdict.FORGOTTEN
    assert check.outcome == Outcome(right=1, out_of_tries=0)


@pytest.mark.parametrize("typed", ["HJ4W", "ABCD", "HJ"])
def test_what_was_typed_is_zeroed(typed: str) -> None:
    check = CopyCheck(held())
    for _ in range(TRIES + 2):
        buffer = bytearray(typed.encode())
        check.check(1, buffer)
        assert buffer == bytes(len(typed))
    check.wipe()
    buffer = bytearray(typed.encode())
    check.check(1, buffer)
    assert buffer == bytes(len(typed))


def test_what_is_kept_leaves_half_of_a_group_open() -> None:
    """Of all two-character ends of a group about one in 1024 fits: ten bits, and no more, are known of it."""
    check = CopyCheck(held())
    size = string.ascii_uppercase + string.digits
    fitting = sum(
        check._same(0, bytearray(("HJ" + first + second).encode()))
        for first, second in itertools.product(size, repeat=2)
    )
    assert 1 <= fitting < 14
    tags = [check._kept[32 + 2 * group] for group in range(6)]
    assert all(tag < 1 << (BITS - 8) for tag in tags)


def test_no_two_checks_keep_the_same() -> None:
    kept = {bytes(check._kept[place] for place in range(44)) for check in (CopyCheck(held()) for _ in range(5))}
    assert len(kept) == 5


def test_a_key_without_groups_cannot_be_checked() -> None:
    with pytest.raises(ValueError, match="no groups"):
        CopyCheck(held("35AJ-AC98"))


def test_only_letters_and_digits_may_occur() -> None:
    allowed = {chr(code) for code in range(0x3000) if may_occur(chr(code))}
    assert allowed == set(string.ascii_letters + string.digits)
    assert not may_occur("")
    assert not may_occur("AB")
    assert all(is_between(character) and not may_occur(character) for character in "- \u2013\u00a0")


def test_nothing_of_it_is_in_a_repr() -> None:
    assert "HJ4W" not in repr(CopyCheck(held()))


PROGRAM = """
import sys
from pathlib import Path
from kiosk.recovery_key.copy_check import Verdict, CopyCheck
from kiosk.secret import SecretBuffer

def rest(word):
    print(word, flush=True)
    sys.stdin.buffer.raw.read(1)

key = SecretBuffer(Path(sys.argv[1]).read_bytes())
rest("open")
check = CopyCheck(key)
for number in range(1, 7):
    typed = bytearray(4)
    for place in range(4):
        typed[place] = key[(number - 1) * 5 + place]
    assert check.check(number, typed) is Verdict.RIGHT
key.wipe()
rest("checked")
check.wipe()
rest("wiped")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read through /proc")
def test_no_two_groups_of_the_key_stay_in_memory(tmp_path: Path) -> None:
    place = tmp_path / "key"
    place.write_text(KEY)
    with subprocess.Popen(
        [sys.executable, "-P", "-s", "-c", PROGRAM, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment({}),
        bufsize=0,
    ) as child:
        assert child.stdin
        assert child.stdout
        assert child.stdout.readline() == b"open\n"
        # Without this the zeros below would mean nothing.
        assert scan(child.pid, KEY)
        for word in (b"checked\n", b"wiped\n"):
            child.stdin.write(b".")
            assert child.stdout.readline() == word
            assert scan(child.pid, KEY) == []
        child.stdin.write(b".")
        assert child.wait(20) == 0
