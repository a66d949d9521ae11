"""Run the long proofs and write ``docs/soak.md``: what was run, how often, when, on which commit and Python."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "soak.md"

_HEAD = """# Long proofs

`make soak` repeats many times what the test run does once. That takes too long for every change. It writes this page.

"""


@dataclass(frozen=True)
class Proof:
    """Tests that are run for longer than every change can wait. ``arguments`` are pytest's."""

    what: str
    arguments: tuple[str, ...]


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
        "A million bytes of noise at the first screen, and a million through the keyboard",
        ("tests/terminal/test_fuzz.py", "tests/fullscreen/test_keyboard.py", "--noise=1000000"),
    ),
)


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
    return f"| {proof.what} | `{' '.join(proof.arguments)}` | {', '.join(counts) or 'did not run'} | {minutes:.0f} |\n"


def main() -> None:
    """Run all proofs; write the page in any case."""
    rows = [run(proof) for proof in PROOFS]
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    page = _HEAD + f"Last run: {datetime.now(UTC):%Y-%m-%d}, commit {commit or 'unknown'}, CPython "
    page += f"{platform.python_version()}.\n\n| proof | tests | result | minutes |\n| --- | --- | --- | --- |\n"
    PAGE.write_text(page + "".join(rows), encoding="utf-8")
    sys.exit(any("failed" in row or "error" in row or "did not run" in row for row in rows))


if __name__ == "__main__":
    main()
