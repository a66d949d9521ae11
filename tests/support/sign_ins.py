"""Plays both sides of a sign-in on a phone against a real broker: the kiosk's visit, and the sign-in page."""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec

from kiosk.clock import Clock, SystemClock
from kiosk.models import PROOF_HEADER, Message
from kiosk.net.http import UNIX_PREFIX
from kiosk.net.tls import no_authorities
from kiosk.proof import Prover
from kiosk.secret import VisitKeys, sign_in_info
from kiosk.sign_in_messages import (
    BeginSignIn,
    ChooseWords,
    Confirm,
    Confirmed,
    EndAtPhone,
    EndedAt,
    HandOver,
    OpenLink,
    PhoneRequest,
    PhoneView,
    SignInBegun,
    SignInView,
    WordPair,
)
from tests.support.sandbox import RunningSandbox

PAGE = "https://go.example"
_JSON = {"content-type": "application/json"}


def web(place: Path, **more: Any) -> dict[str, Any]:
    """Return ``[sign_in]`` for a broker whose sign-in page has a socket of its own."""
    socket = f"{UNIX_PREFIX}{place / 'page.sock'}"
    return {"method": "web", "page": PAGE, "page_user": getpass.getuser(), "page_listen": socket} | more


@dataclass
class AtTheKiosk:
    """The visit at a kiosk. ``answer`` is the last one of the broker."""

    http: httpx.Client
    terminal: str = "desk7 tty1"
    keys: VisitKeys = field(default_factory=VisitKeys, repr=False)
    clock: Clock = field(default_factory=SystemClock)
    begun: SignInBegun | None = None

    def ask(self, method: str, path: str, body: Message | None = None, **headers: str) -> httpx.Response:
        """Send a request with the visit's proof and without a token."""
        content = msgspec.json.encode(body) if body else b""
        proof = Prover(self.keys, self.clock).proof(method, path, "", content)
        sent = {PROOF_HEADER: proof, "x-kiosk-terminal": self.terminal} | (_JSON if body else {}) | headers
        return self.http.request(method, path, content=content, headers=sent)

    def try_to_begin(self, **changes: Any) -> httpx.Response:
        given = {"public_key": self.keys.public_key, "language": "de", "place": "Building 7"} | changes
        return self.ask("POST", "/v1/sign-ins", BeginSignIn(**given))

    def begin(self, **changes: Any) -> SignInBegun:
        """Begin a sign-in."""
        self.begun = _read(self.try_to_begin(**changes), SignInBegun)
        return self.begun

    def view(self) -> SignInView:
        """Return how far the sign-in is."""
        return _read(self.ask("GET", self.path), SignInView)

    def confirm(self, digits: str) -> httpx.Response:
        """Type the digits."""
        return self.ask("POST", f"{self.path}/confirm", Confirm(digits=digits))

    def token(self, answer: httpx.Response) -> str:
        """Return the access token in the answer to the right digits."""
        assert self.begun
        sealed = _read(answer, Confirmed).sealed
        with self.keys.open(sealed, sign_in_info(self.begun.id)) as opened:
            return bytes(opened[index] for index in range(len(opened))).decode()

    def cancel(self) -> httpx.Response:
        return self.ask("DELETE", self.path)

    @property
    def path(self) -> str:
        """The path of the sign-in."""
        assert self.begun
        return f"/v1/sign-ins/{self.begun.id}"


@dataclass
class AtThePage:
    """The sign-in page, for one phone. ``seen`` is what the phone shows, ``nonce`` the one for its id token."""

    http: httpx.Client
    seen: PhoneView | None = None
    nonce: str = ""

    def ask(self, path: str, body: Message | dict[str, Any]) -> httpx.Response:
        return self.http.post(f"/v1/page/{path}", content=msgspec.json.encode(body), headers=_JSON)

    def alive(self) -> httpx.Response:
        return self.http.post("/v1/page/alive")

    def try_to_open(self, link: str) -> httpx.Response:
        return self.ask("open", OpenLink(link=link.rpartition("/")[2], phone_address="192.0.2.7"))

    def open(self, link: str) -> PhoneView:
        """Open a link on a phone."""
        return self._see(self.try_to_open(link))

    def choose(self, words: WordPair | None, nonce: str = "") -> PhoneView:
        """Say which words are on the kiosk's screen. The nonce is a new one unless it is given."""
        return self._see(self.try_to_choose(words, nonce or secrets.token_urlsafe()))

    def try_to_choose(self, words: WordPair | None, nonce: str) -> httpx.Response:
        self.nonce = nonce
        return self.ask("words", ChooseWords(**self._phone, words=words, nonce=nonce))

    def hand_over(self, id_token: str, access_token: str) -> PhoneView:
        return self._see(self.try_to_hand_over(id_token, access_token))

    def try_to_hand_over(self, id_token: str, access_token: str) -> httpx.Response:
        return self.ask("tokens", HandOver(**self._phone, id_token=id_token, access_token=access_token))

    def view(self) -> PhoneView:
        return self._see(self.try_to_view())

    def try_to_view(self) -> httpx.Response:
        return self.ask("view", PhoneRequest(**self._phone))

    def end(self, how: EndedAt, code: str = "", support: str = "") -> PhoneView:
        return self._see(self.try_to_end(how, code, support))

    def try_to_end(self, how: EndedAt, code: str = "", support: str = "") -> httpx.Response:
        return self.ask("end", EndAtPhone(**self._phone, how=how, code=code, support=support))

    @property
    def _phone(self) -> dict[str, str]:
        assert self.seen
        return {"id": self.seen.id, "phone": self.seen.phone}

    def _see(self, answer: httpx.Response) -> PhoneView:
        self.seen = _read(answer, PhoneView)
        return self.seen


@dataclass
class Entra:
    """Issues the tokens that Entra ID gives to the sign-in page, ``client``. Changes replace their usual claims."""

    sandbox: RunningSandbox
    client: str
    clock: Clock = field(default_factory=SystemClock)

    def id_token(self, person: str, nonce: str, **changes: Any) -> str:
        now = int(self.clock.utc().timestamp())
        claims: dict[str, Any] = {
            "aud": self.client, "nonce": nonce, "auth_time": now, "iat": now, "nbf": now, "exp": now + 3600,
            "acrs": ["c7"], "amr": ["pwd", "mfa"], "scp": None, "azp": None, "azpacr": None, "roles": None,
        }  # fmt: skip
        return self.sandbox.token(person, **(claims | changes))

    def access_token(self, person: str, **changes: Any) -> str:
        now = int(self.clock.utc().timestamp())
        claims: dict[str, Any] = {
            "azp": self.client,
            "azpacr": "2",
            "auth_time": now,
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
        }
        return self.sandbox.token(person, **(claims | changes))


@contextmanager
def connected(url: str) -> Iterator[httpx.Client]:
    """Connect to a broker on a unix socket."""
    transport = httpx.HTTPTransport(uds=url.removeprefix(UNIX_PREFIX), verify=no_authorities())
    with httpx.Client(transport=transport, base_url="http://broker", timeout=30, trust_env=False) as http:
        yield http


@contextmanager
def at_the_page(url: str) -> Iterator[AtThePage]:
    """Connect to a broker as the sign-in page, on its socket."""
    with connected(url) as http:
        yield AtThePage(http)


_Message = TypeVar("_Message", bound=Message)


def _read(answer: httpx.Response, kind: type[_Message]) -> _Message:
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=kind)
