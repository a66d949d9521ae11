"""Signs people in with a device code of Entra ID: MSAL's flow, one application object per code, polled from asyncio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msal

from kiosk.clock import Clock, Deadline
from kiosk.config.kiosk import DeviceCodeSettings
from kiosk.errors import (
    SignInAddress,
    SignInBusy,
    SignInError,
    SignInExpired,
    SignInGarbled,
    SignInUnreachable,
)
from kiosk.identity.address import fault_of
from kiosk.net import oauth
from kiosk.net.http import can_be_sent, timeouts
from kiosk.net.msal_http import MsalHttp
from kiosk.net.tls import tls_context
from kiosk.text import clean

# A person at the kiosk needs a minute or two. The 15 minutes that Entra ID allows would only help an attacker who
# sends the code to somebody else.
LONGEST_SIGN_IN_SECONDS = 300
_SHORTEST_INTERVAL = 1.0
# Between two polls without an answer. The code lives for minutes, and the person waits for the first good one.
_LONGEST_BACKOFF = 10.0
# The service may ask for a longer pause.
_LONGEST_PAUSE = 30.0
# After this long without an answer to a poll, the person is told.
_SILENT_SECONDS = 8.0

_PENDING = frozenset({"authorization_pending", "slow_down"})


@dataclass(frozen=True)
class DeviceCode:
    """The code and address that the person needs on another device. Excludes the secret device code.

    ``answers`` returns whether the service answers the polls for this code.
    """

    user_code: str = field(repr=False)
    address: str
    deadline: Deadline
    answers: Callable[[], bool] = field(default=lambda: True, repr=False)


class DeviceCodeSignIn:
    """Implements ``SignIn`` with device codes."""

    def __init__(self, settings: DeviceCodeSettings, clock: Clock) -> None:
        """Raises ConfigError if the authority's CA bundle cannot be read."""
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
        # Whether the last request got no answer.
        self.unanswered = False
        self._poll_failed = False
        self._overdue: Deadline | None = None

    async def begin(self) -> DeviceCode:
        """Request a new code and return it. Raises SignInError."""
        flow = await self._call(self._begin)
        if "error" in flow:
            raise self._failure(flow)
        user_code, address = clean(flow.get("user_code"), 24), flow.get("verification_uri")
        secret = flow.get("device_code")
        usual = flow["expires_in"] > 0 and 0 <= flow["interval"] <= LONGEST_SIGN_IN_SECONDS
        if not (user_code and address and isinstance(address, str) and secret and isinstance(secret, str) and usual):
            raise SignInGarbled("an answer without a sign-in code")
        if fault := fault_of(address):
            raise SignInAddress(f"verification_uri {fault}")
        # With an interval of 0, MSAL would poll without a pause and ignore ``exit_condition``.
        self._flow = flow | {"interval": max(1, flow["interval"])}
        self._correlation_id = clean(flow.get("_correlation_id"), 40)
        self._code_over = Deadline.after(self._clock, min(flow["expires_in"], LONGEST_SIGN_IN_SECONDS))
        self._poll_failed = False
        return DeviceCode(user_code=user_code, address=address, deadline=self._code_over, answers=self.answers)

    def answers(self) -> bool:
        """Whether the service answers: the last poll had a good answer, and the one under way is not overdue."""
        return not (self._poll_failed or (self._overdue and self._overdue.passed()))

    async def wait(self) -> None:
        """Poll until the person has signed in. Raises SignInError.

        Retries while the network fails. Polls once more when the code expires: it may have been used just before.
        """
        pause = 0.0
        while True:
            # MSAL updates the interval in the flow when the service says ``slow_down``.
            pause = max(pause, self._flow.get("interval", 0), _SHORTEST_INTERVAL)
            await self._clock.sleep(min(pause, self._code_over.left()))
            last = self._code_over.passed()
            self._overdue = Deadline.after(self._clock, _SILENT_SECONDS)
            try:
                answer = await self._call(self._poll)
                if isinstance(answer.get("access_token"), str):
                    break
                self._still_waiting(answer)
                pause, self._poll_failed = 0.0, False
            except SignInUnreachable as error:
                self._poll_failed = True
                backoff = min(2 * pause + 1, _LONGEST_BACKOFF)
                pause = min(error.retry_after, _LONGEST_PAUSE) if error.retry_after else backoff
            finally:
                self._overdue = None
            if last:
                raise SignInExpired("not used in time")
        self._flow.clear()
        if not can_be_sent(answer["access_token"]):
            # Fail here, where the person can get another code: no request to the broker could be sent with this token.
            raise SignInGarbled("a token that does not fit a header")
        self._token = answer["access_token"]

    def _still_waiting(self, answer: dict[str, Any]) -> None:
        """Return if the person has not signed in yet. Raises SignInError for any other answer."""
        error = answer.get("error")
        if error in _PENDING:
            return
        if not isinstance(error, str):
            raise SignInGarbled("an answer with neither a token nor an error")
        failure = self._failure(answer)
        if error not in oauth.PASSING:
            self._flow.clear()
        raise failure

    @property
    def correlation_id(self) -> str:
        """Return the id of this sign-in in Entra ID's logs, empty before the first code."""
        return self._correlation_id

    @property
    def signed_in(self) -> bool:
        """Whether there is a token."""
        return bool(self._token)

    def authorization(self) -> str:
        """Return the value of the Authorization header for the broker."""
        return f"Bearer {self._token}"

    async def abandon(self) -> None:
        """Do nothing: Entra ID has no request for it. The code expires."""

    def forget(self) -> None:
        """Drop the token, the code and MSAL's cache."""
        self._token = ""
        self._flow.clear()
        app, self._app = self._app, None
        if app:
            for account in app.get_accounts():
                app.remove_account(account)

    async def _call(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the result of a call of MSAL, made in a thread. Raises SignInError for any failure of the service."""
        self.unanswered = True
        try:
            with oauth.sign_in_errors_only(self._clock):
                answer = await self._http.run(call)
        except SignInError as error:
            self.unanswered = isinstance(error, SignInUnreachable) and not isinstance(error, SignInBusy)
            raise
        self.unanswered = False
        return answer

    def _begin(self) -> dict[str, Any]:
        self._app = msal.PublicClientApplication(
            self._settings.client_id,
            authority=self._settings.authority,
            http_client=self._http,
            # A new one each time, so that MSAL cannot replay a cached failure to the next attempt.
            http_cache={},
            # The operator configures the authority. Instance discovery would send a request to another host.
            instance_discovery=False,
            exclude_scopes=["offline_access"],
        )
        return dict(self._app.initiate_device_flow([self._settings.scope]))

    def _poll(self) -> dict[str, Any]:
        assert self._app is not None, "begin comes first"
        # Exit after one request, so that the pauses run on asyncio and can be cancelled.
        return dict(self._app.acquire_token_by_device_flow(self._flow, exit_condition=lambda _: True))

    def _failure(self, answer: dict[str, Any]) -> SignInError:
        return oauth.refusal(answer, self._clock)

    def __repr__(self) -> str:
        return "<DeviceCodeSignIn>"
