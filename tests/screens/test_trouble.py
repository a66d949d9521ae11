"""Every cause on a screen of 80x24, in two languages. Update with --update-goldens, and read in review."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kiosk import i18n
from kiosk.errors import (
    BY_CODE,
    DeviceRefused,
    KeyRotated,
    KioskError,
    LimitReached,
    SignInError,
)
from kiosk.i18n import N_
from kiosk.screens.base import KioskScreen
from kiosk.screens.devices import DevicesScreen
from kiosk.screens.trouble import TroubleScreen
from kiosk.wording import wait_after
from tests.causes.tables import NEVER_SEEN
from tests.support.screen_app import CONFIG, ScreenApp, device, rows

GOLDENS = Path(__file__).parent / "goldens"
FIRST_STEPS = {"person_blocked", "self_service_off", "self_service_not_yours", "tokens_unavailable", "route_unknown"}
WAITS = {"graph_throttled": 60, "tokens_unavailable": 10}


def screen(app: ScreenApp, kind: type[KioskError]) -> KioskScreen[Any]:
    """As the flow puts it up."""
    organisation, mac = CONFIG.organisation, device()
    if kind is KeyRotated:
        return DevicesScreen([device(warning=kind.code)], organisation.helpdesk, app.clock.utc())
    error = kind(reference="1A2B3C4D", retry_after=1250 if issubclass(kind, LimitReached) else WAITS.get(kind.code))
    wait = wait_after(error, app.hand)
    if issubclass(kind, SignInError):
        error = kind(reference="1A2B3C4D")
        if kind.aadsts:
            error.support = f"AADSTS{kind.aadsts[0]}"
            error.correlation_id, error.at = "5d9a4c1e-6b0f-4a57-9c1d-3f2e8b7a6054", "2026-11-22 09:00:00Z"
        return TroubleScreen(error, organisation, leave=N_("Finish"), step=1, ticket=error.code)
    if kind.code in FIRST_STEPS:
        return TroubleScreen(error, organisation, leave=N_("Finish"), step=2, ticket=error.code, wait=wait)
    assert not issubclass(kind, DeviceRefused) or kind.final
    leave = N_("Back to the list")
    return TroubleScreen(error, organisation, leave=leave, step=4, device=mac, ticket=error.code, wait=wait)


@pytest.mark.parametrize("language", ["en", "sv"])
async def test_every_cause_can_be_read(language: str, request: pytest.FixtureRequest) -> None:
    if language not in i18n.available():
        pytest.skip(f"there is no catalogue for {language} yet")
    drawn, app = [], ScreenApp()
    i18n.use(language)
    async with app.run_test(size=(80, 24)) as pilot:
        for code, kind in sorted(BY_CODE.items()):
            if code not in NEVER_SEEN:
                shown = await app.put(screen(app, kind), pilot)
                drawn += [f"=== {code}", *rows(app)]
                shown.cancel()
    golden = GOLDENS / f"causes-{language}.txt"
    if request.config.getoption("--update-goldens"):
        golden.write_text("\n".join(drawn) + "\n")
    assert "\n".join(drawn) + "\n" == golden.read_text()
