"""The authorization code flow: the endpoint, its page and the grant, as MSAL and as a bare browser see them."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import jwt
import msal
import pytest

from kiosk.net.msal_http import MsalHttp
from tests.support.msal_http import msal_http
from tests.support.sandbox import RunningSandbox

# A cookie with SameSite=Lax, which the page needs, would not come with the form of a page of Entra ID.
pytestmark = pytest.mark.filterwarnings("ignore:response_mode='form_post' is recommended")
STATE = "st-8"
VERIFIER = secrets.token_urlsafe(48)
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
WISH = {"acrs": {"essential": True, "value": "c7"}, "auth_time": {"essential": True}}


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return {"sign_in": {"method": "web"}}


@pytest.fixture
def http(sandbox: RunningSandbox) -> Iterator[MsalHttp]:
    with msal_http(sandbox.ca) as made:
        yield made


def page(sandbox: RunningSandbox, http: MsalHttp) -> msal.ConfidentialClientApplication:
    """Return what the sign-in page uses."""
    private, begin, public = (sandbox.directory / "sign-in.pem").read_text().partition("-----BEGIN CERTIFICATE-----")
    return msal.ConfidentialClientApplication(
        sandbox.data.tenant.sign_in.client_id,
        client_credential={"private_key": private, "public_certificate": begin + public},
        authority=sandbox.authority,
        http_client=http,
        instance_discovery=False,
        exclude_scopes=["offline_access"],
    )


@dataclass
class Entra:
    """What the authorization endpoint shows and sends."""

    sandbox: RunningSandbox
    client: httpx.Client = field(repr=False)

    @property
    def redirect_uri(self) -> str:
        return f"https://localhost:{self.port}/signed-in"

    @property
    def port(self) -> str:
        written = (self.sandbox.directory / "sign-in.toml").read_text()
        return written.partition("https://localhost:")[2].partition('"')[0]

    def fields(self, **changes: str | None) -> dict[str, str]:
        usual = {
            "client_id": self.sandbox.data.tenant.sign_in.client_id,
            "response_type": "code",
            "redirect_uri": self.redirect_uri,
            "scope": f"openid profile {self.sandbox.scope}",
            "state": STATE,
            "nonce": "n-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in (usual | changes).items() if value is not None}

    def ask(self, **changes: str | None) -> httpx.Response:
        tenant = changes.pop("tenant", self.sandbox.tenant)
        return self.client.get(f"/{tenant}/oauth2/v2.0/authorize", params=self.fields(**changes))

    def answer(self, shown: httpx.Response, **changes: str) -> httpx.Response:
        """Send the form of the page that was shown: approve as Ada Kessler."""
        form = Form(shown.text)
        ada = {"oid": self.sandbox.person("ada").oid, "answer": "approve"}
        return self.client.post(form.action, data=form.hidden | ada | changes)

    def code(self, **changes: str | None) -> str:
        return sent(self.answer(self.ask(**changes)))["code"]

    def redeem(self, code: str | None, **changes: str | None) -> httpx.Response:
        """Redeem a code of the public application, which needs no assertion."""
        usual = {
            "client_id": self.sandbox.data.tenant.kiosk_client.client_id,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": "http://localhost:8400",
            "code_verifier": VERIFIER,
        }
        form = {name: value for name, value in (usual | changes).items() if value is not None}
        return self.client.post(f"/{self.sandbox.tenant}/oauth2/v2.0/token", data=form)

    @property
    def public(self) -> dict[str, str]:
        """The fields of the public application."""
        client_id = self.sandbox.data.tenant.kiosk_client.client_id
        return {"client_id": client_id, "redirect_uri": "http://localhost:8400"}


class Form(HTMLParser):
    """The form of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.action = ""
        self.hidden: dict[str, str] = {}
        self.checked = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = given["action"]
        elif given.get("type") == "hidden":
            self.hidden[given["name"]] = given["value"]
        elif "checked" in given:
            self.checked = given["value"]


def sent(response: httpx.Response) -> dict[str, str]:
    """Return what the redirect carries to the application."""
    assert response.status_code == 302, response.text
    parts = urlsplit(response.headers["location"])
    return dict(parse_qsl(parts.query or parts.fragment))


def problem(response: httpx.Response) -> tuple[str, int]:
    """Return error and number that the redirect carries, and check that it has the state."""
    answer = sent(response)
    assert "code" not in answer
    assert answer["state"] == STATE
    return answer["error"], int(answer["error_description"].removeprefix("AADSTS").partition(":")[0])


def refused(response: httpx.Response) -> tuple[int, str, int]:
    body = response.json()
    return response.status_code, body["error"], body["error_codes"][0]


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


@pytest.fixture
def entra(sandbox: RunningSandbox, client: httpx.Client) -> Iterator[Entra]:
    yield Entra(sandbox, client)
    registered = sandbox.data.tenant.sign_in
    sandbox.register("sign_in", optional_claims=registered.optional_claims, contexts=None)


def test_msal_signs_a_person_in(entra: Entra, http: MsalHttp) -> None:
    app = page(entra.sandbox, http)
    flow = app.initiate_auth_code_flow(
        [entra.sandbox.scope],
        redirect_uri=entra.redirect_uri,
        prompt="login",
        max_age=0,
        claims_challenge=json.dumps({"id_token": WISH, "access_token": WISH}),
    )
    shown = entra.client.get(flow["auth_uri"])
    assert "Kiosk sign-in" in shown.text
    assert "Session.Open" in shown.text
    result = app.acquire_token_by_auth_code_flow(flow, sent(entra.answer(shown)))
    assert "error" not in result, result.get("error_description")
    assert "refresh_token" not in result
    ada, tenant = entra.sandbox.person("ada"), entra.sandbox.data.tenant
    identity = claims_of(result["id_token"])
    assert (identity["aud"], identity["oid"], identity["tid"]) == (tenant.sign_in.client_id, ada.oid, tenant.id)
    assert identity["iss"] == f"{entra.sandbox.authority}/v2.0"
    assert identity["nonce"] == parse_qs(urlsplit(flow["auth_uri"]).query)["nonce"][0]
    assert identity["acrs"] == ["c7"]
    access = claims_of(result["access_token"])
    assert (access["azp"], access["azpacr"]) == (tenant.sign_in.client_id, "2")
    assert (access["aud"], access["scp"], access["acrs"]) == (tenant.kiosk_api.client_id, "Session.Open", ["c7"])
    assert access["iat"] < access["auth_time"] == identity["auth_time"]


def test_the_hinted_person_is_preselected(entra: Entra) -> None:
    jonas = entra.sandbox.person("jonas")
    assert Form(entra.ask(login_hint=jonas.address).text).checked == jonas.oid
    assert Form(entra.ask(login_hint="nobody@elsewhere.example", domain_hint="elsewhere.example").text).checked == ""


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"client_id": None}, 900144),
        ({"client_id": "00000000-0000-0000-0000-000000000000"}, 700016),
        ({"tenant": "elsewhere.example"}, 90002),
        ({"redirect_uri": None}, 900971),
        ({"redirect_uri": "https://evil.example/signed-in"}, 50011),
        ({"redirect_uri": "http://localhost:8400"}, 50011),
        ({"response_mode": "web_message"}, 70007),
    ],
)
def test_errors_that_must_not_be_sent_anywhere(entra: Entra, changes: dict[str, str | None], number: int) -> None:
    shown = entra.ask(**changes)
    assert shown.status_code == 400
    assert f"AADSTS{number}" in shown.text
    assert 'role="alert"' in shown.text
    assert "set-cookie" not in shown.headers


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("/signed-in", True),
        ("/signed-in/", False),
        ("/Signed-In", False),
        ("/signed-in?next=1", False),
        ("/signed-in#", False),
        ("/", False),
    ],
)
def test_redirect_uris_are_compared_exactly(entra: Entra, given: str, right: bool) -> None:
    response = entra.ask(redirect_uri=entra.redirect_uri.replace("/signed-in", given))
    assert (response.status_code == 200) is right


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("http://localhost", True),
        ("http://localhost:8400", True),
        ("http://localhost:8400/", True),
        ("http://localhost:8400/other", False),
        ("https://localhost:8400", False),
        ("http://localhost@evil.example:80", False),
        ("http://somebody@localhost:8400", False),
        ("http://localhost.evil.example:8400", False),
        ("http://localhost:99999", False),
    ],
)
def test_a_public_application_may_listen_on_any_port(entra: Entra, given: str, right: bool) -> None:
    response = entra.ask(**entra.public | {"redirect_uri": given})
    assert (response.status_code == 200) is right


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, ("invalid_request", 900144)),
        ({"response_type": "id_token"}, ("unsupported_response_type", 700054)),
        ({"scope": " "}, ("invalid_request", 900144)),
        ({"scope": "https://graph.microsoft.com/User.Read"}, ("access_denied", 65001)),
        ({"code_challenge": None}, ("invalid_request", 9002325)),
        ({"code_challenge_method": "plain"}, ("invalid_request", 50149)),
        ({"code_challenge_method": None}, ("invalid_request", 50149)),
        ({"code_challenge": "short"}, ("invalid_request", 501491)),
        ({"prompt": "always"}, ("invalid_request", 90023)),
        ({"max_age": "-1"}, ("invalid_request", 90100)),
        ({"claims": "{"}, ("invalid_request", 90100)),
        ({"claims": '{"id_token": []}'}, ("invalid_request", 90100)),
    ],
)
def test_errors_that_the_application_is_told(
    entra: Entra, changes: dict[str, str | None], error: tuple[str, int]
) -> None:
    assert problem(entra.ask(**changes)) == error


def test_the_answer_of_a_person(entra: Entra) -> None:
    shown = entra.ask()
    assert problem(entra.answer(shown, answer="decline")) == ("access_denied", 65004)
    for changes, words in (
        ({"oid": ""}, "Say who you are"),
        ({"other": "nobody@nordwind.example"}, "Nobody here"),
        ({"answer": "?"}, "Choose Approve or Decline"),
    ):
        again = entra.answer(shown, **changes)
        assert (again.status_code, words in again.text) == (400, True)
    assert sent(entra.answer(shown, other="jonas.brandt@nordwind.example"))["state"] == STATE


def test_a_person_who_is_refused(entra: Entra) -> None:
    refused_person = next(one for one in entra.sandbox.data.people() if one.refusal == 53003)
    assert problem(entra.answer(entra.ask(), oid=refused_person.oid)) == ("access_denied", 53003)


def test_forged_forms_are_refused(entra: Entra) -> None:
    shown = entra.ask()
    form = Form(shown.text)
    assert entra.client.post(form.action, data=form.hidden | {"csrf": "ü"}).status_code == 403
    entra.client.cookies.clear()
    assert entra.answer(shown).status_code == 403
    entra.ask()
    assert entra.answer(shown).status_code == 403
    changed = Form(entra.ask().text).hidden
    changed["request"] = changed["request"].replace("signed-in", "stolen")
    assert entra.client.post(form.action, data=changed | {"answer": "decline"}).status_code == 400


def test_the_ways_to_answer(entra: Entra) -> None:
    fragment = entra.answer(entra.ask(response_mode="fragment")).headers["location"]
    assert fragment.startswith(f"{entra.redirect_uri}#code=")
    posted = entra.answer(entra.ask(response_mode="form_post", prompt="login"))
    form = Form(posted.text)
    assert form.action == entra.redirect_uri
    assert form.hidden["state"] == STATE
    assert form.hidden["code"]
    origin = entra.redirect_uri.removesuffix("/signed-in")
    assert f"form-action 'self' {origin};" in posted.headers["content-security-policy"]
    fields = entra.fields(prompt="login")
    shown = entra.client.post(f"/{entra.sandbox.tenant}/oauth2/v2.0/authorize", data=fields)
    assert f"form-action 'self' {origin};" in shown.headers["content-security-policy"]
    assert sent(entra.answer(shown))["state"] == STATE
    without = sent(entra.answer(entra.ask(state=None, prompt="login")))
    assert "state" not in without


def test_the_page_stands_alone(entra: Entra) -> None:
    shown = entra.ask()
    assert "<script" not in shown.text
    assert "src=" not in shown.text
    assert shown.headers["content-security-policy"].startswith("default-src 'none'; ")
    cookie = shown.headers["set-cookie"]
    assert cookie.startswith("__Host-entra=")
    assert all(word in cookie for word in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"))


def test_a_certificate_that_is_not_registered(entra: Entra, http: MsalHttp) -> None:
    private, begin, public = (entra.sandbox.directory / "broker.pem").read_text().partition("-----BEGIN CERTIFICATE")
    app = msal.ConfidentialClientApplication(
        entra.sandbox.data.tenant.sign_in.client_id,
        client_credential={"private_key": private, "public_certificate": begin + public},
        authority=entra.sandbox.authority,
        http_client=http,
        instance_discovery=False,
    )
    flow = app.initiate_auth_code_flow([entra.sandbox.scope], redirect_uri=entra.redirect_uri)
    result = app.acquire_token_by_auth_code_flow(flow, sent(entra.answer(entra.client.get(flow["auth_uri"]))))
    assert result["error_codes"] == [700027]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (True, ["c7"])),
        ({"optional_claims": ["acrs"]}, (False, ["c7"])),
        ({"optional_claims": ["auth_time"]}, (True, None)),
        ({"contexts": ["c1", "c2"]}, (True, ["c1", "c2"])),
        ({"contexts": []}, (True, None)),
    ],
)
def test_a_tenant_that_says_less(
    entra: Entra, http: MsalHttp, changes: dict[str, Any], expected: tuple[bool, list[str] | None]
) -> None:
    app = page(entra.sandbox, http)
    entra.sandbox.register("sign_in", **changes)
    flow = app.initiate_auth_code_flow(
        [entra.sandbox.scope],
        redirect_uri=entra.redirect_uri,
        prompt="login",
        claims_challenge=json.dumps({"id_token": {"acrs": {"essential": True, "values": ["c7"]}}}),
    )
    result = app.acquire_token_by_auth_code_flow(flow, sent(entra.answer(entra.client.get(flow["auth_uri"]))))
    identity = claims_of(result["id_token"])
    assert ("auth_time" in identity, identity.get("acrs")) == expected
    assert "acrs" not in claims_of(result["access_token"])


def test_tokens_of_the_sign_in_page_can_be_issued_without_a_person(entra: Entra) -> None:
    sandbox = entra.sandbox
    client_id = sandbox.data.tenant.sign_in.client_id
    access = claims_of(sandbox.token("ada", client="sign_in"))
    identity = claims_of(sandbox.token("ada", client="sign_in", id_token=True, nonce="n", acrs=["c3"]))
    assert (access["azp"], access["azpacr"], identity["aud"], identity["acrs"]) == (client_id, "2", client_id, ["c3"])
    assert identity["oid"] == access["oid"]


# Last, because they move the clock, and MSAL dates its assertions with the machine's.


def test_an_earlier_sign_in_is_used_again_unless_the_application_objects(entra: Entra) -> None:
    def signed_in(response: httpx.Response) -> int:
        tokens = entra.redeem(sent(response)["code"]).json()
        return int(claims_of(tokens["id_token"])["auth_time"])

    public = entra.public
    assert problem(entra.ask(**public, prompt="none")) == ("login_required", 50058)
    before = entra.client.cookies.get("__Host-entra")
    first = signed_in(entra.answer(entra.ask(**public)))
    assert before is None or entra.client.cookies["__Host-entra"] != before
    entra.sandbox.advance(100)
    for changes in ({}, {"prompt": "none"}, {"max_age": "9999"}, {"login_hint": "ada.kessler@nordwind.example"}):
        assert signed_in(entra.ask(**public, **changes)) == first
    for changes in (
        {"prompt": "select_account"},
        {"prompt": "consent"},
        {"login_hint": "jonas.brandt@nordwind.example"},
    ):
        assert signed_in(entra.answer(entra.ask(**public, **changes))) == first
    assert problem(entra.ask(**public, prompt="none", max_age="60")) == ("login_required", 50058)
    for changes in ({"prompt": "login"}, {"max_age": "0"}, {"max_age": "60"}):
        assert signed_in(entra.answer(entra.ask(**public, **changes))) >= first + 100
        entra.sandbox.advance(100)
    entra.client.cookies.clear()
    assert entra.ask(**public).status_code == 200


def test_a_code_is_redeemed_once_by_whom_it_was_issued_to(entra: Entra) -> None:
    code = entra.code(**entra.public)
    for changes, error in (
        ({"code": "1.unknown"}, (400, "invalid_request", 9002313)),
        ({"code": None}, (400, "invalid_request", 900144)),
        ({"redirect_uri": None}, (400, "invalid_request", 900144)),
        ({"redirect_uri": "http://localhost:8401"}, (400, "invalid_client", 500112)),
        ({"code_verifier": None}, (400, "invalid_grant", 501481)),
        ({"code_verifier": VERIFIER[:-1]}, (400, "invalid_grant", 501481)),
        ({"code_verifier": CHALLENGE}, (400, "invalid_grant", 501481)),
        ({"client_secret": "x"}, (401, "invalid_client", 700025)),
        ({"client_id": entra.sandbox.data.tenant.other[0].client_id}, (400, "invalid_grant", 70000)),
        ({"client_id": entra.sandbox.data.tenant.sign_in.client_id}, (401, "invalid_client", 7000218)),
    ):
        assert refused(entra.redeem(**{"code": code} | changes)) == error
    tokens = entra.redeem(code, scope=f"openid offline_access {entra.sandbox.scope}").json()
    assert claims_of(tokens["access_token"])["azpacr"] == "0"
    assert claims_of(tokens["id_token"])["nonce"] == "n-1"
    assert refused(entra.redeem(code)) == (400, "invalid_grant", 54005)
    again = entra.redeem("", grant_type="refresh_token", refresh_token=tokens["refresh_token"]).json()
    assert "nonce" not in claims_of(again["id_token"])
    expiring = entra.code(**entra.public, prompt="login")
    entra.sandbox.advance(600)
    assert refused(entra.redeem(expiring)) == (400, "invalid_grant", 70008)
