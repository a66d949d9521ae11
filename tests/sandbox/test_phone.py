"""The simulated phone on the real sign-in page: with the files that the sandbox writes, everything fits together."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import httpx
import jwt
import pytest

from kiosk.config.loading import load
from kiosk.config.sign_in_page import SignInPageConfig
from kiosk.sandbox.phone import Phone, PhoneError
from tests.support.broker import RunningBroker, broker_config, running_broker
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.sign_in_page import running_page
from tests.support.sign_ins import AtTheKiosk

FRESHNESS = {"prompt", "max_age"}


@dataclass
class Installation:
    """A sandbox, and a broker as its ``broker.toml`` says."""

    sandbox: RunningSandbox
    broker: RunningBroker


@pytest.fixture(scope="module")
def started() -> Iterator[Installation]:
    # A short path, because it holds sockets.
    with (
        tempfile.TemporaryDirectory() as name,
        running_sandbox(Path(name), sign_in={"method": "web", "context": "c7"}) as sandbox,
        running_broker(broker_config(sandbox.directory, Path(name))) as broker,
    ):
        yield Installation(sandbox, broker)


@pytest.fixture
async def installation(started: Installation) -> AsyncIterator[Installation]:
    """Run the sign-in page as ``sign-in.toml`` says."""
    async with running_page(load(started.sandbox.directory / "sign-in.toml", SignInPageConfig)):
        yield started


async def test_a_sign_in_from_the_link_to_the_token(installation: Installation) -> None:
    sandbox = installation.sandbox
    # Twice: MSAL presents one client assertion for both.
    for who, link in (("ada", "scan"), ("jonas", "typed")):
        kiosk, person = AtTheKiosk(installation.broker.http, terminal=who), sandbox.person(who)
        begun = kiosk.begin()
        async with sandbox.phone() as phone:
            digits = await phone.sign_in(getattr(begun.view, link), begun.words, person.oid)
        assert kiosk.view().name == person.name
        claims = jwt.decode(kiosk.token(kiosk.confirm(digits)), options={"verify_signature": False})
        assert (claims["oid"], claims["azp"]) == (person.oid, sandbox.data.tenant.sign_in.client_id)


async def test_a_sign_in_from_before_is_not_enough(installation: Installation) -> None:
    sandbox = installation.sandbox
    public = {
        "client_id": sandbox.data.tenant.kiosk_client.client_id,
        "redirect_uri": "http://localhost",
        "response_type": "code",
        "response_mode": "form_post",
        "scope": "openid",
        "code_challenge": "A" * 43,
        "code_challenge_method": "S256",
    }

    def without_freshness(url: httpx.URL) -> httpx.URL:
        left = {name: value for name, value in parse_qsl(url.query.decode()) if name not in FRESHNESS}
        return url.copy_with(query=urlencode(left).encode()) if url.path.endswith("/authorize") else url

    kiosk = AtTheKiosk(installation.broker.http)
    async with Phone(sandbox.url, sandbox.ca, before_redirect=without_freshness) as phone:
        sandbox.advance(-3600)
        page = await phone.open(f"/{sandbox.tenant}/oauth2/v2.0/authorize?{urlencode(public)}")
        await phone.say_who(page, "Ada Kessler")
        sandbox.advance(3600)
        begun = kiosk.begin()
        with pytest.raises(PhoneError) as caught:
            await phone.sign_in(begun.view.scan, begun.words, "Ada Kessler")
    assert caught.value.code == kiosk.view().code == "phone_sign_in_stale"


async def test_the_phone_says_what_went_wrong(installation: Installation) -> None:
    sandbox, kiosk = installation.sandbox, AtTheKiosk(installation.broker.http)
    begun = kiosk.begin()
    async with sandbox.phone() as phone:
        page = await phone.open(begun.view.scan)
        with pytest.raises(PhoneError) as caught:
            await phone.choose(page, None)
    assert caught.value.code == kiosk.view().code
    begun = kiosk.begin()
    async with sandbox.phone() as phone:
        refused = next(one for one in sandbox.data.people() if one.refusal == 53003)
        with pytest.raises(PhoneError) as caught:
            await phone.sign_in(begun.view.scan, begun.words, refused.oid)
    assert caught.value.code == kiosk.view().code
    begun = kiosk.begin()
    async with sandbox.phone() as phone:
        page = await phone.choose(await phone.open(begun.view.scan), begun.words)
        page = await phone.press(await phone.say_who(page, "Ada Kessler"), "not-me")
    assert page.code == kiosk.view().code
