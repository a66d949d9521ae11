"""Read trouble screens as the person does, and follow the reference through the logs as the helpdesk does."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from kiosk.errors import BY_CODE, LimitReached, SignInError, TokenRefused
from tests.support.kiosk_user import KioskUser

# Refusals of requests without a known person, or that the broker cannot record. They are in its log only.
UNRECORDED = {
    "tokens_unavailable",
    "tokens_untrusted",
    "record_unavailable",
    "sink_unavailable",
    "request_invalid",
    "route_unknown",
}
# Errors that the kiosk finds without the broker.
OF_THE_KIOSK = {
    "broker_unreachable",
    "broker_untrusted",
    "broker_garbled",
    "seal_broken",
    "terminal_watched",
    "unavailable",
}
WAITING = "You can try again in"


@dataclass
class Reader:
    """Reads screens, and the log of kiosk and broker, which both run in this process."""

    log: pytest.LogCaptureFixture
    _seen_a_ticket: bool = False

    async def trouble(self, person: KioskUser, code: str, *, leave: str) -> str:
        """Check everything on a trouble screen, and return its reference. ``leave`` is where Esc leads."""
        kind = BY_CODE[code]
        text = flat(await person.until(lambda text: f"({code})" in text))
        helpdesk = person.running.config.organisation.helpdesk
        # One advice about when to try again, and no retry before that.
        waiting = WAITING in text
        step = kind.next_step if not waiting or issubclass(kind, LimitReached) else WAITING
        for words in (kind.title, kind.sentence, step, f"Who can help {kind.who}", f"Helpdesk {helpdesk}"):
            assert words in text, f"{code}: {words}\n{person.text}"
        retry = "" if waiting else f"Enter {again(kind)} "
        ways = f"Enter {leave}" if kind.final else f"{retry}Esc {leave}"
        assert re.search(rf"{ways} F5 Ticket F1 Help F10 Lock$", text), f"{code}\n{person.text}"
        found = re.search(rf"Reference (\w{{8}}) \({code}\)", text)
        assert found, f"{code}\n{person.text}"
        if not self._seen_a_ticket:
            # Once for each test. What the ticket of each cause says, tests/visit/test_ticket.py shows.
            self._seen_a_ticket = True
            await self._ticket(person, code, found[1])
        self._follow(person, code, found[1])
        return found[1]

    async def _ticket(self, person: KioskUser, code: str, reference: str) -> None:
        await person.press("f5")
        ticket = await person.until(f"Problem: {code}")
        assert f"Reference: {reference}" in ticket
        await person.press("escape")
        await person.until(f"({code})")

    def _follow(self, person: KioskUser, code: str, reference: str) -> None:
        lines = [(record.name, record.getMessage()) for record in self.log.records]
        lines = [(name, line) for name, line in lines if reference in line and code in line]
        assert any(name == "kiosk.visit.requests" for name, _ in lines), code
        if code in OF_THE_KIOSK or issubclass(BY_CODE[code], SignInError):
            return
        assert any(name == "kiosk.events" for name, _ in lines), code
        if code not in UNRECORDED:
            outcomes = [row["outcome"] for row in person.running.broker.rows() if row["reference"] == reference]
            assert outcomes == [code]

    async def passing(self, person: KioskUser, code: str, *, leave: str = "Back to the list") -> None:
        """Check that Enter retries and fails again and that Esc leaves, or that Enter leaves if a retry cannot help."""
        first = await self.trouble(person, code, leave=leave)
        waiting = WAITING in person.text
        await person.press("enter")
        if not BY_CODE[code].final:
            await person.until(lambda text: f"({code})" in text and (first in text) is waiting)
            await person.press("escape")
        await person.until("Which Mac is locked?" if leave == "Back to the list" else "You are signed out")


def flat(text: str) -> str:
    """Return the text in one line, without QR code and frame."""
    return " ".join(re.sub(r"[▀▄█▌]", " ", text).split())


def again(kind: type[object]) -> str:
    return "Sign in again" if issubclass(kind, SignInError | TokenRefused) else "Try again"
