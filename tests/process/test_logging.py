"""Standard error is the page of linear mode, and a service's log: nothing else is written there."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("where", ["to_syslog('test')", "to_stderr()"])
def test_warnings_of_libraries_are_not_written(where: str) -> None:
    program = (
        f"import warnings\nfrom kiosk.process import logging\nlogging.{where}\nwarnings.warn('Attempted too soon.')"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=30)
    assert ran.stdout + ran.stderr == b""
