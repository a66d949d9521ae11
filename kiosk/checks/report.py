"""Writes results: as text of 80 columns for people, and as JSON for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import msgspec

from kiosk import __version__
from kiosk.checks.result import Level, Result, worst

_WIDTH = 80
_NAME = 15
_INDENT = " " * (6 + _NAME + 1)
_MARKS = {Level.PASS: "pass", Level.WARN: "warn", Level.FAIL: "FAIL"}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The object that ``--json`` writes. ``level`` is the most severe of all results."""

    side: str
    file: str
    version: str
    level: Level
    results: tuple[Result, ...]


def report(side: str, file: str, results: Sequence[Result]) -> Report:
    """Return all results as one object."""
    return Report(
        side=side,
        file=file,
        version=__version__,
        level=worst([result.level for result in results]),
        results=tuple(results),
    )


def line(result: Result, after: str = "") -> str:
    """Return the text of one result, with its fix unless that is ``after``, the fix of the result before."""
    words = [_wrapped(f"{_MARKS[result.level]}  {result.name:<{_NAME}} {result.found}", _INDENT)]
    if result.fix and result.fix != after:
        words.append(_wrapped(f"{_INDENT}fix: {result.fix}", _INDENT + "     "))
    return "\n".join(words)


def summary(results: Sequence[Result]) -> str:
    """Return the last line: how many checks passed, warn and fail."""
    count = {level: sum(result.level is level for result in results) for level in Level}
    return f"{count[Level.PASS]} passed, {count[Level.WARN]} warned, {count[Level.FAIL]} failed"


def _wrapped(words: str, indent: str) -> str:
    return textwrap.fill(
        words, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )
