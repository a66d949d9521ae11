"""What the supervisor does on a signal, in a process of its own; on terminals it is tested by tests/terminal."""

from __future__ import annotations

import subprocess
import sys

BEGIN = """
import signal, time
from kiosk import supervisor
from kiosk.visit.context import VisitStart

def supervise(visit=lambda _: 9, lost=lambda *_: None):
    return supervisor.Supervisor(None, visit, lost, once=True, linear=False)
"""


def said(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", BEGIN + code], check=True, timeout=30, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_stop_before_a_visit_begins_begins_none() -> None:
    code = """
made = supervise()
made._stop(signal.SIGTERM, None)
print(made._one_visit(VisitStart()))
"""
    assert said(code) == "0"


def test_a_broker_that_cannot_be_told_holds_up_no_stop() -> None:
    code = """
supervisor._TELLING_SECONDS = 1
made = supervise(lost=lambda *_: time.sleep(60))
signal.signal(signal.SIGALRM, made._force)
made._tell_lost(["r"], None)
print("told or not")
"""
    assert said(code) == "told or not"
