"""The pages of the phone: usable, escaped, safe against forged forms, without foreign resources."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import httpx
import pytest

from kiosk.sandbox.phone import PhoneError
from tests.support.sandbox import RunningSandbox


class Outline(HTMLParser):
    """What a browser loads and a screen reader reads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def hidden(self, name: str) -> str:
        return next(one["value"] for one in self.all("input") if one.get("name") == name and "value" in one)


def new_code(sandbox: RunningSandbox, client: httpx.Client) -> str:
    form = {"client_id": sandbox.data.tenant.kiosk_client.client_id, "scope": sandbox.scope}
    return str(client.post(f"/{sandbox.tenant}/oauth2/v2.0/devicecode", data=form).json()["user_code"])


def enter(client: httpx.Client, code: str) -> httpx.Response:
    start = Outline(client.get("/devicelogin").text)
    return client.post("/devicelogin", data={"code": code, "csrf": start.hidden("csrf")})


def test_the_way_of_a_person(sandbox: RunningSandbox, client: httpx.Client) -> None:
    code = new_code(sandbox, client)
    assert client.get("/").headers["location"] == "/devicelogin"
    page = enter(client, f" {code[:3]}-{code[3:6].lower()} {code[6:]} ")
    asked = Outline(page.text)
    assert "Recovery Kiosk" in asked.text
    assert "127.0.0.1" in asked.text
    assert "Session.Open" in asked.text
    ada = sandbox.person("ada")
    assert ada.oid in [one["value"] for one in asked.all("input") if one.get("type") == "radio"]
    form = {"code": code, "csrf": asked.hidden("csrf"), "oid": ada.oid, "answer": "approve"}
    done = client.post("/devicelogin/answer", data=form)
    assert "signed in as" in done.text
    assert ada.name in done.text
    assert client.post("/devicelogin/answer", data=form).status_code == 400


def test_what_goes_wrong_is_said(sandbox: RunningSandbox, client: httpx.Client) -> None:
    assert 'role="alert"' in enter(client, "WRONGCODE").text
    code = new_code(sandbox, client)
    asked = Outline(enter(client, code).text)
    form = {"code": code, "csrf": asked.hidden("csrf")}
    for changes, words in (
        ({"answer": "approve"}, "Say who you are"),
        ({"answer": "approve", "other": "nobody@nordwind.example"}, "Nobody here"),
        ({"answer": "?"}, "Choose Approve or Decline"),
    ):
        answer = client.post("/devicelogin/answer", data=form | changes)
        assert (answer.status_code, words in answer.text) == (400, True)
    typed = client.post(
        "/devicelogin/answer", data=form | {"answer": "approve", "other": "ADA.kessler@nordwind.example"}
    )
    assert "Ada Kessler" in typed.text


def test_forged_forms_are_refused(sandbox: RunningSandbox, client: httpx.Client) -> None:
    code = new_code(sandbox, client)
    csrf = Outline(client.get("/devicelogin").text).hidden("csrf")
    for path, form in (("", {"code": code}), ("/answer", {"code": code, "answer": "approve", "oid": "x"})):
        assert client.post(f"/devicelogin{path}", data=form).status_code == 403
        assert client.post(f"/devicelogin{path}", data=form | {"csrf": "ü"}).status_code == 403
        assert client.post(f"/devicelogin{path}", content=b"\xff\xfe").status_code == 403
        client.cookies.clear()
        assert client.post(f"/devicelogin{path}", data=form | {"csrf": csrf}).status_code == 403
        client.get("/devicelogin")
        assert client.post(f"/devicelogin{path}", data=form | {"csrf": csrf}).status_code == 403
    cookie = client.get("/devicelogin").headers["set-cookie"]
    assert cookie.startswith("__Host-")
    assert all(word in cookie for word in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"))


@pytest.mark.parametrize("path", ["/devicelogin", "/devicelogin/people", "/error?code=<script>"])
def test_pages_stand_alone_and_can_be_read_aloud(sandbox: RunningSandbox, client: httpx.Client, path: str) -> None:
    response = client.get(path)
    page = Outline(response.text)
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert not page.all("script")
    assert not page.all("link")
    assert not page.all("img")
    assert not [one for _, one in page.tags if any(name.startswith("on") or name == "src" for name in one)]
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    labelled = {one["for"] for one in page.all("label") if "for" in one}
    assert {one["id"] for one in page.all("input") if one.get("type") == "text"} <= labelled


def test_the_style_may_be_used(sandbox: RunningSandbox, client: httpx.Client) -> None:
    import base64
    import hashlib

    response = client.get("/devicelogin")
    style = re.search(r"<style>(.*?)</style>", response.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in response.headers["content-security-policy"]


async def test_hostile_names_stay_text(sandbox: RunningSandbox, client: httpx.Client) -> None:
    code = new_code(sandbox, client)
    text = enter(client, code).text
    assert "<script>" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    async with sandbox.phone() as phone:
        people = await phone.people()
    assert [one.oid for one in people] == [one.oid for one in sandbox.data.people()]
    assert all(one.name and one.address and one.description for one in people)
    assert any("[@click=app.quit]Robin[/]" in one.name for one in people)


async def test_the_phone_says_why_not(sandbox: RunningSandbox, client: httpx.Client) -> None:
    async with sandbox.phone() as phone:
        with pytest.raises(PhoneError, match="not right"):
            await phone.approve("WRONGCODE", sandbox.person("ada").oid)
        with pytest.raises(PhoneError, match="Nobody here"):
            await phone.approve(new_code(sandbox, client), "nobody")
        code = new_code(sandbox, client)
        await phone.decline(code)
        with pytest.raises(PhoneError):
            await phone.approve(code, sandbox.person("ada").oid)
        await phone.approve(new_code(sandbox, client), "jonas.brandt@nordwind.example")
