"""What the supervisor does on a signal, in a process of its own; on terminals it is tested by tests/terminal."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

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


SHOWN = """
class Shown:
    def reset(self): pass
    def say(self, words): print(words, flush=True)
"""
NO_FORK = f"""
import errno, os
{SHOWN}
really, refused = os.fork, 0
def fork():
    global refused
    if refused == 3:
        return really()
    refused += 1
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
os.fork = fork
supervisor._LONGEST_PAUSE_SECONDS = 0
"""


FAULTS = {
    "exception": ("lambda _: 1 / 0", r"ZeroDivisionError at <string>:\d+ < supervisor\.py:\d+"),
    "signal": ("lambda _: os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    "told": ("lambda context: context.open_reveals.broke('KeyError at flow.py:1') or 70", r"KeyError at flow\.py:1"),
    "untold": ("lambda _: 9", "code 9"),
}


@pytest.mark.parametrize(("visit", "cause"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("logs", [False, True])
def test_a_fault_tells_its_cause_where_its_reference_leads_nowhere(visit: str, cause: str, *, logs: bool) -> None:
    code = f"""
supervisor.log_socket = lambda: {logs}
supervisor.Supervisor(Shown(), {visit}, lambda *_: None, once=True, linear=True).run()
"""
    words = said("import os\n" + SHOWN + code)
    assert re.search("Reference [0-9A-F]{8}" + ("" if logs else rf" \({cause}\)") + "$", words), words


def test_a_machine_without_room_for_a_process_is_waited_for() -> None:
    code = """
made = supervisor.Supervisor(Shown(), lambda _: 3, lambda *_: None, once=False, linear=True)
print("left with", made.run())
"""
    first, *others, last = said(NO_FORK + code).splitlines()
    assert "has a temporary problem" in first
    assert last == "left with 0"
    assert len(others) == 1


def test_without_a_process_there_is_no_visit_over_ssh_either() -> None:
    code = """
made = supervisor.Supervisor(Shown(), lambda _: 3, lambda *_: None, once=True, linear=True)
print("left with", made.run())
# The signals that end it come through again.
os.kill(os.getpid(), signal.SIGTERM)
print("stopped by", made._stopped_by)
"""
    words, left, stopped = said(NO_FORK + code).splitlines()
    assert "ended in an error" in words
    assert (left, stopped) == ("left with 70", "stopped by 15")


def test_without_a_process_to_tell_the_broker_the_kiosk_goes_on() -> None:
    code = """
made = supervisor.Supervisor(Shown(), lambda _: 3, lambda *_: None, once=True, linear=True)
made._tell_lost(["r"], None)
print("goes on")
"""
    assert said(NO_FORK + code) == "goes on"
