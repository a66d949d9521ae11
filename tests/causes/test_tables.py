"""Every cause is in one of the tables."""

from __future__ import annotations

from kiosk.errors import BY_CODE
from tests.causes.tables import (
    BEFORE_THE_CODE,
    BY_HAND,
    ENDED,
    ENTRA,
    GRAPH,
    LIMITS,
    MACS,
    NEVER_SEEN,
    PHONE,
    REFUSED,
    TOKENS,
)


def test_every_cause_is_in_one_of_these_tables() -> None:
    tables = [REFUSED, ENDED, BEFORE_THE_CODE, TOKENS, MACS, LIMITS, GRAPH, ENTRA, PHONE, BY_HAND, NEVER_SEEN]
    codes = [code for table in tables for code in table]
    assert sorted(codes) == sorted(BY_CODE)
