"""Of the given environment only named and well-formed values reach the program."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kiosk.__main__ import environment

HOSTILE = {
    "TEXTUAL_DRIVER": "evil:Driver",
    "TEXTUAL_LOG": "/tmp/keys.log",
    "TEXTUAL_SCREENSHOT": "1",
    "PYTHONPATH": "/tmp",
    "PYTHONINSPECT": "1",
    "SSLKEYLOGFILE": "/tmp/tls.log",
    "SSL_CERT_FILE": "/tmp/ca.pem",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "REQUESTS_CA_BUNDLE": "/tmp/ca.pem",
    "LD_PRELOAD": "/tmp/evil.so",
    "OPENSSL_CONF": "/tmp/openssl.cnf",
    "COLUMNS": "20",
    "ESCDELAY": "100000",
    "LC_ALL": "tr_TR",
}


def test_only_named_values_pass() -> None:
    made = environment({**HOSTILE, "TERM": "xterm-256color", "COLORTERM": "truecolor", "SSH_TTY": "/dev/pts/3"})
    assert not set(made) & set(HOSTILE)
    assert made["TERM"] == "xterm-256color"
    assert made["COLORTERM"] == "truecolor"
    assert made["SSH_TTY"] == "/dev/pts/3"
    assert environment(made) == made


@pytest.mark.parametrize("term", ["", "../../etc/passwd", "x" * 41, "xterm\x1b[2J"])
def test_a_malformed_terminal_name_is_replaced(term: str) -> None:
    assert environment({"TERM": term})["TERM"] == "xterm"


@pytest.mark.parametrize("value", ["1.2.3.4 5 6 7; rm", "x" * 121, "a\nb"])
def test_a_malformed_ssh_value_is_dropped(value: str) -> None:
    assert "SSH_CONNECTION" not in environment({"SSH_CONNECTION": value})


def test_the_program_really_runs_in_it() -> None:
    """A module that TEXTUAL_DRIVER or PYTHONPATH would bring in is never imported."""
    done = subprocess.run(
        [sys.executable, "-m", "kiosk", "--version"],
        env={**os.environ, **{name: value for name, value in HOSTILE.items() if not name.startswith("LD_")}},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout.startswith("kiosk, version ")
    assert done.stderr == ""


def test_nothing_can_attach_before_anything_else_is_imported() -> None:
    code = """
import ctypes, sys, types
from kiosk.__main__ import main
stand_in = types.ModuleType("kiosk.cli.fast_path")
def run_directly(words):
    loaded = {name.partition(".")[0] for name in sys.modules}
    print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), loaded & {"click", "textual", "httpx", "msgspec", "ssl"})
    return 0
stand_in.run_directly = run_directly
sys.modules["kiosk.cli.fast_path"] = stand_in
main()
"""
    command = [sys.executable, "-P", "-s", "-c", code]
    done = subprocess.run(command, env=environment({}), capture_output=True, text=True, check=True, timeout=30)
    # PR_GET_DUMPABLE: a process that is not dumpable cannot be traced by its own user.
    assert done.stdout == "0 set()\n"
