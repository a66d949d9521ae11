"""The root of the tree of errors, and what belongs to no branch."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import ClassVar

from kiosk.i18n import N_

PROBLEM_TYPE = "urn:recovery-kiosk:problem:"


def new_reference() -> str:
    """A short reference that a person can quote and an operator can search for."""
    return uuid.uuid4().hex[:8].upper()


class KioskError(Exception):
    """Base of all. ``cause`` is for the operator's log and holds no secret; it is never shown to the person."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = N_("Something went wrong")
    sentence: ClassVar[str] = N_("The kiosk met a problem that it does not know.")
    next_step: ClassVar[str] = N_("Try again. If it happens again, ask the helpdesk and quote the reference.")

    def __init__(self, cause: str = "", *, reference: str = "", retry_after: float | None = None) -> None:
        super().__init__(cause or self.code)
        self.cause = cause
        self.reference = reference or new_reference()
        self.retry_after = retry_after


class TerminalWatched(KioskError):
    """Something around the kiosk may record its screen, and the configuration refuses to reveal a key then."""

    code = "terminal_watched"
    status = 403
    title = N_("No key is shown on this terminal")
    sentence = N_("This terminal seems to be recorded or watched by another program, so a key would not stay private.")
    next_step = N_("Use another terminal, and tell the helpdesk about this one.")


class ConfigError(KioskError):
    """A file of the operator cannot be used: one line that names the file, the place and what was expected."""

    code = "configuration"

    def __init__(self, path: Path | str, expected: str, *, key: str = "", line: int | None = None) -> None:
        place = f"{path}:{line}" if line else str(path)
        super().__init__(f"{place}: {key}: {expected}" if key else f"{place}: {expected}")
