"""Checks that a sign-in would begin: requests a code, tries it once and drops it. The code is never shown."""

from __future__ import annotations

import asyncio
from datetime import datetime

from kiosk.checks.result import Finding, failed, passed, warning
from kiosk.clock import Clock
from kiosk.config.kiosk import DeviceCodeSettings
from kiosk.errors import SignInAddress, SignInError, SignInUnreachable
from kiosk.identity.device_code import DeviceCodeSignIn

_SECONDS = 15.0
_HELP = "docs/tenant.md explains the registrations"
# Microsoft's error numbers. They only choose the text of a fix.
_FIXES = {
    "AADSTS700016": "correct device_code.client_id: no registration of this tenant has it",
    "AADSTS90002": "correct the tenant's id in device_code.authority",
    "AADSTS500011": "correct device_code.scope: the registration Kiosk API is not found under that name",
    "AADSTS650053": "correct device_code.scope, or add the scope Session.Open to the registration Kiosk API",
    "AADSTS65001": "grant admin consent for Session.Open to the registration Kiosk client",
    "AADSTS90094": "grant admin consent for Session.Open to the registration Kiosk client",
    "AADSTS7000218": "allow public client flows in the registration Kiosk client",
    "AADSTS50105": "assign the people to the registration Kiosk API",
    "AADSTS53003": "exclude the resource Kiosk API from the policy that blocks the device code flow",
}

PASSED_ON = warning(
    "people sign in with device codes, which can be passed on: somebody who gets a person to enter one is signed in "
    "here as that person. Neither a second factor nor a passkey prevents it",
    'set sign_in.method to "web" and run a sign-in page; docs/tenant.md says more under “Device codes”',
)


def device_code(settings: DeviceCodeSettings, clock: Clock) -> Finding:
    """Request a code, and once the token that nobody has approved."""
    try:
        return asyncio.run(asyncio.wait_for(_try(settings, clock), _SECONDS))
    except TimeoutError:
        return failed(f"no sign-in started within {_SECONDS:.0f} s", "see the check “authority”")


async def _try(settings: DeviceCodeSettings, clock: Clock) -> Finding:
    sign_in = DeviceCodeSignIn(settings, _OneWait(clock))
    try:
        code = await sign_in.begin()
        await sign_in.wait()
    except _Waiting:
        return passed(f"starts; people are sent to {code.address}")
    except SignInAddress as error:
        return failed(
            f"people cannot be sent to the sign-in page: {error.cause}",
            "correct device_code.authority: it is not the sign-in service",
        )
    except SignInUnreachable as error:
        return failed(f"the sign-in service does not answer: {error.cause}", "see the check “authority”")
    except SignInError as error:
        return failed(f"refused: {error.cause}", f"{_FIXES.get(error.support, 'look up that code')}; {_HELP}")
    finally:
        sign_in.forget()
    return failed(
        "the service issued a token that nobody approved",
        "correct device_code.authority: it is not the sign-in service",
    )


class _Waiting(Exception):
    """Raised when the service waits for the person, as it should."""


class _OneWait:
    """A clock on which the first poll comes at once, and the second raises."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waited = False

    def now(self) -> float:
        return self._clock.now()

    def utc(self) -> datetime:
        return self._clock.utc()

    async def sleep(self, seconds: float) -> None:
        if self._waited:
            raise _Waiting
        self._waited = True
