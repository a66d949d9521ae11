"""A sign-in page on a real socket, with a sign-in service on loopback, and a broker that answers as the test says."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import html
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kiosk.broker.problems import document
from kiosk.clock import Clock, SystemClock
from kiosk.config.sign_in_page import EntraSettings, PageBroker, PageListen, PageOrganisation, SignInPageConfig
from kiosk.errors import KioskError
from kiosk.net import serving
from kiosk.net.listening import limits, listening
from kiosk.net.tls import no_authorities
from kiosk.sign_in_messages import PhoneView, Stage
from kiosk.sign_in_page.cookie import NAME
from kiosk.sign_in_page.server import build
from tests.support.authority import LoopbackAuthority, ca_pem, loopback_authority

ADDRESS = "https://go.nordwind.example"
LINK = "K7Q2M9XD"
CLIENT, TENANT = "11111111-2222-3333-4444-555555555555", "/99999999-8888-7777-6666-555555555555"
_TOKEN = re.compile(r'name="form" value="([^"]+)"')
_MAIN = re.compile(r'<main data-stage="([a-z_]*)" data-code="([a-z_]*)">')
_REFRESH = re.compile(r'<meta http-equiv="refresh" content="0;url=([^"]*)">')
NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-site": "none"}

VIEW = PhoneView(
    id="signin-1",
    phone="secret-of-the-phone",
    stage=Stage.OPENED,
    seconds_left=119.4,
    language="en",
    place="desk 7 <by the lift>",
    terminal="kiosk-7",
    choices=((1, 2), (12, 40), (5, 6)),
)

Said: TypeAlias = PhoneView | KioskError | bytes | None


class BrokerInPlace:
    """Answers each request of the page with what a test has put there. None: it takes the request and hangs."""

    def __init__(self) -> None:
        self.answers: dict[str, Said] = {"alive": b""}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.alive = asyncio.Event()

    def say(self, view: Said, *what: str) -> None:
        """Answer these requests, or all, with this."""
        for one in what or ("open", "view", "words", "tokens", "end"):
            self.answers[one] = view

    def bodies(self, what: str) -> list[dict[str, Any]]:
        """Return the bodies of all requests of one kind."""
        return [body for asked, body in self.asked if asked == what]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, then close the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
        lengths = [line.partition(":")[2] for line in head.splitlines() if line.lower().startswith("content-length:")]
        body = await reader.readexactly(int(lengths[0]) if lengths else 0)
        what = head.split()[1].removeprefix("/v1/page/")
        self.asked.append((what, json.loads(body)))
        if what == "alive":
            self.alive.set()
        said = self.answers[what]
        status = said.status if isinstance(said, KioskError) else 200
        match said:
            case None:
                await reader.read()
                content = b""
            case bytes():
                content = said
            case KioskError():
                content = msgspec.json.encode(document(said, status))
            case _:
                content = msgspec.json.encode(said)
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (status, len(content)))
        writer.write(content)
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()


@dataclass
class Phone:
    """A phone's browser: it follows no redirects by itself, and keeps one cookie."""

    http: httpx.AsyncClient = field(repr=False)
    cookie: str = ""
    last: httpx.Response | None = None

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Open an address of the page, as somebody does who taps or scans it."""
        return await self.ask(
            "GET", path, NAVIGATION | {name.replace("_", "-"): value for name, value in headers.items()}
        )

    async def post(self, path: str, /, **fields: str) -> httpx.Response:
        """Send a form of the page that is shown."""
        token = _TOKEN.search(self.text)
        values = {"form": token[1] if token else ""} | fields
        headers = {"sec-fetch-site": "same-origin", "content-type": "application/x-www-form-urlencoded"}
        return await self.ask("POST", path, headers, urlencode(values))

    async def ask(self, method: str, path: str, headers: Mapping[str, str], content: str = "") -> httpx.Response:
        """Send any request, and keep the cookie of the answer."""
        cookie = {"cookie": f"{NAME}={self.cookie}"} if self.cookie else {}
        self.last = await self.http.request(method, path, headers={**headers, **cookie}, content=content)
        if made := self.last.headers.get("set-cookie"):
            self.cookie = made.partition("=")[2].partition(";")[0]
        return self.last

    async def scan(self, link: str = LINK) -> httpx.Response:
        """Open a link, and follow it to the page."""
        answer = await self.get(f"/{link}")
        return await self.get(answer.headers["location"]) if answer.status_code == 303 else answer

    @property
    def text(self) -> str:
        """What the last page says, as its source."""
        return self.last.text if self.last else ""

    @property
    def shown(self) -> tuple[str, str]:
        """The stage and the error's code of the last page."""
        found = _MAIN.search(self.text)
        assert found, self.text
        return found[1], found[2]

    @property
    def leads_on(self) -> str:
        """The address to which the last page leads on at once."""
        found = _REFRESH.search(self.text)
        return html.unescape(found[1]) if found else ""

    @property
    def words(self) -> str:
        """The visible text of the last page."""
        body = self.text.partition("<body>")[2]
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


@dataclass
class Page:
    """A running page. ``phone`` is the first phone; ``another`` returns more."""

    broker: BrokerInPlace
    entra: LoopbackAuthority
    config: SignInPageConfig
    phone: Phone

    def another(self) -> Phone:
        """Return another phone."""
        return Phone(self.phone.http)

    async def to_entra(self) -> dict[str, str]:
        """Scan, choose the right words, and return the query with which the phone is sent to Entra ID."""
        self.broker.say(VIEW)
        self.broker.say(msgspec.structs.replace(VIEW, stage=Stage.SIGNING_IN), "words")
        await self.phone.scan()
        answer = await self.phone.post("/words", words="12-40")
        assert answer.status_code == 303
        self.broker.say(self.broker.answers["words"], "view")
        await self.phone.get(answer.headers["location"])
        asked = urlsplit(self.phone.leads_on)
        return {name: values[0] for name, values in parse_qs(asked.query).items()}

    def grant(self, nonce: str, **more: object) -> None:
        """Have the token endpoint answer with tokens."""
        claims = {"nonce": nonce, "iat": 0, "exp": 9, "sub": "s", "aud": CLIENT, "iss": "i"}
        tokens = {
            "access_token": "access-token-of-ada",
            "id_token": jwt(claims),
            "token_type": "Bearer",
            "expires_in": 99,
        }
        self.entra.documents[f"{TENANT}/token"] = tokens | more

    def refuse(self, status: str, content: object) -> None:
        """Have the token endpoint answer otherwise."""
        self.entra.statuses[f"{TENANT}/token"], self.entra.documents[f"{TENANT}/token"] = status, content


def jwt(claims: dict[str, object]) -> str:
    """Return a token that nobody signed. The page reads none, and the broker is not there."""
    return ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b"{}", json.dumps(claims).encode(), b"x")
    )


@functools.cache
def credential() -> bytes:
    """Return a certificate and its private key in PEM."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Kiosk sign-in")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=9)
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def page_config(place: Path, authority: str, broker_seconds: int = 30, **listen: Any) -> SignInPageConfig:
    """Write the files of a page, and return its configuration."""
    (place / "sign-in.pem").write_bytes(credential())
    (place / "sign-in.pem").chmod(0o600)
    (place / "ca.pem").write_bytes(ca_pem())
    return SignInPageConfig(
        organisation=PageOrganisation(name="Nordwind & Sons", helpdesk="room 1.07"),
        listen=PageListen(address=ADDRESS, url=f"unix:{place}/page.sock", **listen),
        entra=EntraSettings(
            authority=authority + TENANT,
            client_id=CLIENT,
            certificate=place / "sign-in.pem",
            scope="api://kiosk/Session.Open",
            context="c7",
            ca_bundle=place / "ca.pem",
        ),
        broker=PageBroker(url=f"unix:{place}/broker.sock", total_seconds=broker_seconds),
    )


@contextlib.asynccontextmanager
async def running_page(config: SignInPageConfig, clock: Clock | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Run a page on its unix socket; yields a client for it."""
    clock = clock or SystemClock()
    with listening(config.listen, "sign-in.toml") as (sock, tls):
        server = serving.Server(build(config, clock).app(), limits=limits(config.listen), clock=SystemClock(), tls=tls)
        task = asyncio.create_task(server.serve([sock]))
        transport = httpx.AsyncHTTPTransport(uds=config.listen.url.removeprefix("unix:"), verify=no_authorities())
        try:
            async with httpx.AsyncClient(
                transport=transport, base_url="http://page", trust_env=False, timeout=30
            ) as http:
                yield http
        finally:
            server.should_exit = True
            await task


@contextlib.asynccontextmanager
async def whole_page(place: Path, clock: Clock | None = None, **more: Any) -> AsyncIterator[Page]:
    """Run a page with a sign-in service and a broker in place."""
    broker = BrokerInPlace()
    async with (
        loopback_authority() as entra,
        await asyncio.start_unix_server(broker.serve, place / "broker.sock"),
    ):
        config = page_config(place, entra.url, **more)
        issuer = config.entra.authority
        entra.documents[f"{TENANT}/v2.0/.well-known/openid-configuration"] = {
            "issuer": f"{issuer}/v2.0",
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
        }
        async with running_page(config, clock) as http:
            yield Page(broker, entra, config, Phone(http))
