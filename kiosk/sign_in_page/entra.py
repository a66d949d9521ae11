"""Signs the person in with Entra ID: authorization code with PKCE, through MSAL."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import msal

from kiosk.clock import Clock
from kiosk.config.loading import file_versions
from kiosk.config.sign_in_page import EntraSettings
from kiosk.errors import (
    ConfigError,
    PhoneCancelled,
    PhoneNonceWrong,
    PhoneSignInError,
    SignInAddress,
    SignInError,
    SignInGarbled,
)
from kiosk.net import oauth
from kiosk.net.certificate import Loaded, load_certificate
from kiosk.net.http import can_be_sent, timeouts
from kiosk.net.msal_http import MsalHttp
from kiosk.net.tls import tls_context
from kiosk.process.events import event
from kiosk.sign_in_page.cookie import cookie_key
from kiosk.text import clean

# Of the broker's interface: longer ones are refused there.
_LONGEST_TOKEN = 16_384
# With more than this, the cookie would be too long for browsers.
_LONGEST_FLOW = 2_600
# Each call of MSAL has a thread.
_AT_ONCE = 16
# Filters of warnings belong to all threads.
_QUIET = threading.Lock()
_ANSWER = ("code", "state", "error", "error_description")
_CODE_USED = "sign_in_code_used"
# What Entra ID says in one of these words was the person's own wish: "cancel" at the prompt, or no consent.
_NOT_WANTED = {"", "AADSTS65004"}


@dataclass(frozen=True)
class Redeemed:
    """The tokens of a person, for the broker. The page itself reads nothing in them."""

    id_token: str = field(repr=False)
    access_token: str = field(repr=False)


class Entra:
    """The application *Kiosk sign-in*. Keeps no token: each call has an application object of MSAL for itself."""

    def __init__(self, settings: EntraSettings, redirect_uri: str, clock: Clock) -> None:
        """Read the certificate, so that a bad one is found at start. Raises ConfigError."""
        self._settings = settings
        self._redirect_uri = redirect_uri
        self._clock = clock
        self._http = MsalHttp(
            tls_context(settings.ca_bundle),
            timeouts(settings.connect_seconds, settings.total_seconds),
            settings.total_seconds,
        )
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._read = self._versions()
        self._loaded = load_certificate(settings, clock, "entra")
        self._keys = [cookie_key(self._loaded.key)]

    def cookie_keys(self) -> Sequence[bytes]:
        """Return the keys for cookies: that of the certificate, and that of the one before."""
        self._current()
        return self._keys

    async def begin(self) -> dict[str, Any]:
        """Return MSAL's flow: the address to go to, and what is needed for the answer. Raises SignInError."""
        async with self._places:
            with oauth.sign_in_errors_only(self._clock):
                flow = await self._http.run(self._begin)
        # The broker decides how old a sign-in may be, and says so in its own words; MSAL would raise a RuntimeError.
        flow.pop("max_age", None)
        address = flow.get("auth_uri")
        if not isinstance(address, str) or _origin(address) != _origin(self._settings.authority):
            raise SignInAddress("the authorization endpoint is not at the authority")
        if len(json.dumps(flow)) > _LONGEST_FLOW:
            raise SignInAddress("the address of the authorization endpoint is too long")
        return flow

    def belongs(self, flow: Mapping[str, Any], answer: Mapping[str, str]) -> bool:
        """Whether an answer is the one to this flow."""
        state = flow.get("state")
        return isinstance(state, str) and hmac.compare_digest(state.encode(), answer.get("state", "").encode())

    async def redeem(self, flow: Mapping[str, Any], answer: Mapping[str, str]) -> Redeemed:
        """Return the tokens for an answer that belongs to this flow. Raises SignInError."""
        expected = {name: answer[name] for name in _ANSWER if name in answer}
        async with self._places:
            with oauth.sign_in_errors_only(self._clock):
                result = await self._http.run(lambda: self._redeem(flow, expected))
        if "error" in result:
            raise self._refusal(result)
        found = result.get("id_token"), result.get("access_token")
        id_token, access_token = (token if isinstance(token, str) and can_be_sent(token) else "" for token in found)
        if not (id_token and access_token) or max(len(id_token), len(access_token)) > _LONGEST_TOKEN:
            raise SignInGarbled("an answer without tokens that can be handed over")
        return Redeemed(id_token, access_token)

    def _begin(self) -> dict[str, Any]:
        context = self._settings.context
        claims = {"id_token": {"acrs": {"essential": True, "value": context}}} if context else None
        application = self._application()
        # MSAL warns that the answer comes in an address, and with it the code into the browser's history. In a form it
        # would come without our cookie; and the code is used by then, and of no use without the verifier and the key.
        with _QUIET, warnings.catch_warnings(action="ignore"):
            return dict(
                application.initiate_auth_code_flow(
                    [self._settings.scope],
                    redirect_uri=self._redirect_uri,
                    prompt="login",
                    max_age=0,
                    claims_challenge=json.dumps(claims) if claims else None,
                )
            )

    def _redeem(self, flow: Mapping[str, Any], answer: Mapping[str, str]) -> dict[str, Any]:
        try:
            return dict(self._application().acquire_token_by_auth_code_flow(dict(flow), dict(answer)))
        except RuntimeError:
            # Without max_age MSAL raises it for one reason, and quotes the token's claims.
            raise PhoneNonceWrong("the id token has another nonce than was sent") from None

    def _application(self) -> msal.ConfidentialClientApplication:
        return msal.ConfidentialClientApplication(
            self._settings.client_id,
            authority=self._settings.authority,
            client_credential=self._current().form,
            http_client=self._http,
            # Both new each time: no failure is replayed to the next person, and no token stays.
            http_cache={},
            token_cache=msal.TokenCache(),
            instance_discovery=False,
            exclude_scopes=["offline_access"],
        )

    def _current(self) -> Loaded:
        """Return the certificate, the new one if its file was replaced by one that can be used."""
        found = self._versions()
        if found != self._read:
            self._read = found
            try:
                self._loaded = load_certificate(self._settings, self._clock, "entra")
            except ConfigError as error:
                event("certificate.kept", logging.WARNING, use="entra", cause=error)
            else:
                event("certificate.replaced", use="entra", file=self._settings.certificate)
                new = cookie_key(self._loaded.key)
                self._keys = [new, *(key for key in self._keys if key != new)][:2]
        return self._loaded

    def _versions(self) -> object:
        return file_versions((self._settings.certificate, self._settings.passphrase_file))

    def _refusal(self, result: Mapping[str, Any]) -> SignInError:
        error = oauth.refusal(result, self._clock)
        if error.code == _CODE_USED:
            # Its words are those for a device code, which the person here has never seen.
            return PhoneSignInError(
                error.cause, support=error.support, correlation_id=error.correlation_id, at=error.at
            )
        if result["error"] not in oauth.DECLINED:
            return error
        if error.support in _NOT_WANTED:
            return PhoneCancelled(error.cause, support=error.support, at=error.at)
        # Entra ID says the same of what a policy denied; then its number has the better words.
        return oauth.refusal({**result, "error": "denied"}, self._clock)

    def __repr__(self) -> str:
        return "<Entra>"


def nonce_on_the_wire(flow: Mapping[str, Any]) -> str:
    """Return the nonce that the id token will have: MSAL sends the hash of the one in its flow."""
    return sha256(str(flow.get("nonce")).encode("ascii")).hexdigest()


def support_of(error: SignInError) -> str:
    """Return what Microsoft's support asks for after a refusal, in one line."""
    return clean("  ".join(part for part in (error.support, error.correlation_id, error.at) if part), 120)


def _origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc.lower()
