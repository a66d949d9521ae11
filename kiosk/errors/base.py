"""Defines the root of the tree of errors, and the errors outside its branches."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from kiosk.i18n import N_

PROBLEM_TYPE = "urn:recovery-kiosk:problem:"

# Who can solve the problem. The screen shows it after "Who can help".
YOU = N_("You")
HELPDESK = N_("The helpdesk")
DEVICES = N_("Your organisation's Mac administrators")
ACCOUNTS = N_("Your organisation's account administrators")
SECURITY = N_("Your organisation's security team")
SERVICE = N_("The recovery service team")
KIOSK = N_("The team that runs this kiosk")
TIME = N_("No help needed: just wait")

NO_RETRY = N_("Trying again will not help. Ask the helpdesk to give you the key, and quote the reference.")


def new_reference() -> str:
    """Return a short reference that a person can quote and an operator can search for."""
    return os.urandom(4).hex().upper()


class KioskError(Exception):
    """Base of all errors. Also raised itself for a fault of the program, with the place in the code as its cause.

    ``cause`` is for the operator's log. It contains no secret and is never shown to the person. ``who`` can solve the
    problem. ``portal`` says that the Company Portal website helps, ``final`` that a retry does not. ``origin`` tells
    operators in docs/causes.md where the error comes from. The ids are those of the last request to Graph and of the
    sign-in, for Microsoft's support.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = N_("Something went wrong")
    sentence: ClassVar[str] = N_("The kiosk hit an unexpected problem.")
    next_step: ClassVar[str] = N_("Try again. If it happens again, tell the helpdesk and quote the reference.")
    who: ClassVar[str] = SERVICE
    portal: ClassVar[bool] = False
    final: ClassVar[bool] = False
    origin: ClassVar[str] = "A fault of the program itself. The log names the place in the code."

    def __init__(self, cause: str = "", *, reference: str = "", retry_after: float | None = None) -> None:
        super().__init__(cause or self.code)
        self.cause = cause
        self.reference = reference or new_reference()
        self.retry_after = retry_after
        self.client_request_id = ""
        self.request_id = ""
        self.correlation_id = ""
        # Whether the log gets only the number of such errors, because there are many.
        self.counted = False

    def came_after(self, *, client_request_id: str, request_id: str) -> None:
        """Set the ids of the last request to Graph before this error. Microsoft's support finds the request by them."""
        self.client_request_id = client_request_id
        self.request_id = request_id


class OutOfOrder:
    """What is the same in all errors that only an operator can solve. Comes before the kind of error."""

    status: ClassVar[int] = 502
    title: ClassVar[str] = N_("This kiosk is out of order")
    next_step: ClassVar[str] = NO_RETRY
    final: ClassVar[bool] = True


class TerminalWatched(KioskError):
    code = "terminal_watched"
    status = 403
    title = N_("No key can be shown on this terminal")
    sentence = N_("Another program seems to be recording or watching this terminal, so a key would not be private.")
    next_step = N_("Use another terminal, and tell the helpdesk about this one.")
    who = KIOSK
    final = True
    origin = "The kiosk found a recorder whose policy in `[recorders]` is `refuse`."


class ConfigError(KioskError):
    """A file of the operator is invalid. The message is one line with the file, the place and what was expected."""

    code = "configuration"
    who = KIOSK

    def __init__(self, path: Path | str, expected: str, *, key: str = "", line: int | None = None) -> None:
        place = f"{path}:{line}" if line else str(path)
        super().__init__(f"{place}: {key}: {expected}" if key else f"{place}: {expected}")
