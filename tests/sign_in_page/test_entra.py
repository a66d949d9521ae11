"""What Entra ID may answer, at the redirect and at its token endpoint, and what the person and the broker are told."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec
import pytest

from kiosk.clock import SystemClock
from kiosk.errors import BrokerUnreachable, PhoneSignInStale, RecordUnavailable, TokensUnavailable
from kiosk.sign_in_messages import Stage
from tests.support.authority import Mode
from tests.support.sign_in_page import TENANT, VIEW, Page, jwt, whole_page

SIGNING_IN = msgspec.structs.replace(VIEW, stage=Stage.SIGNING_IN, choices=())
CONFIRMING = msgspec.structs.replace(SIGNING_IN, stage=Stage.CONFIRMING, digits="471093", name="Ada")
ENDED = msgspec.structs.replace(SIGNING_IN, stage=Stage.ENDED, code="sign_in_failed", reference="R")


async def ends(page: Page, query: str) -> tuple[str, str, str]:
    """Return to the page from Entra ID; how the page ends the sign-in, with which error and number."""
    page.broker.say(ENDED, "end")
    answer = await page.phone.get(f"/signed-in?{query}", sec_fetch_site="cross-site")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    [told] = page.broker.bodies("end")
    assert not page.broker.bodies("tokens")
    page.broker.say(msgspec.structs.replace(ENDED, code=told["code"]), "view")
    await page.phone.get("/sign-in")
    assert page.phone.shown == ("", told["code"])
    assert told["support"] in page.phone.words
    return told["how"], told["code"], told["support"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("error=access_denied&error_subcode=cancel", ("cancelled", "phone_cancelled", "")),
        ("error=access_denied&error_description=AADSTS65004%3A", ("cancelled", "phone_cancelled", "AADSTS65004")),
        ("error=access_denied&error_description=AADSTS53003%3A", ("refused", "sign_in_policy", "AADSTS53003")),
        ("error=invalid_request&error_description=AADSTS50105", ("refused", "sign_in_not_assigned", "AADSTS50105")),
        ("error=login_required&error_description=AADSTS50076%3A", ("refused", "sign_in_more_checks", "AADSTS50076")),
        ("error=server_error", ("failed", "sign_in_busy", "")),
        ("error=%3Cscript%3E&error_description=" + "x" * 4000, ("failed", "sign_in_failed", "")),
        ("nothing=of+it", ("failed", "sign_in_garbled", "")),
    ],
    ids=["cancel", "no consent", "policy", "not assigned", "more checks", "busy", "odd", "nothing"],
)
async def test_an_error_in_the_answer(page: Page, query: str, told: tuple[str, str, str]) -> None:
    asked = await page.to_entra()
    assert await ends(page, f"{query}&state={asked['state']}") == told


TOKENS = {
    "access_token": "a",
    "id_token": jwt({"nonce": "other", "exp": 9, "iat": 0, "sub": "s"}),
    "token_type": "Bearer",
}


@pytest.mark.parametrize(
    ("status", "content", "code"),
    [
        ("400 X", {"error": "invalid_grant", "error_codes": [54005]}, "phone_sign_in_failed"),
        ("401 X", {"error": "invalid_client", "error_codes": [700027], "correlation_id": "c"}, "sign_in_credential"),
        ("500 X", b"<html>", "sign_in_busy"),
        ("429 X", {}, "sign_in_busy"),
        ("200 OK", b"<html>", "sign_in_garbled"),
        ("200 OK", {"access_token": "a", "token_type": "Bearer"}, "sign_in_garbled"),
        ("200 OK", TOKENS | {"id_token": "garbage"}, "sign_in_garbled"),
        ("200 OK", TOKENS, "phone_nonce_wrong"),
    ],
    ids=["used", "credential", "500", "429", "html", "no id token", "garbage", "nonce"],
)
async def test_a_token_endpoint_that_refuses_or_fails(page: Page, status: str, content: object, code: str) -> None:
    asked = await page.to_entra()
    page.refuse(status, content)
    _how, told, _support = await ends(page, f"code=c&state={asked['state']}")
    assert told == code


async def test_tokens_that_no_broker_takes_are_not_handed_over(page: Page) -> None:
    asked = await page.to_entra()
    page.grant(asked["nonce"], access_token="x" * 20_000)
    assert (await ends(page, f"code=c&state={asked['state']}"))[1] == "sign_in_garbled"


async def test_entra_hangs_or_is_away_before_the_redirect(page: Page) -> None:
    page.broker.say(VIEW)
    await page.phone.scan()
    page.entra.mode = Mode.HANGS
    page.broker.say(ENDED, "end")
    choosing = asyncio.create_task(page.phone.post("/words", words="12-40"))
    await page.entra.has_been_asked(1)
    await page.entra.hang_up()
    answer = await choosing
    assert answer.headers["location"] == "/sign-in"
    assert page.broker.bodies("end")[0]["code"] in {"sign_in_unreachable", "sign_in_garbled"}
    assert not page.broker.bodies("words")


async def test_an_authorization_endpoint_elsewhere_is_not_followed(page: Page) -> None:
    page.broker.say(VIEW)
    await page.phone.scan()
    found = page.entra.documents[f"{TENANT}/v2.0/.well-known/openid-configuration"]
    found["authorization_endpoint"] = "https://evil.example/authorize"
    page.broker.say(ENDED, "end")
    await page.phone.post("/words", words="12-40")
    assert page.broker.bodies("end")[0]["code"] == "sign_in_address"
    assert not page.broker.bodies("words")


async def test_an_answer_to_another_sign_in_changes_nothing(page: Page) -> None:
    await page.to_entra()
    for state in ("forged", "", "%ff"):
        answer = await page.phone.get(f"/signed-in?code=c&state={state}")
        assert (answer.status_code, page.phone.shown) == (403, ("", "phone_forged"))
    assert not [what for what, _ in page.broker.asked if what in {"tokens", "end"}]
    await page.phone.get("/sign-in")
    assert page.phone.shown == ("signing_in", "")


async def test_an_answer_after_the_end_is_not_redeemed(page: Page) -> None:
    asked = await page.to_entra()
    page.broker.say(ENDED, "view")
    await page.phone.get(f"/signed-in?code=c&state={asked['state']}")
    assert not [path for path in page.entra.asked if path.endswith("/token")]


async def test_two_requests_with_one_answer_redeem_it_once(page: Page) -> None:
    asked = await page.to_entra()
    page.grant(asked["nonce"])
    page.broker.say(CONFIRMING, "tokens")

    async def come_back() -> None:
        answer = await page.phone.get(f"/signed-in?code=c&state={asked['state']}")
        assert answer.status_code == 303
        page.broker.say(CONFIRMING, "view")

    await asyncio.gather(come_back(), come_back())
    assert (len(page.broker.bodies("tokens")), page.broker.bodies("end")) == (1, [])


class HastyClock(SystemClock):
    """Skips the pauses between tries, and no longer ones."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(0 if seconds < 5 else seconds)


async def test_tokens_are_handed_over_again_when_the_broker_could_not_take_them(tmp_path: Path) -> None:
    """One that refuses them is not asked again."""
    async with whole_page(tmp_path, HastyClock()) as page:
        asked = await page.to_entra()
        page.grant(asked["nonce"])
        tries = []
        failures = b"", RecordUnavailable("away"), BrokerUnreachable("restarted")
        for said in (*failures, TokensUnavailable("away"), PhoneSignInStale("old")):
            page.broker.say(said, "tokens")
            before = len(page.broker.bodies("tokens"))
            answer = await page.phone.get(f"/signed-in?code=c&state={asked['state']}")
            tries.append((answer.status_code, len(page.broker.bodies("tokens")) - before))
        assert tries == [(502, 3), (503, 3), (503, 3), (503, 3), (303, 1)]


async def test_nothing_secret_is_logged(page: Page, caplog: pytest.LogCaptureFixture) -> None:
    # As in the program: ``kiosk.process.events.to_stream``.
    caplog.set_level(logging.WARNING, logger="uvicorn")
    caplog.set_level(logging.DEBUG)
    asked = await page.to_entra()
    page.grant("of another sign-in")
    await ends(page, f"code=the-secret-code&state={asked['state']}")
    for request in ("/K7Q2M9XC", "/signed-in?code=the-secret-code&state=x", "/sign-in?code=the-secret-code"):
        await page.another().get(request)
    ours = "\n".join(one.getMessage() for one in caplog.records if one.name.startswith(("kiosk", "uvicorn", "msal")))
    assert "event=link.opened" in ours
    for secret in ("the-secret-code", "access-token", "K7Q2", VIEW.phone, asked["state"], asked["nonce"]):
        assert secret not in ours, secret
    assert page.phone.cookie not in ours
    assert VIEW.phone not in page.phone.text
