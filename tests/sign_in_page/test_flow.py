"""A sign-in on a phone, page by page, and all that a browser or an attacker may send instead."""

from __future__ import annotations

import asyncio
import html
from pathlib import Path

import msgspec
import pytest

from kiosk.errors import PhoneLinkUsed, PhoneSignInUnknown, RecordUnavailable
from kiosk.sign_in_messages import PhoneView, Stage
from tests.support.sign_in_page import ADDRESS, LINK, NAVIGATION, VIEW, Page, Said, whole_page

CONFIRMING = msgspec.structs.replace(
    VIEW, stage=Stage.CONFIRMING, choices=(), name="Ada <b>Kessler", address="ada@nordwind.example", digits="471093"
)


def ended(code: str) -> PhoneView:
    return msgspec.structs.replace(VIEW, stage=Stage.ENDED, choices=(), code=code, reference="REF12345")


async def test_a_whole_sign_in(page: Page) -> None:
    asked = await page.to_entra()
    assert asked["redirect_uri"] == f"{ADDRESS}/signed-in"
    assert (asked["prompt"], asked["max_age"], asked["code_challenge_method"]) == ("login", "0", "S256")
    assert asked["claims"] == '{"id_token": {"acrs": {"essential": true, "value": "c7"}}}'
    assert "offline_access" not in asked["scope"]
    [chosen] = page.broker.bodies("words")
    assert (chosen["words"], chosen["nonce"]) == ([12, 40], asked["nonce"])
    page.grant(asked["nonce"])
    page.broker.say(CONFIRMING, "tokens")
    answer = await page.phone.get(f"/signed-in?code=the-code&state={asked['state']}", sec_fetch_site="cross-site")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    [handed] = page.broker.bodies("tokens")
    assert handed["access_token"] == "access-token-of-ada"
    page.broker.say(CONFIRMING, "view")
    for _reload in range(2):
        await page.phone.get("/sign-in")
        assert page.phone.shown == ("confirming", "")
        assert "Ada &lt;b&gt;Kessler" in page.phone.text
        assert "<output data-digits>471 093</output>" in page.phone.text
    page.broker.say(msgspec.structs.replace(CONFIRMING, stage=Stage.CONFIRMED, digits=""), "view")
    await page.phone.get("/sign-in")
    assert "You are signed in at desk 7 <by the lift>" in page.phone.words


async def test_the_first_opening_burns_the_link_and_the_same_phone_goes_on(page: Page) -> None:
    page.broker.say(VIEW)
    await page.phone.scan()
    assert page.phone.shown == ("opened", "")
    assert [body["link"] for body in page.broker.bodies("open")] == [LINK]
    for again in (LINK, "k7q2-m9xd", "K7Q2%20M9XD", f"{LINK}/"):
        await page.phone.scan(again)
        assert page.phone.shown == ("opened", "")
    assert len(page.broker.bodies("open")) == 1
    page.broker.say(PhoneLinkUsed("burnt", reference="REF00001"), "open")
    other = page.another()
    assert (await other.scan()).status_code == 403
    assert other.shown == ("", "phone_link_used")
    assert "REF00001" in other.words


@pytest.mark.parametrize("said", [ended("phone_cancelled"), PhoneSignInUnknown("forgotten")], ids=["open", "over"])
async def test_another_link_on_the_same_phone_ends_the_sign_in_before(page: Page, said: Said) -> None:
    page.broker.say(VIEW)
    await page.phone.scan()
    page.broker.say(msgspec.structs.replace(VIEW, id="signin-2", phone="another-secret"))
    page.broker.say(said, "end")
    await page.phone.scan("QVWXZ234")
    assert page.phone.shown == ("opened", "")
    [body] = page.broker.bodies("end")
    assert (body["id"], body["phone"], body["how"]) == (VIEW.id, VIEW.phone, "cancelled")
    assert page.broker.bodies("view")[-1]["id"] == "signin-2"


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("HEAD", NAVIGATION, 200),
        ("GET", NAVIGATION | {"sec-purpose": "prefetch;prerender"}, 503),
        ("GET", NAVIGATION | {"purpose": "prefetch"}, 503),
        ("GET", {"user-agent": "preview of links"}, 200),
        ("GET", NAVIGATION | {"sec-fetch-dest": "iframe"}, 200),
    ],
    ids=["head", "prefetch", "old prefetch", "crawler", "frame"],
)
async def test_nobody_but_a_person_burns_a_link(page: Page, method: str, headers: dict[str, str], status: int) -> None:
    answer = await page.phone.ask(method, f"/{LINK}", headers)
    assert (answer.status_code, page.broker.bodies("open"), page.phone.cookie) == (status, [], "")


async def test_a_browser_that_does_not_say_that_it_navigates_opens_the_link_with_a_button(page: Page) -> None:
    page.broker.say(VIEW)
    await page.phone.ask("GET", f"/{LINK}", {})
    assert f'value="{LINK}"' in page.phone.text
    await page.phone.post("/open", code=" k7q2-m9xd ")
    await page.phone.get("/sign-in")
    assert page.phone.shown == ("opened", "")


async def test_a_code_that_no_link_has_does_not_reach_the_broker(page: Page) -> None:
    for path in ("/K7Q2M9X", "/AAAAAAAA", "/K7Q2M9XDD", "/%00%ff", "/" + "K" * 3000, "/a/b", "/favicon.ico"):
        answer = await page.phone.get(path)
        assert answer.status_code == 404, path
    answer = await page.phone.post("/open", code='"><script>alert(1)</script>')
    assert (answer.status_code, page.phone.shown) == (422, ("", "phone_link_unknown"))
    assert "<script>alert" not in answer.text
    assert {what for what, _ in page.broker.asked} <= {"alive"}


@pytest.mark.parametrize("words", ["none", "1-2"], ids=["none of these", "wrong pair"])
async def test_other_words_end_the_sign_in(page: Page, words: str) -> None:
    page.broker.say(VIEW)
    await page.phone.scan()
    over = ended("phone_not_here" if words == "none" else "phone_words_wrong")
    page.broker.say(over, "words")
    answer = await page.phone.post("/words", words=words)
    page.broker.say(over)
    assert answer.headers["location"] == "/sign-in"
    assert page.broker.bodies("words")[0]["words"] == (None if words == "none" else [1, 2])
    await page.phone.get("/sign-in")
    assert page.phone.shown[1].startswith("phone_")
    assert "security team" in page.phone.words


@pytest.mark.parametrize("said", [ended("phone_cancelled"), PhoneSignInUnknown("forgotten")], ids=["over", "forgotten"])
async def test_words_for_a_sign_in_that_is_over_ask_nothing_of_entra_and_fill_no_log(
    page: Page, said: Said, caplog: pytest.LogCaptureFixture
) -> None:
    page.broker.say(VIEW)
    await page.phone.scan()
    form = page.phone.last
    page.broker.say(said)
    for _ in range(60):
        page.phone.last = form
        await page.phone.post("/words", words="12-40")
    assert (page.entra.asked, page.broker.bodies("words")) == ([], [])
    assert len([one for one in caplog.records if "event=refused" in one.getMessage()]) <= 30


async def test_a_phone_that_comes_back_after_the_end_is_told(page: Page) -> None:
    page.broker.say(VIEW)
    await page.phone.scan()
    page.broker.say(PhoneSignInUnknown("forgotten"))
    assert (await page.phone.get("/sign-in")).status_code == 404
    assert page.phone.shown == ("", "phone_sign_in_unknown")


async def test_the_way_to_entra_begins_at_a_page_and_going_back_offers_to_go_on(page: Page) -> None:
    """No redirect of a form leads elsewhere, and a reload is no second way to Entra ID."""
    await page.to_entra()
    assert page.phone.leads_on.startswith(f"{page.config.entra.authority}/authorize?")
    assert html.escape(page.phone.leads_on) in page.phone.text.partition("<body>")[2]
    for _reload in range(2):
        await page.phone.get("/sign-in")
        assert (page.phone.shown, page.phone.leads_on) == (("signing_in", ""), "")
    assert f'href="{page.config.entra.authority}/authorize?' in page.phone.text
    again = await page.phone.post("/words", words="12-40")
    assert again.headers["location"] == "/sign-in"
    assert len(page.broker.bodies("words")) == 1


@pytest.mark.parametrize(("path", "how"), [("/not-me", "not_me"), ("/cancel", "cancelled")])
async def test_this_is_not_me_and_cancel_end_the_sign_in(page: Page, path: str, how: str) -> None:
    page.broker.say(VIEW)
    await page.phone.scan()
    page.broker.say(CONFIRMING)
    await page.phone.get("/sign-in")
    page.broker.say(ended("phone_not_me"))
    await page.phone.post(path)
    assert page.broker.bodies("end") == [{"id": VIEW.id, "phone": VIEW.phone, "how": how, "code": "", "support": ""}]
    await page.phone.get("/sign-in")
    assert page.phone.shown == ("", "phone_not_me")


async def test_without_a_cookie_the_page_says_so(page: Page) -> None:
    page.broker.say(VIEW)
    await page.phone.scan()
    for cookie in ("", "forged", page.phone.cookie[:-2] + "AA", "A" * 5000, "%%%"):
        for path in ("/sign-in", "/signed-in?code=c&state=s"):
            phone = page.another()
            phone.cookie = cookie
            assert (await phone.get(path)).status_code == 400
            assert phone.shown == ("", "phone_no_cookie")


async def test_requests_of_other_sites_do_nothing(page: Page) -> None:
    page.broker.say(VIEW)
    await page.phone.scan()
    form = page.phone.text
    for headers in (
        {"sec-fetch-site": "cross-site", "origin": ADDRESS},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {},
    ):
        for path in ("/words", "/not-me", "/cancel", "/open"):
            token = form.partition('name="form" value="')[2].partition('"')[0]
            answer = await page.phone.ask("POST", path, headers, f"form={token}&words=12-40&code={LINK}")
            assert (answer.status_code, page.phone.shown[1]) == (403, "phone_forged"), (path, headers)
    # Ours, but from the page of another sign-in.
    answer = await page.phone.post("/cancel", form="of-another-sign-in")
    assert answer.status_code == 403
    assert {what for what, _ in page.broker.asked} <= {"alive", "open", "view"}


async def test_an_old_browser_names_the_origin(page: Page) -> None:
    page.broker.say(VIEW)
    answer = await page.phone.ask("POST", "/open", {"origin": ADDRESS}, f"code={LINK}")
    assert answer.headers["location"] == "/sign-in"


async def test_odd_requests_are_answered_in_words(page: Page) -> None:
    page.broker.say(VIEW)
    await page.phone.scan()
    own = {"sec-fetch-site": "same-origin"}
    token = page.phone.text.partition('name="form" value="')[2].partition('"')[0]
    for content in (
        "x" * 5000,
        "&".join("a=b" for _ in range(50)),
        "form=\xff",
        f"form={token}&words=%00-1",
        f"form={token}",
    ):
        assert (await page.phone.ask("POST", "/words", own, content)).status_code == 400, content
        assert page.phone.shown[1] == "request_invalid"
    for method, path in (
        ("GET", "/words"),
        ("POST", "/sign-in"),
        ("PUT", "/"),
        ("DELETE", f"/{LINK}"),
        ("POST", "/status"),
    ):
        assert (await page.phone.ask(method, path, NAVIGATION | own)).status_code == 405, path
    assert not page.broker.bodies("words")


@pytest.mark.parametrize("said", [RecordUnavailable("away"), b"<html>"], ids=["fails", "garbage"])
async def test_a_broker_that_fails_is_said_in_words_and_the_page_goes_on_afterwards(page: Page, said: Said) -> None:
    page.broker.say(VIEW)
    await page.phone.scan()
    page.broker.say(said, "view")
    answer = await page.phone.get("/sign-in")
    assert answer.status_code in {502, 503}
    assert ("retry-after" in answer.headers) is (answer.status_code == 503)
    assert "Who can help" in page.phone.words
    assert '<a class="main button" href="">Try again</a>' in page.phone.text
    status = await page.phone.ask("GET", "/status", {})
    assert (status.content, status.status_code) == (b"{}", answer.status_code)
    page.broker.say(VIEW)
    await page.phone.get("/sign-in")
    assert page.phone.shown == ("opened", "")


async def test_a_broker_that_hangs_or_is_away_is_said_in_words(tmp_path: Path) -> None:
    async with whole_page(tmp_path, broker_seconds=1) as page:
        page.broker.say(None, "open")
        assert (await page.phone.scan()).status_code == 503
        assert page.phone.shown == ("", "broker_unreachable")
        (tmp_path / "broker.sock").unlink()
        assert (await page.phone.scan()).status_code == 503


async def test_the_status_tells_the_stage_and_nothing_else(page: Page) -> None:
    assert (await page.phone.ask("GET", "/status", {})).json() == {"stage": ""}
    page.broker.say(VIEW)
    await page.phone.scan()
    assert (await page.phone.ask("GET", "/status", {})).json() == {"stage": "opened"}


async def test_the_page_reports_to_the_broker(page: Page) -> None:
    async with asyncio.timeout(10):
        await page.broker.alive.wait()
    assert page.broker.bodies("alive") == [{}]
