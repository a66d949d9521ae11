"""Every test that SECURITY.md names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
_NAMED = re.compile(r"`(tests/[\w/]+\.py)?::(\w+)`")


def test_it_names_no_test_that_is_gone() -> None:
    missing = []
    for line in (ROOT / "SECURITY.md").read_text().splitlines():
        file = ""
        for found in _NAMED.finditer(line):
            file = found[1] or file
            path = ROOT / file
            if not path.is_file() or f"def {found[2]}(" not in path.read_text():
                missing.append(f"{file}::{found[2]}")
    assert missing == []
