"""Checks that a sign-in would begin, and gives it up at once. Neither code nor link is ever shown."""

from __future__ import annotations

import asyncio
import socket
from datetime import datetime
from urllib.parse import urlsplit

from kiosk.api import Broker
from kiosk.checks.result import Finding, failed, passed
from kiosk.clock import Clock
from kiosk.config.kiosk import DeviceCodeSettings, KioskConfig
from kiosk.errors import KioskError, SignInAddress, SignInError, SignInUnreachable
from kiosk.identity.device_code import DeviceCodeSignIn
from kiosk.identity.phone import PhoneSignIn
from kiosk.proof import Prover
from kiosk.secret import VisitKeys

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
_PHONE_FIXES = {
    "sign_in_method_off": "set sign_in.method to the same in kiosk.toml and broker.toml",
    "sign_in_page_down": "start kiosk-sign-in, and let it reach the broker; docs/operations.md says more",
    "kiosk_not_known": "name a certificate of the broker's client_ca in broker.certificate; kiosk enroll makes one",
    "sign_in_limit": "check again later, or raise limits.sign_ins_per_hour in broker.toml",
}


def device_code(settings: DeviceCodeSettings, clock: Clock) -> Finding:
    """Request a code, and once the token that nobody has approved."""
    try:
        return asyncio.run(asyncio.wait_for(_try(settings, clock), _SECONDS))
    except TimeoutError:
        return failed(f"no sign-in started within {_SECONDS:.0f} s", "see the check “authority”")


def phone(config: KioskConfig, clock: Clock) -> Finding:
    """Begin a sign-in on the phone at the broker, and end it."""
    try:
        return asyncio.run(asyncio.wait_for(_begin(config, clock), _SECONDS))
    except TimeoutError:
        return failed(f"no sign-in started within {_SECONDS:.0f} s", "see the check “broker”")


async def _begin(config: KioskConfig, clock: Clock) -> Finding:
    keys = VisitKeys()
    # Its own name: a sign-in that somebody begins at this kiosk now is not ended by this one.
    terminal = f"{'-'.join(socket.gethostname().split()) or 'unnamed'} check"
    broker = Broker(config.broker, str, terminal, Prover(keys, clock))
    sign_in = PhoneSignIn(broker, keys, clock, config.sign_in.place)
    try:
        await sign_in.begin()
        return passed(f"starts; people are sent to {urlsplit(sign_in.view.typed).hostname}")
    except KioskError as error:
        fix = _PHONE_FIXES.get(error.code, "look that code up in docs/causes.md; see the check “broker”")
        return failed(f"the broker begins no sign-in: {error.code}", fix)
    finally:
        await sign_in.abandon()
        keys.forget()
        await broker.aclose()


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
