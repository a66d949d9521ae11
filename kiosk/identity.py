"""Sign-in with Entra ID: the device code flow of MSAL, one application object per visit, polled from asyncio."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import httpx
import msal
from msal.exceptions import MsalError

from kiosk.clock import Clock, Deadline
from kiosk.config import SignInSettings
from kiosk.errors import KioskError, SignInDeclined, SignInError, SignInExpired, SignInUnreachable
from kiosk.text import clean
from kiosk.tls import tls_context
from kiosk.transport import Busy, MsalHttp

# Somebody who stands here needs a minute or two. A code that lives as long as Entra ID allows (15 minutes) only helps
# those who would send it to somebody else.
LONGEST_SIGN_IN_SECONDS = 300
_SLOW_DOWN_SECONDS = 5
_SHORTEST_INTERVAL = 1
_LONGEST_PAUSE = 30.0

# Seen from Entra ID or foreseen by RFC 8628; the codes behind them only ever choose words.
_PENDING = frozenset({"authorization_pending", "slow_down"})
_DECLINED = frozenset({"authorization_declined", "access_denied"})
_EXPIRED = frozenset({"expired_token", "code_expired", "bad_verification_code"})


@dataclass(frozen=True)
class DeviceCode:
    """What the person needs for signing in on another device. Not the secret half of the flow."""

    user_code: str = field(repr=False)
    address: str
    deadline: Deadline


class SignIn:
    """One sign-in of one person. Ends with an access token that only ``authorization`` gives out."""

    def __init__(self, settings: SignInSettings, clock: Clock) -> None:
        """Raises ConfigError when the authority's certificates cannot be read."""
        self._settings = settings
        self._clock = clock
        self._http = MsalHttp(tls_context(settings.ca_bundle))
        self._app: msal.PublicClientApplication | None = None
        self._flow: dict[str, Any] = {}
        self._token = ""

    async def begin(self) -> DeviceCode:
        """Ask for a fresh code. Raises SignInError."""
        flow = await asyncio.to_thread(self._begin)
        if "user_code" not in flow:
            raise _failure(flow)
        self._flow = flow
        seconds = min(float(flow.get("expires_in") or LONGEST_SIGN_IN_SECONDS), LONGEST_SIGN_IN_SECONDS)
        return DeviceCode(
            user_code=clean(flow["user_code"], 24),
            address=clean(flow.get("verification_uri"), 200),
            deadline=Deadline.after(self._clock, seconds),
        )

    async def wait(self) -> None:
        """Poll until the person has signed in. Raises SignInError; a network that fails in between is waited out."""
        pause = 0.0
        while True:
            await self._clock.sleep(max(pause, float(self._flow.get("interval") or 0), _SHORTEST_INTERVAL))
            try:
                answer = await asyncio.to_thread(self._poll)
            except SignInUnreachable as error:
                pause = min(error.retry_after or 2 * pause + 1, _LONGEST_PAUSE)
                continue
            pause = 0.0
            if token := answer.get("access_token"):
                self._token = token
                self._flow.clear()
                return
            if answer.get("error") not in _PENDING:
                self._flow.clear()
                raise _failure(answer)
            if answer.get("error") == "slow_down":
                self._flow["interval"] = float(self._flow.get("interval") or 0) + _SLOW_DOWN_SECONDS

    def authorization(self) -> str:
        """The value of an Authorization header for the broker."""
        return f"Bearer {self._token}"

    def forget(self) -> None:
        """Drop the token, the code and everything that MSAL remembers."""
        self._token = ""
        self._flow.clear()
        if self._app:
            for account in self._app.get_accounts():
                self._app.remove_account(account)
        self._app = None
        self._http.close()

    def _begin(self) -> dict[str, Any]:
        with _reachable():
            self._app = msal.PublicClientApplication(
                self._settings.client_id,
                authority=self._settings.authority,
                http_client=self._http,
                # Our own, so that no failure that MSAL remembers is replayed to the next attempt.
                http_cache={},
                # The authority is the operator's word; asking a second host about it would leave the configured one.
                instance_discovery=False,
                exclude_scopes=["offline_access"],
            )
            return dict(self._app.initiate_device_flow([self._settings.scope]))

    def _poll(self) -> dict[str, Any]:
        assert self._app is not None, "begin comes first"
        with _reachable():
            # The condition is true at once: one question per call, so that the waiting is asyncio's and can be ended.
            return dict(self._app.acquire_token_by_device_flow(self._flow, exit_condition=lambda _: True) or {})

    def __repr__(self) -> str:
        return "<SignIn>"


class _reachable:  # noqa: N801 - reads as a statement
    """Turns everything that a dead, wrong or garbled service raises inside MSAL into SignInUnreachable."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, KioskError):
            return
        # MSAL raises ValueError for an authority that answers wrongly and JSONDecodeError for a page instead of JSON.
        if isinstance(error, Busy):
            raise SignInUnreachable(str(error), retry_after=error.retry_after) from None
        if isinstance(error, httpx.HTTPError | MsalError | json.JSONDecodeError | ValueError | OSError):
            raise SignInUnreachable(f"{type(error).__name__} while asking the authority") from None


def _failure(answer: dict[str, Any]) -> SignInError:
    """The error for an OAuth answer that is not a token. Branches on ``error`` alone, never on AADSTS codes."""
    error = clean(answer.get("error") or "no error named", 60)
    numbers = answer.get("error_codes")
    support = f"AADSTS{numbers[0]}" if isinstance(numbers, list) and numbers and isinstance(numbers[0], int) else ""
    correlation = clean(answer.get("correlation_id"), 40)
    kind: type[SignInError] = SignInError
    if error in _DECLINED:
        kind = SignInDeclined
    elif error in _EXPIRED:
        kind = SignInExpired
    elif error in {"temporarily_unavailable", "server_error"}:
        kind = SignInUnreachable
    return kind(f"{error} {support} {correlation}".strip(), support=support)
