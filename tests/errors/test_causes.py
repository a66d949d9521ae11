"""The table of causes in the documentation is current and complete."""

from __future__ import annotations

import pytest

from docs import causes
from kiosk.errors import BY_CODE, ConfigError


def test_the_table_is_current() -> None:
    assert causes.PATH.read_text() == causes.page(), "run: make causes"


@pytest.mark.parametrize("code", [code for code in BY_CODE if code != ConfigError.code])
def test_every_code_has_one_row_with_no_cell_empty(code: str) -> None:
    (row,) = [line for line in causes.page().splitlines() if line.startswith(f"| `{code}` ")]
    cells = [cell.strip() for cell in row.strip("| ").split(" | ")]
    assert len(cells) == 5
    assert all(cells)
