"""The pages for device codes: enter the code, see which application asks, say who you are, approve or decline."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kiosk.sandbox.entra.device_code import DeviceCodes, Grant
from kiosk.sandbox.html import LONGEST_NAME, Html, alert, choice, fill, hidden, listed, page
from kiosk.sandbox.http import form_fields
from kiosk.sandbox.tenant.directory import Directory, Person
from kiosk.text import clean

HOME = "/devicelogin"
_COOKIE = "__Host-phone"
_FORGED = "This page was open for too long, or was sent from elsewhere. Try again."

_CODE = """$alert<form method="post" action="$home">
<label for="code">Code from the terminal</label>
<input type="text" id="code" name="code" required maxlength="20" autocomplete="off" autocapitalize="characters"
 spellcheck="false" autofocus aria-describedby="hint">
<p class="hint" id="hint">Nine letters. Enter a code only if you are standing at the terminal that shows it.</p>
$hidden
<div class="buttons"><button class="main">Next</button></div>
</form>
<p><a href="$home/people">Who can sign in here?</a></p>"""
_ASK = """$alert<p>An application asks to sign in as you. Approve only if you started this yourself.</p>
<dl>
<dt>Application</dt><dd>$application</dd>
<dt>Asks for</dt><dd>$scopes</dd>
<dt>From</dt><dd>$origin</dd>
</dl>
<form method="post" action="$home/answer">
$people
$hidden
<div class="buttons">
<button class="main" name="answer" value="approve">Approve</button>
<button name="answer" value="decline">Decline</button>
</div>
</form>"""


class Pages:
    """The routes of the pages. ``people`` are listed on them; anybody else can be typed in."""

    def __init__(self, directory: Directory, codes: DeviceCodes, people: Iterable[Person]) -> None:
        self._directory = directory
        self._codes = codes
        self._people = tuple(people)
        self._secret = secrets.token_bytes(32)

    def routes(self) -> list[Route]:
        """Return the routes of the pages."""
        return [
            Route(HOME, self._show_start),
            Route(HOME, self._enter, methods=["POST"]),
            Route(f"{HOME}/answer", self._answer, methods=["POST"]),
            Route(f"{HOME}/people", self._list),
            Route("/error", self._explain),
            Route("/", self._welcome),
        ]

    async def _welcome(self, request: Request) -> Response:
        return RedirectResponse(HOME, 303)

    async def _show_start(self, request: Request) -> Response:
        return self._start(request)

    def _start(self, request: Request, words: str = "", status: int = 200) -> Response:
        browser = request.cookies.get(_COOKIE) or secrets.token_urlsafe(32)
        content = fill(_CODE, home=HOME, hidden=hidden(csrf=self._csrf(browser)), alert=alert(words))
        response = self._page("Enter code", content, status)
        response.headers["set-cookie"] = f"{_COOKIE}={browser}; Path=/; Secure; HttpOnly; SameSite=Strict"
        return response

    async def _enter(self, request: Request) -> Response:
        form = await form_fields(request)
        if not self._same_browser(request, form):
            return self._start(request, _FORGED, 403)
        grant = self._codes.open_grant(form.get("code", ""))
        if grant is None:
            return self._start(request, "That code is not right, has expired or was used already.", 400)
        return self._ask(request, grant)

    def _ask(self, request: Request, grant: Grant, words: str = "", status: int = 200) -> Response:
        content = fill(
            _ASK,
            home=HOME,
            alert=alert(words),
            application=grant.application.name,
            scopes=", ".join(scope.rpartition("/")[2] for scope in grant.scopes),
            origin=f"a terminal at {grant.origin or 'an unknown address'}",
            people=choice(self._people),
            hidden=hidden(code=grant.user_code, csrf=self._csrf(request.cookies[_COOKIE])),
        )
        return self._page(f"Sign in to {grant.application.name}?", content, status)

    async def _answer(self, request: Request) -> Response:
        form = await form_fields(request)
        if not self._same_browser(request, form):
            return self._start(request, _FORGED, 403)
        grant = self._codes.open_grant(form.get("code", ""))
        if grant is None:
            return self._start(request, "That code has expired or was used already.", 400)
        if form.get("answer") == "decline":
            self._codes.decline(grant)
            return self._page("Declined", Html("<p>Nobody was signed in. You can close this page.</p>"))
        if form.get("answer") != "approve":
            return self._ask(request, grant, "Choose Approve or Decline.", 400)
        other = form.get("other", "").strip()
        person = self._directory.find_person(other) if other else self._directory.person(form.get("oid", ""))
        if person is None:
            words = "Nobody here has that address or name." if other else "Say who you are, then approve."
            return self._ask(request, grant, words, 400)
        self._codes.approve(grant, person.oid)
        content = fill(
            '<p>You have signed in as <b dir="auto">$name</b> on the terminal. You can close this page.</p>',
            name=clean(person.name, LONGEST_NAME),
        )
        return self._page("Approved", content)

    async def _list(self, request: Request) -> Response:
        back = fill('<p><a href="$home">Enter a code</a></p>', home=HOME)
        return self._page("Who can sign in here", Html(f"<ul>{listed(self._people)}</ul>{back}"))

    async def _explain(self, request: Request) -> Response:
        code = request.query_params.get("code", "")
        content = fill("<p>AADSTS$code is explained in Microsoft's list of sign-in error codes.</p>", code=code[:10])
        return self._page("About an error code", content)

    def _page(self, title: str, content: Html, status: int = 200) -> Response:
        return page(self._directory.tenant.name, title, content, status)

    def _csrf(self, browser: str) -> str:
        return hmac.new(self._secret, browser.encode(), "sha256").hexdigest()

    def _same_browser(self, request: Request, form: dict[str, str]) -> bool:
        """Whether the form comes from a page that this browser was shown."""
        browser = request.cookies.get(_COOKIE, "")
        return bool(browser) and hmac.compare_digest(self._csrf(browser).encode(), form.get("csrf", "").encode())
