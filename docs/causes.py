"""Writes the table of everything that can go wrong, from the errors themselves: ``python -m docs.causes``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kiosk.errors import (
    BY_CODE,
    ConfigError,
    DeviceRefused,
    KeyNotEscrowed,
    KioskError,
    RequestRefused,
    SignInError,
    TokenRefused,
    Unavailable,
)

PATH = Path(__file__).with_name("causes.md")

# A kind belongs to the last branch here that it is a kind of.
_BRANCHES: tuple[tuple[str, type[KioskError]], ...] = (
    ("The terminal and the program", KioskError),
    ("Sign-in", SignInError),
    ("The sign-in as the broker sees it", TokenRefused),
    ("The request", RequestRefused),
    ("The device", DeviceRefused),
    ("No key", KeyNotEscrowed),
    ("Something does not work", Unavailable),
)

_HEAD = """\
# Causes

Everything that a visit can end in instead of a key, and what may go along with one. The code stands on the screen
behind the reference, in the ticket text, in the logs, and in the record as the outcome. The words are those that a
person reads, in English. How a rule comes to its refusal is in [rules.md](rules.md); what an operator does about it,
in [operations.md](operations.md).

This file is written by `make causes` from `kiosk/errors/`; a test compares them.
"""

_TABLE = """
| code | what it means | what the person can do now | who can help | where it comes from |
| --- | --- | --- | --- | --- |
"""


def page() -> str:
    """The whole page, the same at every call."""
    found = [kind for kind in _tree(KioskError) if kind is not ConfigError]
    sections = []
    for name, branch in _BRANCHES:
        rows = [_row(kind) for kind in found if _branch(kind) is branch]
        sections.append(f"\n## {name}\n{_TABLE}" + "".join(rows))
    return _HEAD + "".join(sections)


def _tree(kind: type[KioskError]) -> Iterator[type[KioskError]]:
    """All kinds that a code stands for, parents before children."""
    if BY_CODE.get(kind.code) is kind:
        yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


def _branch(kind: type[KioskError]) -> type[KioskError]:
    return next(branch for _, branch in reversed(_BRANCHES) if issubclass(kind, branch))


def _row(kind: type[KioskError]) -> str:
    origin = kind.origin
    if issubclass(kind, SignInError) and kind.aadsts:
        origin += f" AADSTS {', '.join(map(str, kind.aadsts))}"
    cells = (f"`{kind.code}`", f"**{kind.title}.** {kind.sentence}", kind.next_step, kind.who, origin)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    PATH.write_text(page(), encoding="utf-8")
