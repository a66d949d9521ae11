"""Standard error is the page of linear mode, and a service's log: nothing else is written there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kiosk.process.logging import place_of


@pytest.mark.parametrize("where", ["to_syslog('test')", "to_stderr()"])
def test_warnings_of_libraries_are_not_written(where: str) -> None:
    program = (
        f"import warnings\nfrom kiosk.process import logging\nlogging.{where}\nwarnings.warn('Attempted too soon.')"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=30)
    assert ran.stdout + ran.stderr == b""


def test_of_an_exception_only_type_and_place_are_told() -> None:
    """The three innermost frames, without its text, which may quote a secret."""

    def fails(depth: int) -> None:
        if depth:
            fails(depth - 1)
        raise ValueError("a secret")

    with pytest.raises(ValueError, match="a secret") as raised:
        fails(5)
    inner = fails.__code__.co_firstlineno
    lines = [inner + 3, inner + 2, inner + 2]
    assert place_of(raised.value) == "ValueError at " + " < ".join(f"test_logging.py:{line}" for line in lines)
    assert place_of(LookupError("never raised")) == "LookupError at unknown"
    assert place_of(None) == "NoneType at unknown"
