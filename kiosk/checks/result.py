"""Results of checks, and how checks run: in a fixed order, each with its own time limit, without tracebacks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from kiosk.errors import ConfigError
from kiosk.text import clean

At = TypeVar("At")
At_contra = TypeVar("At_contra", contravariant=True)
_SECONDS = 10.0
_LONGEST_WORDS = 600


class Level(StrEnum):
    """In order of severity."""

    PASS = "pass"  # noqa: S105
    WARN = "warn"
    FAIL = "fail"


_SEVERITY = tuple(Level)


@dataclass(frozen=True)
class Finding:
    """What was found, and how to fix it."""

    level: Level
    found: str
    fix: str = ""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The finding of one check, with the check's stable name."""

    name: str
    level: Level
    found: str
    fix: str = ""


class Wrong(Exception):
    """Ends a check with a finding."""

    def __init__(self, found: str, fix: str, level: Level = Level.FAIL) -> None:
        super().__init__(found)
        self.finding = Finding(level, found, fix)


class NotChecked(Wrong):
    """Ends a check that cannot be made now, with the reason."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(f"not checked: {why}", fix, Level.WARN)


@dataclass(frozen=True)
class Check(Generic[At_contra]):
    """One check. ``about`` is what it waits for, in a few words."""

    name: str
    about: str
    run: Callable[[At_contra], Finding]
    seconds: float = _SECONDS


@dataclass
class Run(Generic[At]):
    """Runs checks one after another. ``given_up`` counts those that took too long and may still run."""

    checks: Sequence[Check[At]]
    at: At
    given_up: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[Result]:
        for check in self.checks:
            finding = self._bounded(check)
            yield Result(
                name=check.name,
                level=finding.level,
                found=clean(finding.found, _LONGEST_WORDS),
                fix=clean(finding.fix, _LONGEST_WORDS),
            )

    def _bounded(self, check: Check[At]) -> Finding:
        found: list[Finding] = []
        thread = threading.Thread(target=lambda: found.append(_shielded(check, self.at)), daemon=True)
        thread.start()
        thread.join(check.seconds)
        if found:
            return found[0]
        self.given_up += 1
        return failed(
            f"not finished within {check.seconds:.0f} s",
            f"find out why {check.about} does not answer, then check again",
        )


def _shielded(check: Check[At], at: At) -> Finding:
    try:
        return check.run(at)
    except Wrong as wrong:
        return wrong.finding
    except ConfigError as error:
        return failed(str(error), "correct the key that the line names; docs/configuration.md explains all keys")
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or type(error).__name__
        return warning(f"not checked: {what}", "run the check as root, or as the program's user")
    except Exception as error:  # its text is left out: it may quote a secret
        return failed(f"the check itself failed: {type(error).__name__}", "report this as a bug")


def passed(found: str) -> Finding:
    """Return a finding that is as it should be."""
    return Finding(Level.PASS, found)


def warning(found: str, fix: str) -> Finding:
    """Return a finding that somebody should look at."""
    return Finding(Level.WARN, found, fix)


def failed(found: str, fix: str) -> Finding:
    """Return a finding that keeps people from their keys, or lets somebody at what they must not have."""
    return Finding(Level.FAIL, found, fix)


def worst(levels: Sequence[Level]) -> Level:
    """Return the most severe level; pass if there are none."""
    return max(levels, key=_SEVERITY.index, default=Level.PASS)


def together(findings: Sequence[Finding], otherwise: str) -> Finding:
    """Join findings into one, as severe as the worst. If all pass, it says ``otherwise``."""
    wrong = sorted(
        (one for one in findings if one.level is not Level.PASS), key=lambda one: -_SEVERITY.index(one.level)
    )
    if not wrong:
        return passed(otherwise)
    return Finding(wrong[0].level, "; ".join(one.found for one in wrong), "; ".join(_each_once(wrong)))


def _each_once(findings: Sequence[Finding]) -> list[str]:
    return list(dict.fromkeys(one.fix for one in findings if one.fix))
