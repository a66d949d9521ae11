"""Codes of links: how people may type them, and what is none."""

from __future__ import annotations

import pytest

from kiosk.broker.sign_ins.links import code_of, new_code
from kiosk.sign_in_messages import LINK_ALPHABET, LINK_LENGTH


@pytest.mark.parametrize("typed", ["K7Q2M9XD", "k7q2m9xd", "K7Q2-M9XD", " k7q2 m9xd ", "k-7-q-2-m-9-x-d", "K7Q2\tM9XD"])
def test_case_dashes_and_blanks_do_not_matter(typed: str) -> None:
    assert code_of(typed) == "K7Q2M9XD"


@pytest.mark.parametrize(
    "typed", ["", "K7Q2M9X", "K7Q2M9XDD", "K7Q2M9XA", "K7Q2M9X1", "K7Q2_M9XD", "../../etc", "K7Q2M9ß"]
)
def test_anything_else_is_no_code(typed: str) -> None:
    assert code_of(typed) == ""


def test_new_codes_differ_and_use_the_whole_alphabet() -> None:
    codes = [new_code() for _ in range(500)]
    assert len(set(codes)) == len(codes)
    assert {len(code) for code in codes} == {LINK_LENGTH}
    assert set("".join(codes)) == set(LINK_ALPHABET)
    assert all(code_of(code) == code for code in codes)
