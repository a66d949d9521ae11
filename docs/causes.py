"""Writes docs/causes.md, the tables of all errors, from their classes: ``python -m docs.causes``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kiosk.errors import (
    BY_CODE,
    ConfigError,
    DeviceRefused,
    KeyNotEscrowed,
    KioskError,
    PhoneSignInError,
    RequestRefused,
    SignInError,
    TokenRefused,
    Unavailable,
)

PATH = Path(__file__).with_name("causes.md")

# An error belongs to the last of these branches that it inherits from.
_BRANCHES: tuple[tuple[str, type[KioskError]], ...] = (
    ("The terminal and the program", KioskError),
    ("Sign-in", SignInError),
    ("Sign-in on the phone", PhoneSignInError),
    ("The sign-in as the broker sees it", TokenRefused),
    ("The request", RequestRefused),
    ("The device", DeviceRefused),
    ("No key", KeyNotEscrowed),
    ("Something does not work", Unavailable),
)

_HEAD = """\
# Causes

Every error that a person can see at the kiosk, and the warning that can come with a key: what it means, what to do, and
who can help. The code is on the screen after the reference, in the ticket text, in the logs, and in the record as the
outcome. The texts are those of the kiosk's English screens. [rules.md](rules.md) lists the rules that refuse a request;
[operations.md](operations.md) says what operators can do.

`make causes` writes this file from `kiosk/errors/`; a test compares them.
"""

_TABLE = """
| code | what it means | what the person can do now | who can help | where it comes from |
| --- | --- | --- | --- | --- |
"""


def page() -> str:
    """Return the whole page."""
    found = [kind for kind in _tree(KioskError) if kind is not ConfigError]
    sections = []
    for name, branch in _BRANCHES:
        rows = [_row(kind) for kind in found if _branch(kind) is branch]
        sections.append(f"\n## {name}\n{_TABLE}" + "".join(rows))
    return _HEAD + "".join(sections)


def _tree(kind: type[KioskError]) -> Iterator[type[KioskError]]:
    """Yield all errors that have their own code, parents before children."""
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
