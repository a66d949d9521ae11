"""A visit that begins with a sign-in on the phone: every way through it, with a real broker and the page's side."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from kiosk.config.kiosk import BrokerAddress, KioskConfig, SignInSettings
from kiosk.config.loading import load
from kiosk.models import SignInMethod
from kiosk.sign_in_messages import EndedAt, PhoneView, Stage
from tests.support.broker import MovedClock, broker_config, running_broker
from tests.support.kiosk_user import KEY, KioskUser, kiosk_user
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.services import Services
from tests.support.sign_ins import AtThePage, Entra, at_the_page, web


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(tmp_path_factory.mktemp("tenant")) as running:
        yield running


class AtWork:
    """Somebody at a kiosk with a phone, and the broker between them."""

    def __init__(self, person: KioskUser, page: AtThePage, entra: Entra, clock: MovedClock) -> None:
        self.person = person
        self.page = page
        self.entra = entra
        self.clock = clock

    async def begin(self) -> None:
        await self.person.until("Press Enter to begin")
        await self.person.press("enter")
        await self.person.until("Sign in on your phone")

    async def polled(self, words: str) -> str:
        """Let the kiosk ask how far the phone is, and return what is then on the screen."""
        self.person.phone_answered()
        return await self.person.until(words)

    @property
    def _kiosk(self) -> tuple[str, tuple[int, int]]:
        assert self.person.app.visit
        assert self.person.app.visit.phone
        return self.person.app.visit.phone.view.scan, self.person.app.visit.phone.words

    async def open(self) -> PhoneView:
        return await asyncio.to_thread(self.page.open, self._kiosk[0])

    async def choose(self) -> PhoneView:
        return await asyncio.to_thread(self.page.choose, self._kiosk[1])

    async def hand_over(self, who: str = "ada") -> str:
        """Sign in at Entra ID, and return the digits."""
        tokens = self.entra.id_token(who, self.page.nonce), self.entra.access_token(who)
        return (await asyncio.to_thread(self.page.hand_over, *tokens)).digits

    async def to_digits(self) -> str:
        """Walk to the screen that asks for the digits, and return them."""
        await self.begin()
        await self.open()
        await self.choose()
        digits = await self.hand_over()
        await self.polled("Type the six digits")
        return digits

    async def end(self, how: EndedAt, code: str = "", support: str = "") -> None:
        await asyncio.to_thread(self.page.end, how, code, support)

    async def code_on_phone(self) -> str:
        return (await asyncio.to_thread(self.page.view)).code


@contextlib.asynccontextmanager
async def at_work(sandbox: RunningSandbox, place: Path) -> AsyncIterator[AtWork]:
    clock = MovedClock()
    settings = broker_config(sandbox.directory, place, sign_in=web(place))
    sign_in = SignInSettings(method=SignInMethod.WEB, place="Building 7")
    with running_broker(settings, clock) as broker, at_the_page(str(settings.sign_in.page_listen)) as page:
        config = load(sandbox.directory / "kiosk.toml", KioskConfig)
        config = replace(config, sign_in=sign_in, broker=BrokerAddress(url=settings.listen.url))
        services = Services(sandbox, broker, config)
        async with kiosk_user(services) as person:
            yield AtWork(person, page, Entra(sandbox, settings.tokens.client, clock), clock)


async def test_digits_and_enter_alone_walk_from_the_phone_to_the_key(sandbox: RunningSandbox, tmp_path: Path) -> None:
    async with at_work(sandbox, tmp_path) as at:
        await at.begin()
        await at.open()
        await at.polled("A phone has opened the page")
        await at.choose()
        await at.polled("The words were right")
        digits = await at.hand_over()
        text = await at.polled("Type the six digits")
        assert "Ada Kessler" in text
        await at.person.press(*f"{(int(digits) + 1) % 10**6:06}", "enter")
        await at.person.until("Those are not the digits. 2 tries left.")
        await at.person.press(*digits, "enter")
        # Without "Is this you?": the name was on the screen with the digits.
        await at.person.until("Which Mac is locked?")
        await at.person.press("enter")
        await at.person.until(KEY.search)
        await at.person.press("f10")
        await at.person.until("This terminal is locked")


async def test_every_end_at_the_phone_is_said_at_the_kiosk_and_enter_begins_again(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    async with at_work(sandbox, tmp_path) as at:
        await at.begin()
        for how, code, support, said in (
            (EndedAt.CANCELLED, "", "", "(phone_cancelled)"),
            (EndedAt.NOT_ME, "", "", "(phone_not_me)"),
            (EndedAt.REFUSED, "sign_in_failed", "AADSTS53003", "AADSTS53003"),
            # The page cannot say what only the broker finds out.
            (EndedAt.FAILED, "phone_no_auth_time", "", "(phone_sign_in_failed)"),
            (EndedAt.REFUSED, "sign_in_consent", "AADSTS65001", "(sign_in_consent)"),
        ):
            await at.open()
            await at.choose()
            if how is EndedAt.NOT_ME:
                await at.hand_over()
                await at.polled("Type the six digits")
            await at.end(how, code, support)
            await at.polled(said)
            if code != "sign_in_consent":
                await at.person.press("enter")
                await at.person.until("Sign in on your phone")
        # Only an operator can solve the last one.
        await at.person.press("enter")
        await at.person.until("You are signed out")


async def test_words_that_are_not_here_end_it_at_the_kiosk_as_well(sandbox: RunningSandbox, tmp_path: Path) -> None:
    async with at_work(sandbox, tmp_path) as at:
        await at.begin()
        await at.open()
        with contextlib.suppress(AssertionError):
            await asyncio.to_thread(at.page.choose, None)
        await at.polled("(phone_not_here)")


@pytest.mark.parametrize("stage", [Stage.WAITING, Stage.OPENED, Stage.CONFIRMING])
async def test_esc_at_the_kiosk_is_seen_on_the_phone(sandbox: RunningSandbox, tmp_path: Path, stage: Stage) -> None:
    async with at_work(sandbox, tmp_path) as at:
        if stage is Stage.CONFIRMING:
            await at.to_digits()
        else:
            await at.begin()
            await at.open()
            if stage is Stage.OPENED:
                await at.polled("A phone has opened the page")
        await at.person.press("escape")
        await at.person.until("This terminal is locked" if stage is Stage.CONFIRMING else "You are signed out")
        await at.person.until(lambda _: at.page.view().code == "kiosk_cancelled")


async def test_three_wrong_tries_end_it_and_the_next_sign_in_has_three_again(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    async with at_work(sandbox, tmp_path) as at:
        digits = await at.to_digits()
        wrong = f"{(int(digits) + 1) % 10**6:06}"
        for said in ("2 tries left", "One try left", "(digits_refused)"):
            await at.person.press(*wrong, "enter")
            await at.person.until(said)
        assert await at.code_on_phone() == "digits_refused"
        await at.person.press("enter")
        await at.person.until("Sign in on your phone")


async def test_a_link_that_nobody_opens_is_renewed_and_an_opened_one_is_not(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    async with at_work(sandbox, tmp_path) as at:
        await at.begin()
        first = at._kiosk[0]
        at.clock.ahead += timedelta(seconds=181)
        await asyncio.to_thread(at.page.alive)
        await at.polled("This is a new link. The last one has expired.")
        assert at._kiosk[0] != first
        await at.open()
        await at.polled("A phone has opened the page")
        at.clock.ahead += timedelta(seconds=121)
        await at.polled("(phone_sign_in_expired)")


async def test_a_broker_that_restarts_ends_the_sign_in_in_words(sandbox: RunningSandbox, tmp_path: Path) -> None:
    async with at_work(sandbox, tmp_path) as at:
        await at.begin()
        assert at.person.app.visit
        assert at.person.app.visit.phone
        # What a restarted broker knows of it.
        at.person.app.visit.phone._id = "of-another-life"
        await at.polled("(phone_sign_in_unknown)")
