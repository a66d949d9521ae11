"""The text for a ticket: what is known, on lines that fit, in the order in which it is looked for."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from kiosk.errors import BY_CODE, ConfigError, KeyWithPerson, SignInDeclined, from_code
from kiosk.models import Device
from kiosk.terminal.recorders import Recorders
from kiosk.visit.context import VisitContext
from kiosk.visit.guard import VisitGuard
from kiosk.visit.ticket import ticket
from tests.support.clock import ManualClock
from tests.support.screen_app import CONFIG

AT = datetime(2026, 11, 22, 10, 0, 12, tzinfo=timezone(timedelta(hours=1)))
GUID = "5d9a4c1e-6b0f-4a57-9c1d-3f2e8b7a6054"
MAC = Device(
    id=GUID,
    name="NW-SMARINO-NULL",
    model="MacBook Pro (14-inch, M2)",
    serial="G33M8THTKW",
    os="macOS",
    os_version="26.1",
    last_seen=None,
)


def test_a_mac_without_a_key() -> None:
    error = KeyWithPerson("encryptionState='encrypted'", reference="1A2B3C4D")
    error.client_request_id, error.request_id = GUID, GUID[::-1]
    assert ticket(error, at=AT, kiosk="desk7 tty1", device=MAC, sign_in="c0ffee").splitlines() == [
        "Problem: key_with_person",
        "Reference: 1A2B3C4D",
        "Time: 2026-11-22 09:00:12 UTC",
        "Kiosk: desk7 tty1",
        "Mac: NW-SMARINO-NULL",
        "Model: MacBook Pro (14-inch, M2)",
        "Serial number: G33M8THTKW",
        "Entra correlation-id: c0ffee",
        f"Graph request-id: {GUID[::-1]}",
        f"Graph client-request-id: {GUID}",
    ]


def test_a_sign_in_has_its_own_ids() -> None:
    error = SignInDeclined("access_denied", reference="1A2B3C4D", support="AADSTS65004")
    error.correlation_id = GUID
    assert ticket(error, at=AT, kiosk="").splitlines() == [
        "Problem: sign_in_declined",
        "Reference: 1A2B3C4D",
        "Time: 2026-11-22 09:00:12 UTC",
        "Microsoft: AADSTS65004",
        f"Entra correlation-id: {GUID}",
    ]


async def test_it_names_the_terminal_as_the_record_does() -> None:
    context = VisitContext(
        config=CONFIG, clock=ManualClock(), terminal="desk7 pts/7", find_recorders=lambda: Recorders(("tmux",))
    )
    guard = VisitGuard(context, began=lambda: None, over=lambda _: None)
    guard.guarded = False
    visit = guard.begin()
    assert f"Kiosk: {visit.broker._terminal}\n" in guard.ticket(SignInDeclined(), None) + "\n"
    assert visit.broker._terminal == "desk7 pts/7, under tmux"
    await visit.broker.aclose()


@pytest.mark.parametrize("code", [code for code in BY_CODE if code != ConfigError.code])
def test_what_the_operator_is_told_stays_out(code: str) -> None:
    text = ticket(from_code(code, cause="for the log only"), at=AT, kiosk="desk7 tty1", device=MAC)
    assert code in text
    assert "for the log only" not in text
    assert all(len(line) <= 76 for line in text.splitlines())
