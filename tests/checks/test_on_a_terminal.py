"""Checks that need a terminal: its size, its charset, whether it answers, and recorders."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.terminal import KIOSK, Terminal, dead_end
from tests.support.time_limit import TimeLimit


def said(path: Path, *, under: tuple[str, ...] = (), **options: Any) -> str:
    """All that the check says on a terminal."""
    command = ["check", "--config", str(path)]
    if under:
        kiosk = Terminal([*under, shlex.join([*KIOSK, *command]), "/dev/null"], **options)
    else:
        kiosk = Terminal(command, warm=True, **options)
    limit = TimeLimit(30)
    while kiosk.read() and not limit.passed():
        pass
    kiosk.close()
    return " ".join(kiosk.raw.decode().split())


def test_a_good_one(tmp_path: Path) -> None:
    words = said(dead_end(tmp_path), columns=100, rows=60)
    assert "pass terminal" in words
    assert "100x60, 256 colours, UTF-8" in words
    # What was written to try it is gone again.
    assert words.count("é") == 1
    assert "\x1b[K" in words


def test_one_that_is_too_small(tmp_path: Path) -> None:
    words = said(dead_end(tmp_path), columns=60, rows=20)
    assert "FAIL terminal 60x20 characters; a key needs at least 80x24" in words
    assert "enlarge the window" in words


def test_one_that_does_not_read_utf_8(tmp_path: Path) -> None:
    words = said(dead_end(tmp_path), utf8=False)
    assert "FAIL terminal the terminal does not read UTF-8" in words
    assert "unicode_start" in words


def test_one_that_does_not_answer(tmp_path: Path) -> None:
    words = said(dead_end(tmp_path), answers=False, env={"TERM": "dumb"})
    assert "FAIL terminal" in words
    assert "does not report its cursor position" in words
    assert "no colours (TERM=dumb)" in words


def test_one_that_is_recorded(tmp_path: Path) -> None:
    if not shutil.which("script"):
        pytest.skip("script is not installed")
    words = said(dead_end(tmp_path), under=("script", "-q", "-c"))
    assert "FAIL recorders seen from here: script; no key would be shown" in words
    assert "end that program" in words
