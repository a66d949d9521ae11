"""The routes of the page. It keeps no state: what it knows of a phone is in the phone's cookie, or at the broker.

Every page is rendered from what the broker says at that moment, under one address, ``/sign-in``. Forms answer with a
redirect to it, so that a reload repeats nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hmac
import logging
import math
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Set
from importlib.resources import files
from typing import Any
from weakref import WeakValueDictionary

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from kiosk.clock import Clock
from kiosk.config.sign_in_page import SignInPageConfig
from kiosk.errors import (
    KioskError,
    PhoneCancelled,
    PhoneForged,
    PhoneLinkUnknown,
    PhoneNoCookie,
    RequestInvalid,
    SignInError,
)
from kiosk.net.connections import trust
from kiosk.net.log_limit import LogLimit
from kiosk.process.events import event, refusal
from kiosk.process.request_errors import as_kiosk_error
from kiosk.sign_in_messages import (
    ChooseWords,
    EndAtPhone,
    EndedAt,
    HandOver,
    OpenLink,
    PhoneRequest,
    PhoneView,
    Stage,
)
from kiosk.sign_in_page.broker import Broker
from kiosk.sign_in_page.cookie import NAME, Cookies, State
from kiosk.sign_in_page.entra import Entra, nonce_on_the_wire, support_of
from kiosk.sign_in_page.forms import link_of, read_form, words_of
from kiosk.sign_in_page.headers import is_navigation, is_prefetch, origin_of, security_headers
from kiosk.sign_in_page.pages import Pages, language_for
from kiosk.sign_in_page.phone_address import phone_address

CALLBACK = "/signed-in"
_PAGE = "/sign-in"
_LONGEST_QUERY = 8192
_ALIVE_SECONDS = 10.0
_TIDY_SECONDS = 5.0
_LINES_A_MINUTE = 30
# Pauses between tries to hand over tokens, which cannot be had twice.
_HAND_OVER_PAUSES = (0.5, 2.0)
_STATIC = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}

_METHODS = {"GET": {"GET", "HEAD"}, "POST": {"POST"}}

_Handler = Callable[[Request], Awaitable[Response]]


class SignInPage:
    """What the routes do."""

    def __init__(self, config: SignInPageConfig, broker: Broker, entra: Entra, clock: Clock) -> None:
        self._broker = broker
        self._entra = entra
        self._clock = clock
        self._pages = Pages(config.organisation)
        self._cookies = Cookies(entra.cookie_keys, clock)
        self._origin = origin_of(config.listen.address)
        self._proxies = frozenset(config.listen.proxies)
        self._headers = security_headers()
        self._limit = LogLimit(clock, _report, _LINES_A_MINUTE)
        # Two requests with one answer of Entra ID, as after a reload: the second waits, and finds it done.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        folder = files(__package__) / "static"
        self._static = {name: (folder / name).read_bytes() for name in _STATIC}

    def app(self) -> Callable[[Any, Any, Any], Awaitable[None]]:
        """Return the ASGI application, which reports to the broker while it runs."""
        routes = [
            self._route("GET", "/", self._start),
            self._route("POST", "/open", self._open_typed),
            self._route("GET", _PAGE, self._current),
            self._route("POST", "/words", self._words),
            self._route("GET", CALLBACK, self._signed_in),
            self._route("POST", "/not-me", self._not_me),
            self._route("POST", "/cancel", self._cancel),
            self._route("GET", "/status", self._status),
            self._route("GET", "/static/{name}", self._file),
            self._route("GET", "/robots.txt", self._robots),
            self._route("GET", "/{link}", self._link),
        ]
        nothing = _Resource(self, "other", self._nothing, _METHODS["GET"])
        router = Router(routes, redirect_slashes=False, default=nothing, lifespan=self._life)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                # A superfluous slash, as in /K7Q2-M9XD/, makes no difference.
                scope["path"] = "/" + "/".join(filter(None, scope["path"].split("/")))
            await router(scope, receive, send)

        return app

    # Pages

    async def _start(self, request: Request) -> Response:
        return self._html(self._pages.start(_accepted(request)))

    async def _nothing(self, request: Request) -> Response:
        return self._html(self._pages.start(_accepted(request)), 404)

    async def _link(self, request: Request) -> Response:
        link = link_of(request.path_params["link"])
        if not link:
            return self._unknown_link(request, "", 404)
        if request.method == "HEAD" or is_prefetch(request.headers):
            # Nobody sees it. 503, so that no browser keeps it for when somebody does.
            return Response(status_code=200 if request.method == "HEAD" else 503)
        state = self._state(request)
        if state and state.link == link:
            return self._to_page()
        if not is_navigation(request.headers):
            return self._html(self._pages.start(_accepted(request), code=link))
        return await self._open(request, link)

    async def _open_typed(self, request: Request) -> Response:
        form = await read_form(request, self._origin)
        typed = form.get("code", "")
        link = link_of(typed)
        if not link:
            return self._unknown_link(request, typed, 422)
        return await self._open(request, link)

    async def _open(self, request: Request, link: str) -> Response:
        view = await self._broker.open(OpenLink(link=link, phone_address=self._phone_address(request)))
        event("link.opened", id=view.id)
        before = self._state(request)
        if before and before.id != view.id:
            # The cookie has room for one: nobody could go on with the other, and its kiosk would wait for nothing.
            with contextlib.suppress(KioskError):
                await self._broker.end(EndAtPhone(id=before.id, phone=before.phone, how=EndedAt.CANCELLED))
        state = State(
            id=view.id,
            phone=view.phone,
            link=link,
            made=self._clock.utc().timestamp(),
            language=view.language,
            form=secrets.token_urlsafe(16),
        )
        return self._to_page(state)

    async def _current(self, request: Request) -> Response:
        state = self._expected(request)
        view = await self._view(request, state)
        response = self._html(self._pages.of_stage(view, state))
        if state.forward:
            # Once: after a reload or Back there is a button.
            self._remember(response, msgspec.structs.replace(state, forward=False))
        return response

    async def _status(self, request: Request) -> Response:
        state = self._state(request)
        stage = (await self._broker.view(_phone(state))).stage if state else ""
        return Response(msgspec.json.encode({"stage": stage}), media_type="application/json")

    # Steps

    async def _words(self, request: Request) -> Response:
        state, form = await self._posted(request)
        if state.flow:
            return self._to_page()
        words = words_of(form.get("words", ""))
        if words is None:
            await self._broker.words(ChooseWords(id=state.id, phone=state.phone, words=None))
            return self._to_page()
        # Entra ID is asked nothing for a sign-in that is over.
        if (await self._view(request, state)).stage not in {Stage.OPENED, Stage.SIGNING_IN}:
            return self._to_page()
        try:
            flow = await self._entra.begin()
        except SignInError as error:
            return await self._failed(state, error)
        body = ChooseWords(id=state.id, phone=state.phone, words=words, nonce=nonce_on_the_wire(flow))
        view = await self._broker.words(body)
        if view.stage is not Stage.SIGNING_IN:
            return self._to_page()
        # Browsers hold every redirect after a form against form-action, and nobody knows where the authority leads on
        # to: federated tenants have a sign-in service elsewhere. So the way to it begins at a page.
        return self._to_page(msgspec.structs.replace(state, flow=flow, forward=True))

    async def _signed_in(self, request: Request) -> Response:
        """Take the answer of Entra ID. One that belongs to another sign-in changes nothing in this one."""
        state = self._expected(request)
        if state.flow is None:
            return self._to_page()
        # Not request.url: urllib keeps addresses that it took apart.
        if len(request.scope["query_string"]) > _LONGEST_QUERY:
            raise RequestInvalid("a longer query than answers of Entra ID have")
        answer = dict(request.query_params)
        if not self._entra.belongs(state.flow, answer):
            raise PhoneForged("an answer of Entra ID to another sign-in")
        async with self._turn(state.id):
            view = await self._view(request, state)
            if view.stage is not Stage.SIGNING_IN:
                return self._to_page(msgspec.structs.replace(state, flow=None))
            try:
                redeemed = await self._entra.redeem(state.flow, answer)
            except SignInError as error:
                return await self._failed(state, error)
            body = HandOver(
                id=state.id, phone=state.phone, id_token=redeemed.id_token, access_token=redeemed.access_token
            )
            await self._hand_over(body)
        return self._to_page(msgspec.structs.replace(state, flow=None))

    async def _hand_over(self, body: HandOver) -> None:
        """Hand over tokens. A refusal is no error here: the page shows how the sign-in has ended."""
        for pause in (*_HAND_OVER_PAUSES, math.inf):
            try:
                await self._broker.tokens(body)
                return
            except KioskError as error:
                if error.status < 500 or isinstance(error, SignInError):
                    refusal("tokens", error)
                    return
                if pause == math.inf:
                    raise
                await self._clock.sleep(pause)

    async def _failed(self, state: State, error: SignInError) -> Response:
        """End the sign-in, because Entra ID refused the person or did not answer."""
        refusal("entra", error)
        if isinstance(error, PhoneCancelled):
            how = EndedAt.CANCELLED
        else:
            how = EndedAt.REFUSED if error.support else EndedAt.FAILED
        body = EndAtPhone(id=state.id, phone=state.phone, how=how, code=error.code, support=error.support)
        await self._broker.end(body)
        return self._to_page(msgspec.structs.replace(state, flow=None, support=support_of(error)))

    async def _not_me(self, request: Request) -> Response:
        return await self._end(request, EndedAt.NOT_ME)

    async def _cancel(self, request: Request) -> Response:
        return await self._end(request, EndedAt.CANCELLED)

    async def _end(self, request: Request, how: EndedAt) -> Response:
        state, _form = await self._posted(request)
        await self._broker.end(EndAtPhone(id=state.id, phone=state.phone, how=how))
        return self._to_page()

    # Requests

    def _state(self, request: Request) -> State | None:
        return self._cookies.state(request.cookies.get(NAME, ""))

    def _expected(self, request: Request) -> State:
        """Return the state of a phone. Raises PhoneNoCookie."""
        state = self._state(request)
        if state is None:
            raise PhoneNoCookie("no cookie, an old one, or one that this page did not make")
        return state

    async def _view(self, request: Request, state: State) -> PhoneView:
        """Ask the broker how far a sign-in is. If it knows the sign-in, the phone's connection keeps its place."""
        view = await self._broker.view(_phone(state))
        if view.stage is not Stage.ENDED:
            trust(request.scope)
        return view

    async def _posted(self, request: Request) -> tuple[State, dict[str, str]]:
        """Return the state and the fields of one of our forms. Raises PhoneForged for a form from elsewhere."""
        form = await read_form(request, self._origin)
        state = self._expected(request)
        if not hmac.compare_digest(form.get("form", "").encode(), state.form.encode()):
            raise PhoneForged("a form without the token of this sign-in")
        return state, form

    def _phone_address(self, request: Request) -> str:
        peer = request.client.host if request.client else ""
        headers = request.headers
        return phone_address(peer, headers.getlist("forwarded"), headers.getlist("x-forwarded-for"), self._proxies)

    def _turn(self, sign_in_id: str) -> asyncio.Lock:
        return self._turns.setdefault(sign_in_id, asyncio.Lock())

    # Answers

    def _to_page(self, state: State | None = None) -> Response:
        """Redirect to the page of the current stage; with ``state``, remember it."""
        response = RedirectResponse(_PAGE, 303)
        if state:
            self._remember(response, state)
        return response

    def _remember(self, response: Response, state: State) -> None:
        response.headers["set-cookie"] = self._cookies.header(state)

    def _html(self, text: str, status: int = 200) -> Response:
        return Response(text, status, media_type="text/html")

    def _unknown_link(self, request: Request, code: str, status: int) -> Response:
        error = PhoneLinkUnknown("no code has this form")
        return self._html(self._pages.start(_accepted(request), code=code[:40], error=error), status)

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._static:
            return await self._nothing(request)
        return Response(self._static[name], headers={"cache-control": "max-age=600"}, media_type=_STATIC[name])

    async def _robots(self, _request: Request) -> Response:
        return Response("User-agent: *\nDisallow: /\n", media_type="text/plain")

    def _problem(self, request: Request, route: str, error: Exception) -> Response:
        """Answer a request that failed with a page. The path is not logged: it may be a link."""
        ours = as_kiosk_error(error)
        state = self._state(request)
        if self._limit.admits(ours.code):
            refusal(f"{request.method} {route}", ours)
        if route == "/status":
            return Response(b"{}", ours.status, media_type="application/json")
        language = state.language if state else _accepted(request)
        if isinstance(ours, PhoneLinkUnknown):
            response = self._html(self._pages.start(language, error=ours), ours.status)
        else:
            passing = ours.status >= 500 and not ours.final
            again = ("" if request.method == "GET" else _PAGE) if passing else None
            response = self._html(self._pages.ended(ours, language, again), ours.status)
        if ours.retry_after is not None or ours.status == 503:
            response.headers["retry-after"] = str(math.ceil(ours.retry_after or 5))
        return response

    def _route(self, method: str, path: str, handler: _Handler) -> Route:
        return Route(path, _Resource(self, path, handler, _METHODS[method]))

    async def answer(self, request: Request, route: str, handler: _Handler, methods: Set[str]) -> Response:
        """Return the answer to any request: errors become pages, and every answer gets our headers."""
        try:
            if request.method in methods:
                response = await handler(request)
            else:
                response = await self._nothing(request)
                response.status_code, response.headers["allow"] = 405, ", ".join(sorted(methods))
        except Exception as error:
            response = self._problem(request, route, error)
        for name, value in self._headers.items():
            response.headers.setdefault(name, value)
        return response

    # While it runs

    @contextlib.asynccontextmanager
    async def _life(self, _app: object) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._report_alive()), asyncio.create_task(self._keep_tidy())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            self._limit.flush(now=True)
            await self._broker.aclose()

    async def _report_alive(self) -> None:
        known = ""
        while True:
            try:
                await self._broker.alive()
                found = "reached"
            except KioskError as error:
                found = error.code
                if found != known:
                    refusal("alive", error)
            if found == "reached" != known:
                event("broker.reached")
            known = found
            await self._clock.sleep(_ALIVE_SECONDS)

    async def _keep_tidy(self) -> None:
        while True:
            await self._clock.sleep(_TIDY_SECONDS)
            self._limit.flush()
            # MSAL and closed connections leave tokens, code and verifier in reference cycles, and only what is freed is
            # overwritten.
            gc.collect()


class _Resource:
    """Answers the requests for one path, as an ASGI application."""

    def __init__(self, page: SignInPage, route: str, handler: _Handler, methods: Set[str]) -> None:
        self._page = page
        self._route = route
        self._handler = handler
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._page.answer(Request(scope, receive), self._route, self._handler, self._methods)
        await response(scope, receive, send)


def _report(code: str, count: int) -> None:
    event("refused.counted", logging.WARNING, code=code, cause=f"{count} more in this minute")


def _phone(state: State) -> PhoneRequest:
    return PhoneRequest(id=state.id, phone=state.phone)


def _accepted(request: Request) -> str:
    return language_for(request.headers.get("accept-language", ""))
