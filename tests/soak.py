"""Run the long proofs and write ``docs/soak.md``: what was run, how often, when, on which commit and Python.

Words on the command line choose the proofs whose arguments contain one of them; the others keep their last result.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "soak.md"

_HEAD = """# Long proofs

`make soak` repeats many times, or for all combinations, what the test run does once. That takes too long for every
change. It writes this page. `python -m tests.soak WORD` runs only the proofs that contain the word.

| proof | tests | result | minutes | last run |
| --- | --- | --- | --- | --- |
"""
_NEVER = "| not yet | | |\n"


@dataclass(frozen=True)
class Proof:
    """Tests that are run for longer than every change can wait. ``arguments`` are pytest's."""

    what: str
    arguments: tuple[str, ...]


FUZZED = (
    "tests/broker/test_fuzz.py",
    "tests/broker/test_seal.py",
    "tests/broker/test_allowance.py",
    "tests/broker/tokens/test_fuzz.py",
    "tests/broker/record/test_limits_model.py",
)
PROOFS = (
    Proof(
        "No key, token or code in any process's memory after 20 visits of each kind",
        ("tests/residue", "tests/broker/test_residue.py", "--residue-runs=20", "--dist=worksteal"),
    ),
    Proof(
        "No key without an intention on the record after 200 kills of the broker, and each acknowledged row after "
        "200 kills of writers, on SQLite and on PostgreSQL",
        ("tests/broker/record/test_kill.py", "tests/broker/record/test_crashes.py", "--kills=200"),
    ),
    Proof(
        "Three brokers that start at once on a record of 100,000 rows",
        ("tests/broker/record/test_running_fleet.py", "--rows=100000"),
    ),
    Proof(
        "Every fault at every call, and not only one of those that a client treats alike",
        ("tests/faults", "--every-fault"),
    ),
    Proof(
        "Every scene of every screen in every language at 80x24, and not only in the longest ones",
        ("tests/i18n/test_fit.py", "--every-scene", "--dist=worksteal"),
    ),
    Proof(
        "Ten times as many generated requests, tokens, limits and sealed keys",
        (*FUZZED, "--examples=10"),
    ),
    Proof("Twenty sessions over SSH at once fit into their memory", ("tests/ssh/test_crowd.py", "--sessions=20")),
    Proof(
        "A million bytes of noise at the first screen, and a million through the keyboard",
        ("tests/terminal/test_fuzz.py", "tests/fullscreen/test_keyboard.py", "--noise=1000000"),
    ),
)


def started(proof: Proof) -> str:
    """Return the beginning of a proof's row, which tells it from the others."""
    return f"| {proof.what} | `{' '.join(proof.arguments)}` "


def run(proof: Proof) -> str:
    """Run one proof; returns its row of the table."""
    began = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--timeout=3600", *proof.arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    sys.stdout.write(ran.stdout)
    counts = re.findall(r"\d+ (?:passed|failed|skipped|errors?)", ran.stdout.strip().rpartition("\n")[2])
    minutes = (time.monotonic() - began) / 60
    when = f"{datetime.now(UTC):%Y-%m-%d}, {commit()}, CPython {platform.python_version()}"
    return f"{started(proof)}| {', '.join(counts) or 'did not run'} | {minutes:.0f} | {when} |\n"


def commit() -> str:
    """Return the commit that is tested."""
    described = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(described, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def main(words: Sequence[str]) -> None:
    """Run the chosen proofs, and write the page after each."""
    before = PAGE.read_text(encoding="utf-8").splitlines(keepends=True) if PAGE.exists() else []
    rows = {
        proof: next((row for row in before if row.startswith(started(proof))), started(proof) + _NEVER)
        for proof in PROOFS
    }
    chosen = [proof for proof in PROOFS if not words or any(word in started(proof) for word in words)]
    for proof in chosen:
        rows[proof] = run(proof)
        PAGE.write_text(_HEAD + "".join(rows.values()), encoding="utf-8")
    sys.exit(any("failed" in rows[proof] or "error" in rows[proof] or "did not run" in rows[proof] for proof in chosen))


if __name__ == "__main__":
    main(sys.argv[1:])
