"""What an attacker tries against a sign-in on the phone. The table of threats in SECURITY.md names these tests."""

from __future__ import annotations

import contextlib
import getpass
import http.client
import os
import pwd
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kiosk.secret import VisitKeys
from kiosk.sign_in_messages import EndedAt, Stage
from tests.broker.conftest import Start
from tests.broker.sign_ins.conftest import Meet, Parties
from tests.support.broker import RunningBroker, broker_config, problem_code, running_broker
from tests.support.client_certificates import Authority, client_context
from tests.support.clock import ManualClock
from tests.support.sandbox import RunningSandbox
from tests.support.sign_ins import PAGE, AtTheKiosk, AtThePage, Entra
from tests.support.sockets import free_port


def test_a_forwarded_link_is_dead_after_a_minute(meet: Meet) -> None:
    """A picture of the kiosk's screen that somebody sends to a victim."""
    clock = ManualClock()
    with meet(clock) as parties:
        forwarded = parties.kiosk.begin().view.scan
        clock.advance(59)
        assert parties.kiosk.view().scan != forwarded
        clock.advance(1)
        assert problem_code(parties.page.try_to_open(forwarded)) == "phone_link_unknown"
        parties.page.open(parties.kiosk.view().scan)


def test_a_forwarded_link_brings_no_digits_to_the_one_who_forwarded_it(parties: Parties) -> None:
    """The victim signs in, and the digits are on the victim's phone only."""
    shown = parties.until_digits()
    seen = parties.kiosk.view()
    assert shown.digits not in f"{[getattr(seen, name) for name in seen.__struct_fields__]}"
    stranger = parties.other_kiosk()
    stranger.begun = parties.kiosk.begun
    assert problem_code(stranger.confirm(shown.digits)) == "phone_sign_in_unknown"


def test_a_forwarded_link_is_for_somebody_who_sees_the_words(parties: Parties) -> None:
    begun = parties.kiosk.begin()
    opened = parties.page.open(begun.view.typed)
    assert len(opened.choices) == 3
    assert parties.page.choose(None).code == "phone_not_here"
    assert parties.kiosk.view().code == "phone_not_here"


def test_a_link_opens_once(parties: Parties) -> None:
    begun = parties.kiosk.begin()
    parties.page.open(begun.view.scan)
    for link in (begun.view.scan, begun.view.typed):
        assert problem_code(parties.other_phone().try_to_open(link)) == "phone_link_used"
    # The one who was first goes on.
    assert parties.page.choose(begun.words).stage is Stage.SIGNING_IN
    assert ("sign_in.refused", "phone_link_used") in parties.rows()


def test_a_link_that_is_opened_late_is_unknown(meet: Meet) -> None:
    clock = ManualClock()
    with meet(clock) as parties:
        link = parties.kiosk.begin().view.typed
        clock.advance(180)
        assert problem_code(parties.page.try_to_open(link)) == "phone_link_unknown"
        assert parties.kiosk.view().code == "phone_sign_in_expired"


def test_another_phone_cannot_go_on_with_a_sign_in(parties: Parties) -> None:
    """Fixation, or a cookie of another sign-in."""
    parties.until_signing_in()
    other, begun = parties.other_phone(), parties.other_kiosk().begin()
    seen = other.open(begun.view.scan)
    assert parties.page.seen
    other.seen = type(seen)(id=parties.page.seen.id, phone=seen.phone, stage=seen.stage, seconds_left=0)
    for ask in (other.try_to_view, lambda: other.try_to_hand_over("a.b.c", "a.b.c")):
        assert problem_code(ask()) == "phone_sign_in_unknown"
    assert parties.kiosk.view().stage is Stage.SIGNING_IN


def test_guessed_digits_are_refused_after_three_tries(parties: Parties) -> None:
    shown = parties.until_digits()
    guesses = [f"{(int(shown.digits) + number) % 10**6:06}" for number in range(1, 4)]
    codes = [problem_code(parties.kiosk.confirm(guess)) for guess in guesses]
    assert codes == ["digits_wrong", "digits_wrong", "digits_refused"]
    assert problem_code(parties.kiosk.confirm(shown.digits)) == "digits_refused"
    assert parties.page.view().code == "digits_refused"
    # Another attempt costs another sign-in of the victim.
    assert [row for row in parties.rows() if row[0] == "sign_in.confirmed"] == []


def test_a_stolen_token_serves_no_other_visit(parties: Parties, sandbox: RunningSandbox) -> None:
    shown = parties.until_digits()
    token = parties.kiosk.token(parties.kiosk.confirm(shown.digits))
    thief, mac = VisitKeys(), sandbox.device("NW-AKESSLER-14").id
    broker = parties.broker
    assert problem_code(broker.ask("GET", "/v1/session", token, keys=thief)) == "token_unconfirmed"
    assert problem_code(broker.ask("GET", "/v1/devices", token, keys=thief)) == "token_unconfirmed"
    assert broker.release(token, mac, keys=thief).code == "token_unconfirmed"
    assert problem_code(broker.ask("DELETE", "/v1/session", token, keys=thief)) == "token_unconfirmed"
    # Nor did these attempts take it from its visit.
    assert not broker.release(token, mac, keys=parties.kiosk.keys).code


def test_a_page_cannot_use_the_token_that_it_saw(parties: Parties, sandbox: RunningSandbox) -> None:
    """Neither before the digits were typed nor when they never are, and it cannot take the token from the visit."""
    parties.until_signing_in()
    token, broker, mac = parties.entra.access_token("ada"), parties.broker, sandbox.device("NW-AKESSLER-14").id
    ours = VisitKeys()
    refused = (
        broker.ask("GET", "/v1/session", token, keys=ours),
        broker.ask("GET", "/v1/devices", token, keys=ours),
        broker.release(token, mac, keys=ours).response,
        broker.ask("DELETE", "/v1/session", token, keys=ours),
    )
    assert [problem_code(answer) for answer in refused] == ["token_unconfirmed"] * 4
    # Even the visit itself needs the digits first.
    assert broker.release(token, mac, keys=parties.kiosk.keys).code == "token_unconfirmed"
    shown = parties.page.hand_over(parties.entra.id_token("ada", parties.page.nonce), token)
    assert broker.release(token, mac, keys=ours).code == "token_unconfirmed"
    assert parties.kiosk.token(parties.kiosk.confirm(shown.digits)) == token
    assert not broker.release(token, mac, keys=parties.kiosk.keys).code


def test_one_token_confirms_one_visit(parties: Parties) -> None:
    """A page that hands over the tokens of one person to two kiosks."""
    shown = parties.until_digits()
    access_token = parties.kiosk.token(parties.kiosk.confirm(shown.digits))
    accomplice, phone = parties.other_kiosk(), parties.other_phone()
    begun = accomplice.begin()
    phone.open(begun.view.scan)
    phone.choose(begun.words)
    shown = phone.hand_over(parties.entra.id_token("ada", phone.nonce), access_token)
    assert problem_code(accomplice.confirm(shown.digits)) == "token_bound"
    assert phone.view().code == accomplice.view().code == "phone_tokens_refused"
    bound, ended = parties.broker.rows("sign_in")[-2:]
    assert [(row["outcome"], row["uti"]) for row in (bound, ended)] == [
        ("token_bound", ""),
        ("phone_tokens_refused", ""),
    ]


def test_an_answer_for_another_sign_in_is_refused(parties: Parties) -> None:
    """A page, or somebody who injects an answer, uses the id token of one sign-in for another."""
    parties.until_signing_in()
    stolen = parties.entra.id_token("ada", parties.page.nonce)
    accomplice, phone = parties.other_kiosk(), parties.other_phone()
    begun = accomplice.begin()
    phone.open(begun.view.scan)
    phone.choose(begun.words)
    assert phone.hand_over(stolen, parties.entra.access_token("ada")).code == "phone_nonce_wrong"
    assert accomplice.view().code == "phone_nonce_wrong"
    # With the same nonce it does not get that far.
    begun = accomplice.begin()
    phone.open(begun.view.scan)
    assert phone.choose(begun.words, parties.page.nonce).code == "phone_nonce_wrong"
    assert parties.kiosk.view().stage is Stage.SIGNING_IN


LIES: dict[str, tuple[dict[str, Any], str]] = {
    "an id token of another person": ({"oid": "bbbbbbbb-2222-3333-4444-555555555555"}, "phone_tokens_refused"),
    "an id token for another application": ({"aud": "aaaaaaaa-2222-3333-4444-555555555555"}, "phone_tokens_refused"),
    "an id token with another nonce": ({"nonce": "that of yesterday"}, "phone_nonce_wrong"),
    "a sign-in of an hour ago": ({"auth_time": 1}, "phone_sign_in_stale"),
    "no time of the sign-in": ({"auth_time": None}, "phone_no_auth_time"),
    "a weaker sign-in": ({"acrs": ["c1"]}, "phone_no_context"),
    "a forged id token": ({"signed": "foreign"}, "phone_tokens_refused"),
}


def test_a_page_that_lies_to_the_broker_gets_no_digits(meet: Meet) -> None:
    with meet(sign_in={"context": "c7"}) as parties:
        for claims, code in LIES.values():
            shown = parties.until_digits(**claims)
            assert (shown.stage, shown.code, shown.digits) == (Stage.ENDED, code, "")
            assert parties.kiosk.view().code == code
        # Tokens of two people.
        parties.until_signing_in()
        tokens = parties.entra.id_token("ada", parties.page.nonce), parties.entra.access_token("priya")
        assert parties.page.hand_over(*tokens).code == "phone_tokens_refused"
        assert len(parties.rows()) == len(LIES) + 1


def test_a_page_may_do_nothing_that_a_kiosk_may(parties: Parties, sandbox: RunningSandbox) -> None:
    on_page = AtTheKiosk(parties.page.http)
    assert problem_code(on_page.try_to_begin()) == "kiosk_not_known"
    on_page.begun = parties.kiosk.begin()
    for answer in (on_page.ask("GET", on_page.path), on_page.confirm("123456"), on_page.cancel()):
        assert (answer.status_code, problem_code(answer)) == (403, "kiosk_not_known")
    token = parties.entra.access_token("ada")
    page = RunningBroker(parties.broker.config, parties.page.http)
    assert problem_code(page.ask("GET", "/v1/session", token)) == "kiosk_not_known"
    assert problem_code(page.ask("GET", "/v1/devices", token)) == "kiosk_not_known"
    assert page.release(token, sandbox.device("NW-AKESSLER-14").id).code == "kiosk_not_known"
    lost = page.ask("POST", "/v1/releases/00000000-0000-0000-0000-000000000001/lost", json={"how": "crashed"})
    assert problem_code(lost) == "kiosk_not_known"


def test_a_kiosk_may_do_nothing_that_the_page_may(parties: Parties) -> None:
    parties.until_signing_in()
    as_page = AtThePage(parties.broker.http, parties.page.seen)
    answers = (
        as_page.alive(),
        as_page.try_to_open("K7Q2M9XD"),
        as_page.try_to_choose((1, 2), "x" * 20),
        as_page.try_to_hand_over("a.b.c", "a.b.c"),
        as_page.try_to_view(),
        as_page.try_to_end(EndedAt.NOT_ME),
    )
    assert [(answer.status_code, problem_code(answer)) for answer in answers] == [(403, "sign_in_page_not_known")] * 6
    assert parties.kiosk.view().stage is Stage.SIGNING_IN
    assert ("sign_in.refused", "sign_in_page_not_known") in parties.rows()


@pytest.mark.parametrize(("user", "may"), [("nobody", True), (getpass.getuser(), False), ("www-data", False)])
def test_on_one_socket_the_user_says_who_is_the_page(
    start: Start, user: str, may: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the socket of kiosks the kernel names the user, here this one; only another one can be the page."""
    with start(sign_in={"method": "web", "page": PAGE, "page_user": user}) as broker:
        kiosk = AtTheKiosk(broker.http).try_to_begin()
        page = AtThePage(broker.http).alive()
    ours = user == getpass.getuser()
    assert kiosk.status_code == (403 if ours else 200)
    assert page.status_code == (204 if ours else 403)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an authority and the certificates of a kiosk, the sign-in page, and a stranger."""
    folder, authority = tmp_path_factory.mktemp("certificates"), Authority()
    (folder / "ca.pem").write_bytes(authority.certificate)
    authority.issue(folder / "kiosk.pem", "desk7.kiosks.example")
    authority.issue(folder / "page.pem", "page.example")
    Authority("Others").issue(folder / "stranger.pem", "desk7.kiosks.example")
    return folder


@contextlib.contextmanager
def over_tls(sandbox: RunningSandbox, url: str, certificate: Path | None) -> Iterator[httpx.Client]:
    context = client_context(sandbox.ca, certificate)
    with httpx.Client(base_url=url, verify=context, timeout=30, trust_env=False) as http:
        yield http


def test_a_kiosk_without_certificate_cannot_begin(sandbox: RunningSandbox, place: Path, certificates: Path) -> None:
    url = f"https://localhost:{free_port()}"
    listen = {
        "url": url, "certificate": sandbox.directory / "server.pem", "key": sandbox.directory / "server-key.pem",
        "client_ca": certificates / "ca.pem",
    }  # fmt: skip
    sign_in = {"method": "web", "page": PAGE, "page_certificate": "Page.Example"}
    config = broker_config(sandbox.directory, place, listen=listen, sign_in=sign_in, limits={"sign_ins_per_hour": 3})
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(running_broker(config, ca_bundle=sandbox.ca))
        one, page_http, other = (
            stack.enter_context(over_tls(sandbox, url, certificates / f"{name}.pem"))
            for name in ("kiosk", "page", "stranger")
        )
        for stranger in (broker.http, other):
            with pytest.raises((httpx.TransportError, ssl.SSLError)):
                AtTheKiosk(stranger).try_to_begin()
        kiosk, page = AtTheKiosk(one, "somewhere else tty3"), AtThePage(page_http)
        assert page.open(kiosk.begin().view.scan).terminal == "desk7.kiosks.example else tty3"
        # Each certificate is good for one side.
        assert problem_code(AtTheKiosk(page_http).try_to_begin()) == "kiosk_not_known"
        assert problem_code(AtThePage(one, page.seen).try_to_view()) == "sign_in_page_not_known"
        assert page.choose(kiosk.begun.words if kiosk.begun else None).stage is Stage.SIGNING_IN
        entra = Entra(sandbox, config.tokens.client)
        shown = page.hand_over(entra.id_token("ada", page.nonce), entra.access_token("ada"))
        assert kiosk.confirm(shown.digits).status_code == 200
        row = broker.rows("sign_in.confirmed")[0]
        assert row["terminal"] == "desk7.kiosks.example else tty3"
        assert "page=page.example" in row["detail"]
        # The limit is for the certificate, whatever the kiosk calls itself.
        codes = [AtTheKiosk(one, f"desk{number} tty1").try_to_begin().status_code for number in range(3)]
        assert codes == [200, 200, 429]


class _OfAnotherUser(httpx.BaseTransport):
    """Connects to a socket as another user of this machine, for each request."""

    def __init__(self, path: str, uid: int) -> None:
        self._path, self._uid = path, uid

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with contextlib.closing(http.client.HTTPConnection("broker")) as connection:
            connection.sock = socket.socket(socket.AF_UNIX)
            ours = os.geteuid()
            # The kernel notes who connects, not who sends.
            os.seteuid(self._uid)
            try:
                connection.sock.connect(self._path)
            finally:
                os.seteuid(ours)
            connection.request(request.method, request.url.raw_path.decode(), request.read(), dict(request.headers))
            answer = connection.getresponse()
            return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can connect as another user")
def test_a_terminal_cannot_end_the_sign_in_of_somebody_elses(parties: Parties) -> None:
    """Not by its name: the names of terminals are no secret, and the header that has them proves nothing."""
    begun = parties.kiosk.begin()
    path = parties.broker.config.listen.url.removeprefix("unix:")
    Path(path).chmod(0o666)
    Path(path).parent.chmod(0o711)
    with httpx.Client(transport=_OfAnotherUser(path, pwd.getpwnam("nobody").pw_uid), base_url="http://broker") as other:
        neighbour = AtTheKiosk(other, parties.kiosk.terminal)
        neighbour.begin()
        neighbour.begun = begun
        assert problem_code(neighbour.cancel()) == "phone_sign_in_unknown"
    assert parties.kiosk.view().stage is Stage.WAITING


def test_not_me_ends_it_before_the_digits_are_typed(parties: Parties) -> None:
    shown = parties.until_digits()
    parties.page.end(EndedAt.NOT_ME)
    assert problem_code(parties.kiosk.confirm(shown.digits)) == "phone_not_me"
    assert [outcome for _, outcome in parties.rows()] == ["phone_not_me"]
