"""The page's cookie, its headers, addresses behind proxies, languages, and its start."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from kiosk import i18n
from kiosk.broker.sign_ins.sign_in import KEPT_SECONDS, SECONDS
from kiosk.cli.main import cli
from kiosk.clock import SystemClock
from kiosk.config.sign_in_page import PageBroker, PageOrganisation
from kiosk.errors import BY_CODE, ConfigError, PhoneSignInError, SignInError, SignInPageNotKnown
from kiosk.i18n import LANGUAGES, SOURCE, translations
from kiosk.net.server_tls import Tls, server_tls
from kiosk.sign_in_messages import PhoneRequest, PhoneView, Stage
from kiosk.sign_in_page.broker import Broker, _checked
from kiosk.sign_in_page.cookie import LONGEST_SECONDS, Cookies, State, cookie_key
from kiosk.sign_in_page.headers import origin_of
from kiosk.sign_in_page.pages import Pages, language_for
from kiosk.sign_in_page.phone_address import phone_address
from kiosk.sign_in_page.server import build
from tests.support.client_certificates import Authority
from tests.support.clock import ManualClock
from tests.support.sign_in_page import VIEW, BrokerInPlace, Page, credential, page_config

TEMPLATES = Path(i18n.__file__).parent / "sign_in_page" / "templates"
CLOCK = ManualClock()
STATE = State(
    id="i",
    phone="a-secret",
    link="K7Q2M9XD",
    made=CLOCK.utc().timestamp(),
    language="de",
    form="f",
    flow={"code_verifier": "v" * 2500},
)


def test_two_pages_with_one_key_read_the_same_cookies_and_nobody_else() -> None:
    key = serialization.load_pem_private_key(credential(), None)
    assert isinstance(key, RSAPrivateKey)
    value = Cookies(lambda: [cookie_key(key)], CLOCK).header(STATE).partition("=")[2].partition(";")[0]
    assert Cookies(lambda: [b"n" * 32, cookie_key(key)], CLOCK).state(value) == STATE
    assert Cookies(lambda: [b"n" * 32], CLOCK).state(value) is None
    assert "a-secret" not in value
    assert "a-secret" not in repr(STATE)
    header = Cookies(lambda: [b"n" * 32], CLOCK).header(STATE)
    assert header.startswith("__Host-sign-in=")
    assert header.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")
    assert len(header) < 4096


def test_a_cookie_is_good_for_the_longest_sign_in() -> None:
    assert sum(SECONDS.values()) - SECONDS[Stage.WAITING] + KEPT_SECONDS == LONGEST_SECONDS
    clock = ManualClock()
    cookies = Cookies(lambda: [b"k" * 32], clock)
    value = cookies.header(STATE).partition("=")[2].partition(";")[0]
    clock.advance(LONGEST_SECONDS)
    assert cookies.state(value) == STATE
    clock.advance(1)
    assert cookies.state(value) is None


async def test_every_answer_has_the_headers(page: Page) -> None:
    page.broker.say(VIEW)
    for path in ("/", "/sign-in", "/status", "/static/page.js", "/static/none", "/nothing/here", "/K7Q2M9XD"):
        headers = (await page.phone.get(path)).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'"), path
        assert "form-action 'self'; frame-ancestors 'none'; base-uri 'none'" in policy
        assert "unsafe" not in policy
        assert headers["strict-transport-security"].startswith("max-age=")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == ("max-age=600" if path == "/static/page.js" else "no-store")
        assert "server" not in headers
    assert "attachment" not in str(headers)


@pytest.mark.parametrize(
    ("peer", "forwarded", "forwarded_for", "proxies", "found"),
    [
        ("198.51.100.7", [], ["203.0.113.9"], [], "198.51.100.7"),
        ("", [], ["203.0.113.9, 198.51.100.7"], [], "198.51.100.7"),
        ("", [], ["203.0.113.9", "198.51.100.7:4711"], [], "198.51.100.7"),
        ("10.0.0.1", [], ["203.0.113.9, 198.51.100.7, 10.0.0.2"], ["10.0.0.1", "10.0.0.2"], "198.51.100.7"),
        ("", ['for=203.0.113.9, for="[2001:db8::7]:4711";proto=https'], [], [], "2001:db8::7"),
        ("", ["for=203.0.113.9"], ["198.51.100.7"], [], ""),
        ("", ["for=_hidden"], [], [], ""),
        ("", [], ["<script>"], [], ""),
        ("", [], [], [], ""),
        ("::ffff:198.51.100.7", [], [], [], "198.51.100.7"),
    ],
)
def test_the_address_of_the_phone(
    peer: str, forwarded: list[str], forwarded_for: list[str], proxies: list[str], found: str
) -> None:
    assert phone_address(peer, forwarded, forwarded_for, proxies) == found


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de-CH, en;q=0.8", "de"),
        ("ja, nn-NO;q=0.7, en;q=0.3", "nb"),
        ("en;q=0.2, pt-BR;q=0.9", "pt"),
        ("x;q=y, *", "en"),
        ("fi;q=9", "en"),
    ],
)
def test_the_language_of_the_browser(accepted: str, language: str) -> None:
    assert language_for(accepted) == language


def test_the_origin_is_written_as_browsers_write_it() -> None:
    assert origin_of("https://GO.example:443/") == "https://go.example"
    assert origin_of("https://[::1]:8443") == "https://[::1]:8443"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_in_one_language(language: str) -> None:
    pages = Pages(PageOrganisation(name="Nordwind", helpdesk="1.07"))
    state = replace_flow({"auth_uri": "https://login.example/?a=1&b=2"})
    texts = [pages.start(language)]
    for stage in (Stage.OPENED, Stage.SIGNING_IN, Stage.CONFIRMING, Stage.CONFIRMED):
        view = msgspec.structs.replace(VIEW, stage=stage, language=language, digits="471093", name="Ada", address="a@b")
        texts.append(pages.of_stage(view, state))
    english = translations(SOURCE)
    kinds = [kind for kind in BY_CODE.values() if issubclass(kind, SignInError)]
    texts += [pages.ended(kind(reference="R"), language) for kind in (kinds if language == "de" else kinds[:2])]
    for text in texts:
        assert text.startswith(f'<!doctype html>\n<html lang="{language}">')
        assert text.count("<h1>") == 1
        assert "<!--" not in text
        assert "{" not in text
        title = re.search("<title>(.*) – Nordwind</title>", text)
        assert title
        assert title[1] == re.search("<h1>(.*)</h1>", text)[1]  # type: ignore[index]
    if language != SOURCE:
        assert "Which words" in english.gettext("Which words are on the screen in front of you?")
        assert "Which words" not in texts[1]
        assert "seconds for this" not in texts[3]


def replace_flow(flow: dict[str, Any]) -> State:
    return msgspec.structs.replace(STATE, flow=flow)


def test_an_ended_sign_in_of_a_newer_broker_has_words() -> None:
    pages = Pages(PageOrganisation(name="Nordwind", helpdesk="1.07"))
    view = msgspec.structs.replace(VIEW, stage=Stage.ENDED, code="of_a_newer_broker", reference="REF")
    assert "REF" in pages.of_stage(view, STATE)
    assert issubclass(BY_CODE["phone_forged"], PhoneSignInError)


@pytest.mark.parametrize(
    "odd",
    [
        {"id": ""},
        {"choices": ((1, 99),)},
        {"choices": ((-1, 2),)},
        {"choices": ()},
        {"stage": Stage.CONFIRMING, "digits": "<b>"},
    ],
    ids=str,
)
def test_a_view_that_cannot_be_shown_is_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(BY_CODE["broker_garbled"]):
        _checked(msgspec.structs.replace(VIEW, **odd))


def test_foreign_text_is_cleaned() -> None:
    view: PhoneView = _checked(
        msgspec.structs.replace(VIEW, name="Ada\u202e\nKessler", language="xx", seconds_left=float("nan"))
    )
    assert (view.name, view.language, view.seconds_left) == ("Ada\ufffd Kessler", "en", 0.0)


def test_mistakes_in_the_configuration_are_named(tmp_path: Path) -> None:
    config = page_config(tmp_path, "https://login.example")
    for listen, expected in (
        (msgspec.structs.replace(config.listen, address="https://go.example/path"), "listen.address"),
    ):
        with pytest.raises(ConfigError, match=expected):
            build(msgspec.structs.replace(config, listen=listen), SystemClock())
    broker = msgspec.structs.replace(config.broker, certificate=tmp_path / "ca.pem")
    with pytest.raises(ConfigError, match=r"broker\.certificate, broker\.key"):
        build(msgspec.structs.replace(config, broker=broker), SystemClock())
    (tmp_path / "sign-in.pem").write_text("-----BEGIN NOTHING")
    with pytest.raises(ConfigError, match=r"entra\.certificate"):
        build(config, SystemClock())


def test_the_command_refuses_an_open_key(tmp_path: Path) -> None:
    page_config(tmp_path, "https://login.example")
    (tmp_path / "sign-in.pem").chmod(0o644)
    (tmp_path / "sign-in.toml").write_text(
        '[organisation]\nname = "N"\nhelpdesk = "h"\n[listen]\naddress = "https://go.example"\n'
        '[entra]\nauthority = "https://login.example/t"\nclient_id = "c"\nscope = "s"\ncertificate = "sign-in.pem"\n'
    )
    done = CliRunner().invoke(cli, ["sign-in", "--config", str(tmp_path / "sign-in.toml")])
    assert done.exit_code == 2
    assert "0644" in done.output


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.stem)
def test_no_word_of_a_template_is_without_a_mark(path: Path) -> None:
    text = re.sub(r"\{% block stage %\}.*", "", path.read_text())
    text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", text, flags=re.DOTALL)
    assert not re.search(r"\w", re.sub(r"<[^>]*>", "", text))


async def test_many_phones_share_a_few_connections_to_the_broker(tmp_path: Path) -> None:
    opened, answer = asyncio.Semaphore(0), asyncio.Event()
    at_once: set[asyncio.StreamWriter] = set()
    place = BrokerInPlace()
    place.say(VIEW)
    most = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most
        at_once.add(writer)
        most = max(most, len(at_once))
        opened.release()
        await answer.wait()
        await place.serve(reader, writer)
        at_once.remove(writer)

    async with await asyncio.start_unix_server(serve, tmp_path / "broker.sock"):
        client = Broker(PageBroker(url=f"unix:{tmp_path}/broker.sock"))
        asking = [asyncio.create_task(client.view(PhoneRequest(id="i", phone="p"))) for _ in range(20)]
        for _ in range(8):
            await opened.acquire()
        for _ in range(200):
            await asyncio.sleep(0)
        answer.set()
        assert {view.place for view in await asyncio.gather(*asking)} == {VIEW.place}
        assert most == 8
        await client.aclose()


async def test_over_https_the_page_shows_the_broker_its_certificate(tmp_path: Path) -> None:
    clients, server = Authority(), trustme.CA()
    clients.issue(tmp_path / "page.pem", "sign-in.example")
    (tmp_path / "clients.pem").write_bytes(clients.certificate)
    server.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    tls = server_tls(Tls(tmp_path / "server.pem", tmp_path / "server.pem", tmp_path / "clients.pem"))
    broker = BrokerInPlace()
    broker.say(VIEW)
    async with await asyncio.start_server(broker.serve, "127.0.0.1", 0, ssl=tls) as listener:
        url = f"https://localhost:{listener.sockets[0].getsockname()[1]}"
        settings = PageBroker(url=url, ca_bundle=tmp_path / "ca.pem")
        shown = msgspec.structs.replace(settings, certificate=tmp_path / "page.pem", key=tmp_path / "page.pem")
        client, nameless = Broker(shown), Broker(settings)
        assert (await client.view(PhoneRequest(id="i", phone="p"))).place == VIEW.place
        with pytest.raises(SignInPageNotKnown):
            await nameless.view(PhoneRequest(id="i", phone="p"))
        await client.aclose()
        await nameless.aclose()
