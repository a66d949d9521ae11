"""The authorization endpoint, and its page: see which application asks, say who you are, approve or decline.

As at Entra ID, errors that concern the application's own registration are shown here, and all others are sent to the
application. A refusal of the person is sent as well; Entra ID shows some of those to the person alone.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kiosk.clock import Clock
from kiosk.sandbox.entra.authorization import (
    AuthorizationCodes,
    AuthorizationRequest,
    Reply,
    authorization_request,
    requested_reply,
)
from kiosk.sandbox.entra.errors import EntraError, requested_tenant, sign_in_refusal
from kiosk.sandbox.entra.issuer import stamp
from kiosk.sandbox.html import Html, alert, choice, fill, hidden, page
from kiosk.sandbox.http import form_fields
from kiosk.sandbox.tenant.directory import Directory, Person

_COOKIE = "__Host-entra"
_FORGED = "This page was open for too long, or was sent from elsewhere. Go back to the application and try again."

_ASK = """$alert<p>Approve only if you opened this yourself.</p>
<dl>
<dt>Application</dt><dd>$application</dd>
<dt>Asks for</dt><dd>$scopes</dd>
<dt>Leads to</dt><dd>$origin</dd>
</dl>
<form method="post" action="/$tenant/login">
$people
$hidden
<div class="buttons">
<button class="main" name="answer" value="approve">Approve</button>
<button name="answer" value="decline">Decline</button>
</div>
</form>"""
_FORM_POST = """<p>You have answered. Continue to the application.</p>
<form method="post" action="$address">
$hidden
<div class="buttons"><button class="main">Continue</button></div>
</form>"""


@dataclass(frozen=True)
class _Session:
    """Somebody who has signed in with a browser."""

    oid: str
    signed_in: int


class AuthorizePages:
    """The routes of the endpoint. With ``approve_oid``, every request is approved as this person, without a page.

    A browser stays signed in, so a later request without ``prompt`` is answered with the same ``auth_time``.
    """

    def __init__(
        self,
        directory: Directory,
        codes: AuthorizationCodes,
        people: Iterable[Person],
        clock: Clock,
        approve_oid: str = "",
    ) -> None:
        self._directory = directory
        self._codes = codes
        self._people = tuple(people)
        self._clock = clock
        self._approve_oid = approve_oid
        self._secret = secrets.token_bytes(32)
        # By the digest of the browser's cookie.
        self._sessions: dict[str, _Session] = {}

    def routes(self) -> list[Route]:
        """Return the routes of the endpoint and its page."""
        return [
            Route("/{tenant}/oauth2/v2.0/authorize", self._authorize, methods=["GET", "POST"]),
            Route("/{tenant}/login", self._login, methods=["POST"]),
        ]

    async def _authorize(self, request: Request) -> Response:
        fields = await form_fields(request) if request.method == "POST" else dict(request.query_params)
        return self._serve(request, fields, lambda asked: self._begin(request, fields, asked))

    async def _login(self, request: Request) -> Response:
        form = await form_fields(request)
        if not self._same_browser(request, form):
            return self._page("Sign in", alert(_FORGED), 403)
        fields = dict(parse_qsl(form.get("request", ""), keep_blank_values=True))
        return self._serve(request, fields, lambda asked: self._answered(request, form, fields, asked))

    def _serve(
        self, request: Request, fields: Mapping[str, str], answer: Callable[[AuthorizationRequest], Response]
    ) -> Response:
        """Return the answer, or an error: for the person if the application must not get it, else for the latter."""
        tenant = self._directory.tenant
        try:
            requested_tenant(request, tenant)
            reply = requested_reply(fields, tenant)
        except EntraError as error:
            words = error.description(request, self._clock.utc())
            return self._page("Sorry, but we’re having trouble signing you in", alert(words), 400)
        try:
            return answer(authorization_request(fields, reply, tenant))
        except EntraError as error:
            return self._send(
                reply,
                {
                    # What the token endpoint calls an invalid grant, this one calls a denied access.
                    "error": "access_denied" if error.error == "invalid_grant" else error.error,
                    "error_description": error.description(request, self._clock.utc()),
                    "error_uri": error.uri(request),
                }
                | ({"error_subcode": error.suberror} if error.suberror else {}),
            )

    def _begin(self, request: Request, fields: Mapping[str, str], asked: AuthorizationRequest) -> Response:
        """Answer at once for somebody who is signed in, else show the page."""
        if self._approve_oid:
            return self._approve(asked, self._approve_oid, self._now())
        session = self._usable(request, asked)
        hinted = self._directory.find_person(asked.login_hint)
        other = session is not None and hinted is not None and hinted.oid != session.oid
        if session and not other and asked.prompt in ("", "none"):
            return self._approve(asked, session.oid, session.signed_in)
        if asked.prompt == "none":
            words = "Session information is not sufficient for single-sign-on."
            raise EntraError(50058, "login_required", words)
        return self._ask(request, fields, asked, hinted or (self._directory.person(session.oid) if session else None))

    def _answered(
        self, request: Request, form: Mapping[str, str], fields: Mapping[str, str], asked: AuthorizationRequest
    ) -> Response:
        if form.get("answer") == "decline":
            words = "User declined to consent to access the app."
            raise EntraError(65004, "access_denied", words, suberror="cancel")
        other = form.get("other", "").strip()
        person = self._directory.find_person(other) if other else self._directory.person(form.get("oid", ""))
        if person is None:
            said = "Nobody here has that address or name." if other else "Say who you are, then approve."
            return self._ask(request, fields, asked, None, said, 400)
        if form.get("answer") != "approve":
            return self._ask(request, fields, asked, person, "Choose Approve or Decline.", 400)
        session = self._usable(request, asked)
        if session is None or session.oid != person.oid:
            session = _Session(person.oid, self._now())
        # The cookie from before the sign-in may be known to somebody else.
        browser = secrets.token_urlsafe(32)
        self._sessions.pop(_digest(request.cookies[_COOKIE]), None)
        self._sessions[_digest(browser)] = session
        return _with_cookie(self._approve(asked, session.oid, session.signed_in), browser)

    def _usable(self, request: Request, asked: AuthorizationRequest) -> _Session | None:
        """Return the session of the browser, unless the application wants a new sign-in."""
        session = self._sessions.get(_digest(request.cookies.get(_COOKIE, "")))
        if session is None or asked.prompt == "login":
            return None
        # Even a sign-in in this very second is too old for ``max_age=0``.
        if asked.max_age is not None and self._now() - session.signed_in >= asked.max_age:
            return None
        return session

    def _approve(self, asked: AuthorizationRequest, oid: str, signed_in: int) -> Response:
        person = self._directory.person(oid)
        assert person is not None
        if person.refusal is not None:
            raise sign_in_refusal(person.refusal)
        answer = {"code": self._codes.issue(asked, oid, signed_in), "session_state": str(uuid.uuid4())}
        return self._send(asked.reply, answer)

    def _ask(
        self,
        request: Request,
        fields: Mapping[str, str],
        asked: AuthorizationRequest,
        chosen: Person | None,
        words: str = "",
        status: int = 200,
    ) -> Response:
        browser = request.cookies.get(_COOKIE) or secrets.token_urlsafe(32)
        application = asked.reply.application
        content = fill(
            _ASK,
            alert=alert(words),
            application=application.name,
            scopes=", ".join(scope.rpartition("/")[2] for scope in asked.scope.split()),
            origin=asked.reply.origin,
            tenant=request.path_params["tenant"],
            people=choice(self._people, chosen),
            hidden=hidden(request=urlencode(fields), csrf=self._csrf(browser)),
        )
        # A browser applies the policy also to the redirect that follows the form.
        answer = self._page(f"Sign in to {application.name}", content, status, forms_lead_to=asked.reply.origin)
        return _with_cookie(answer, browser)

    def _send(self, reply: Reply, answer: Mapping[str, str]) -> Response:
        """Return an answer for the application, by way of the browser."""
        if reply.mode != "form_post":
            return RedirectResponse(reply.address(answer), 302, {"cache-control": "no-store"})
        content = fill(_FORM_POST, address=reply.redirect_uri, hidden=hidden(**reply.fields(answer)))
        return self._page(f"Back to {reply.application.name}", content, forms_lead_to=reply.origin)

    def _page(self, title: str, content: Html, status: int = 200, *, forms_lead_to: str = "") -> Response:
        return page(self._directory.tenant.name, title, content, status, forms_lead_to=forms_lead_to)

    def _now(self) -> int:
        return stamp(self._clock.utc())

    def _csrf(self, browser: str) -> str:
        return hmac.new(self._secret, browser.encode(), "sha256").hexdigest()

    def _same_browser(self, request: Request, form: Mapping[str, str]) -> bool:
        """Whether the form comes from a page that this browser was shown."""
        browser = request.cookies.get(_COOKIE, "")
        return bool(browser) and hmac.compare_digest(self._csrf(browser).encode(), form.get("csrf", "").encode())


def _digest(browser: str) -> str:
    return hashlib.sha256(browser.encode()).hexdigest()


def _with_cookie(response: Response, browser: str) -> Response:
    # Lax, because the endpoint is opened from the application's origin.
    response.headers["set-cookie"] = f"{_COOKIE}={browser}; Path=/; Secure; HttpOnly; SameSite=Lax"
    return response
