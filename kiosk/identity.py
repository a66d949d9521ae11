"""Sign-in with Entra ID: the device code flow of MSAL, one application object per visit, polled from asyncio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import msal

from kiosk.clock import Clock, Deadline
from kiosk.config.kiosk import SignInSettings
from kiosk.errors import (
    BY_AADSTS,
    SignInBusy,
    SignInCodeUnknown,
    SignInDeclined,
    SignInError,
    SignInExpired,
    SignInGarbled,
    SignInUnreachable,
)
from kiosk.net.http import can_be_sent, timeouts
from kiosk.net.msal_http import Busy, MsalHttp
from kiosk.net.tls import tls_context
from kiosk.text import clean

# Somebody who stands here needs a minute or two. A code that lives as long as Entra ID allows (15 minutes) only helps
# those who would send it to somebody else.
LONGEST_SIGN_IN_SECONDS = 300
_SHORTEST_INTERVAL = 1.0
_LONGEST_PAUSE = 30.0

# Seen from Entra ID or foreseen by RFC 8628; the codes behind them only ever choose words.
_PENDING = frozenset({"authorization_pending", "slow_down"})
_DECLINED = frozenset({"authorization_declined", "access_denied"})
_EXPIRED = frozenset({"expired_token", "code_expired"})
_PASSING = frozenset({"temporarily_unavailable", "server_error"})

_BY_ERROR: dict[str, type[SignInError]] = {
    **dict.fromkeys(_DECLINED, SignInDeclined),
    **dict.fromkeys(_EXPIRED, SignInExpired),
    **dict.fromkeys(_PASSING, SignInBusy),
    "bad_verification_code": SignInCodeUnknown,
}


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
        self._http = MsalHttp(
            tls_context(settings.ca_bundle),
            timeouts(settings.connect_seconds, settings.total_seconds),
            settings.total_seconds,
        )
        self._app: msal.PublicClientApplication | None = None
        self._flow: dict[str, Any] = {}
        self._token = ""
        self._correlation_id = ""
        self._code_over = Deadline.after(clock, 0)
        # Whether the last question got no answer.
        self.unanswered = False

    async def begin(self) -> DeviceCode:
        """Ask for a fresh code. Raises SignInError."""
        flow = await self._ask(self._begin)
        if "error" in flow:
            raise self._failure(flow)
        user_code, address = clean(flow.get("user_code"), 24), clean(flow.get("verification_uri"), 200)
        secret = flow.get("device_code")
        usual = flow["expires_in"] > 0 and 0 <= flow["interval"] <= LONGEST_SIGN_IN_SECONDS
        if not (user_code and address and secret and isinstance(secret, str) and usual):
            raise SignInGarbled("an answer without the code that was asked for")
        # With 0 MSAL would ask without a pause, and would not look at its condition for leaving off.
        self._flow = flow | {"interval": max(1, flow["interval"])}
        self._correlation_id = clean(flow.get("_correlation_id"), 40)
        self._code_over = Deadline.after(self._clock, min(flow["expires_in"], LONGEST_SIGN_IN_SECONDS))
        return DeviceCode(user_code=user_code, address=address, deadline=self._code_over)

    async def wait(self) -> None:
        """Poll until the person has signed in, for the last time as the code runs out: it may have been used just now.

        Raises SignInError; a network that fails in between is waited out.
        """
        pause = 0.0
        while True:
            # MSAL keeps the interval, and makes it longer when it is told to slow down.
            pause = max(pause, self._flow.get("interval", 0), _SHORTEST_INTERVAL)
            await self._clock.sleep(min(pause, self._code_over.left()))
            last = self._code_over.passed()
            try:
                answer = await self._ask(self._poll)
                if isinstance(answer.get("access_token"), str):
                    break
                self._still_waiting(answer)
                pause = 0.0
            except SignInUnreachable as error:
                pause = min(error.retry_after or 2 * pause + 1, _LONGEST_PAUSE)
            if last:
                raise SignInExpired("not used in time")
        self._flow.clear()
        if not can_be_sent(answer["access_token"]):
            # Here the person can still get another code. The broker would only ever see a request that fails.
            raise SignInGarbled("a token that no header can hold")
        self._token = answer["access_token"]

    def _still_waiting(self, answer: dict[str, Any]) -> None:
        """Return if the person has not answered yet. Raises SignInError otherwise."""
        error = answer.get("error")
        if error in _PENDING:
            return
        if not isinstance(error, str):
            raise SignInGarbled("an answer with neither a token nor an error")
        failure = self._failure(answer)
        if error not in _PASSING:
            self._flow.clear()
        raise failure

    @property
    def correlation_id(self) -> str:
        """Under which Entra ID's logs know this sign-in; empty before there was one."""
        return self._correlation_id

    def authorization(self) -> str:
        """The value of an Authorization header for the broker."""
        return f"Bearer {self._token}"

    def forget(self) -> None:
        """Drop the token, the code and everything that MSAL remembers."""
        self._token = ""
        self._flow.clear()
        app, self._app = self._app, None
        if app:
            for account in app.get_accounts():
                app.remove_account(account)

    async def _ask(self, question: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Let MSAL ask, in a thread. Everything that a dead, wrong or garbled service makes it raise is one of ours."""
        self.unanswered = True
        try:
            answer = await self._http.run(question)
            self.unanswered = False
            return answer
        except Busy as error:
            self.unanswered = False
            raise SignInBusy(str(error), retry_after=error.retry_after) from None
        except httpx.DecodingError as error:
            raise SignInGarbled(str(error)) from None
        except (httpx.HTTPError, TimeoutError) as error:
            raise SignInUnreachable(f"{type(error).__name__} while asking the authority") from None
        except Exception as error:
            # MSAL documents no exceptions, and takes the answer's shape on trust: ValueError, KeyError, TypeError ...
            raise SignInGarbled(f"{type(error).__name__} while asking the authority") from None

    def _begin(self) -> dict[str, Any]:
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
        # The condition is true at once: one question per call, so that the waiting is asyncio's and can be ended.
        return dict(self._app.acquire_token_by_device_flow(self._flow, exit_condition=lambda _: True))

    def _failure(self, answer: dict[str, Any]) -> SignInError:
        """The error for an OAuth answer that is no token. ``error`` decides; AADSTS numbers only choose the words."""
        error = clean(answer.get("error"), 60)
        numbers = answer.get("error_codes")
        numbers = [one for one in numbers if type(one) is int] if isinstance(numbers, list) else []
        kind = _BY_ERROR.get(error) or next((BY_AADSTS[one] for one in numbers if one in BY_AADSTS), SignInError)
        support = f"AADSTS{numbers[0]}" if numbers else ""
        correlation = clean(answer.get("correlation_id"), 40)
        return kind(
            f"{error} {support} {correlation}".strip(),
            support=support,
            correlation_id=correlation,
            at=clean(answer.get("timestamp"), 24) or f"{self._clock.utc():%Y-%m-%d %H:%M:%SZ}",
        )

    def __repr__(self) -> str:
        return "<SignIn>"
