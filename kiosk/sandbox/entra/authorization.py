"""The authorization code flow: what an application may ask of the authorization endpoint, and the codes it gets.

Two differences from Entra ID, both stricter: PKCE is required of every application, and only with S256. As there,
``auth_time`` in the parameter ``claims`` has no effect; the registration decides. ``domain_hint`` is ignored.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast
from urllib.parse import urlencode, urlsplit

import msgspec

from kiosk.clock import Clock
from kiosk.sandbox.entra.errors import EntraError, missing_parameter, requested_application
from kiosk.sandbox.entra.scopes import parse_scopes
from kiosk.sandbox.entra.tokens import base64url
from kiosk.sandbox.tenant.directory import Application, Tenant

Mode = Literal["query", "fragment", "form_post"]

CODE_SECONDS = 600.0
_KEPT_AFTER_EXPIRY_SECONDS = 3600.0
_MODES = ("query", "fragment", "form_post")
_PROMPTS = ("", "login", "none", "select_account", "consent")
# The SHA-256 of the verifier, in Base64.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_LOOPBACK = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Reply:
    """Where an answer goes, and the application's own ``state`` for it."""

    application: Application
    redirect_uri: str
    mode: Mode
    state: str

    @property
    def origin(self) -> str:
        """The origin of the redirect URI."""
        parts = urlsplit(self.redirect_uri)
        return f"{parts.scheme}://{parts.netloc}"

    def fields(self, answer: Mapping[str, str]) -> dict[str, str]:
        """Return the answer with the state."""
        return dict(answer) | ({"state": self.state} if self.state else {})

    def address(self, answer: Mapping[str, str]) -> str:
        """Return the redirect URI with the answer in its query or fragment."""
        mark = "#" if self.mode == "fragment" else "&" if urlsplit(self.redirect_uri).query else "?"
        return f"{self.redirect_uri}{mark}{urlencode(self.fields(answer))}"


@dataclass(frozen=True)
class Contexts:
    """The authentication contexts that were asked for, for each of the tokens."""

    id_token: tuple[str, ...] = ()
    access_token: tuple[str, ...] = ()


NO_CONTEXTS = Contexts()


@dataclass(frozen=True)
class AuthorizationRequest:
    """A valid request of an application to sign somebody in."""

    reply: Reply
    scope: str
    nonce: str = field(repr=False)
    challenge: str
    prompt: str
    max_age: int | None
    login_hint: str
    contexts: Contexts


def requested_reply(fields: Mapping[str, str], tenant: Tenant) -> Reply:
    """Return where the answer goes. Raises EntraError; such an error must not be sent anywhere."""
    application = requested_application(fields, tenant)
    redirect_uri = fields.get("redirect_uri", "")
    if not redirect_uri:
        raise EntraError(900971, "invalid_request", "No reply address provided.")
    if not _registered(redirect_uri, application):
        words = (
            f"The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs configured "
            f"for the application '{application.client_id}'. Make sure the redirect URI sent in the request matches "
            "one added to your application in the Azure portal."
        )
        raise EntraError(50011, "invalid_request", words)
    mode = fields.get("response_mode") or "query"
    if mode not in _MODES:
        raise EntraError(70007, "invalid_request", "The 'response_mode' is not supported for the application.")
    return Reply(application, redirect_uri, cast("Mode", mode), fields.get("state", ""))


def authorization_request(fields: Mapping[str, str], reply: Reply, tenant: Tenant) -> AuthorizationRequest:
    """Return the request of these fields. Raises EntraError, for the application to be told."""
    kind, scope = fields.get("response_type", ""), fields.get("scope", "").strip()
    if not kind:
        raise missing_parameter("response_type")
    if kind != "code":
        words = f"response_type '{kind[:40]}' is not enabled for the application."
        raise EntraError(700054, "unsupported_response_type", words)
    if not scope:
        raise missing_parameter("scope")
    parse_scopes(scope, reply.application, tenant)
    prompt = fields.get("prompt", "")
    if prompt not in _PROMPTS:
        raise EntraError(90023, "invalid_request", f"Unsupported 'prompt' value '{prompt[:40]}'.")
    return AuthorizationRequest(
        reply,
        scope,
        fields.get("nonce", ""),
        _challenge(fields),
        prompt,
        _max_age(fields.get("max_age", "")),
        fields.get("login_hint", ""),
        _contexts(fields.get("claims", "")),
    )


def _registered(uri: str, application: Application) -> bool:
    """Whether the redirect URI is registered; for public applications on loopback, whatever its port."""
    if uri in application.redirect_uris:
        return True
    try:
        parts = urlsplit(uri)
        without_port = parts._replace(netloc=parts.hostname or "").geturl() if parts.port else uri
    except ValueError:
        return False
    loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK and "@" not in parts.netloc
    return application.public and loopback and without_port.rstrip("/") in application.redirect_uris


def _challenge(fields: Mapping[str, str]) -> str:
    challenge = fields.get("code_challenge", "")
    if not challenge:
        words = "Proof Key for Code Exchange is required for cross-origin authorization code redemption."
        raise EntraError(9002325, "invalid_request", words)
    if fields.get("code_challenge_method") != "S256":
        raise EntraError(50149, "invalid_request", "Invalid Code_Challenge_method parameter.")
    if not _CHALLENGE.fullmatch(challenge):
        raise EntraError(501491, "invalid_request", "Invalid size of Code_Challenge parameter.")
    return challenge


def _max_age(given: str) -> int | None:
    if not given:
        return None
    if not given.isdecimal() or len(given) > 9:
        raise _not_valid("max_age")
    return int(given)


def _contexts(claims: str) -> Contexts:
    """Return the contexts in the parameter ``claims``."""
    if not claims:
        return NO_CONTEXTS
    try:
        asked = msgspec.json.decode(claims, type=dict[str, dict[str, dict[str, Any] | None]])
    except msgspec.DecodeError:
        raise _not_valid("claims") from None

    def of(token: str) -> tuple[str, ...]:
        wish = asked.get(token, {}).get("acrs") or {}
        values = wish.get("values") or [wish.get("value")]
        return tuple(str(value) for value in values if value)

    return Contexts(of("id_token"), of("access_token"))


def _not_valid(name: str) -> EntraError:
    return EntraError(90100, "invalid_request", f"The parameter '{name}' is empty or not valid.")


@dataclass
class Grant:
    """One authorization code: the request it answers, and who signed in when."""

    asked: AuthorizationRequest
    oid: str
    signed_in: int
    expires_at: float
    redeemed: bool = False


class AuthorizationCodes:
    """Issues codes and redeems each of them once, within ten minutes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._grants: dict[str, Grant] = {}

    def issue(self, asked: AuthorizationRequest, oid: str, signed_in: int) -> str:
        """Return a code for this person."""
        now = self._clock.now()
        forgotten = now - _KEPT_AFTER_EXPIRY_SECONDS
        self._grants = {code: grant for code, grant in self._grants.items() if grant.expires_at > forgotten}
        code = f"1.{secrets.token_urlsafe(96)}"
        self._grants[code] = Grant(asked, oid, signed_in, now + CODE_SECONDS)
        return code

    def redeem(self, form: Mapping[str, str], application: Application) -> Grant:
        """Return the grant of the code in the form. Raises EntraError."""
        for name in ("code", "redirect_uri"):
            if not form.get(name):
                raise missing_parameter(name)
        grant = self._grants.get(form["code"])
        if grant is None:
            raise EntraError(9002313, "invalid_request", "Invalid request. Request is malformed or invalid.")
        reply = grant.asked.reply
        if reply.application.client_id != application.client_id:
            raise EntraError(70000, "invalid_grant", "Provided grant is invalid or malformed.")
        if grant.redeemed:
            words = (
                "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing "
                "refresh token."
            )
            raise EntraError(54005, "invalid_grant", words)
        if self._clock.now() >= grant.expires_at:
            words = "The provided authorization code or refresh token has expired due to inactivity."
            raise EntraError(70008, "invalid_grant", words)
        if form["redirect_uri"] != reply.redirect_uri:
            words = (
                f"The reply address '{form['redirect_uri']}' does not match the reply address '{reply.redirect_uri}' "
                "provided when requesting Authorization code."
            )
            raise EntraError(500112, "invalid_client", words)
        made = base64url(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if not hmac.compare_digest(made, grant.asked.challenge):
            words = "The Code_Verifier does not match the code_challenge supplied in the authorization request."
            raise EntraError(501481, "invalid_grant", words)
        grant.redeemed = True
        return grant
