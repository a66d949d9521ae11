"""The sign-in on the phone at the kiosk, with a broker whose answers a test chooses and a clock that it moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from kiosk import i18n
from kiosk.errors import (
    BrokerGarbled,
    BrokerUnreachable,
    BrokerUntrusted,
    DigitsWrong,
    KioskError,
    PhoneSignInExpired,
    PhoneSignInUnknown,
    RequestLimit,
    SealBroken,
    SignInError,
)
from kiosk.identity.phone import PhoneSignIn
from kiosk.secret import SUITE, VisitKeys, public_key_from_bytes, sign_in_info
from kiosk.sign_in_messages import BeginSignIn, Confirm, SignInBegun, SignInView, Stage
from tests.support.clock import ManualClock
from tests.support.phone_progress import SCAN, TYPED

LINK = SignInView(stage=Stage.WAITING, seconds_left=180, scan=SCAN, typed=TYPED)
CONFIRMING = SignInView(stage=Stage.CONFIRMING, seconds_left=90, name="Ada", address="ada@x")
TOKEN = "eyJ.a.b"


class Answers:
    """A broker that answers what a test says, and notes what it was asked."""

    def __init__(self, keys: VisitKeys) -> None:
        self.begun = SignInBegun(id="s1", words=(3, 4), view=LINK)
        self.next: SignInView | KioskError = LINK
        self.token = TOKEN
        self.info = sign_in_info("s1")
        self.wrong: KioskError | None = None
        self.cancelled: list[str] = []
        self.asked: BeginSignIn | None = None
        self.digits = ""
        self.polls = 0
        self._key = public_key_from_bytes(keys.public_key)

    async def begin_sign_in(self, body: BeginSignIn) -> SignInBegun:
        self.asked = body
        return self.begun

    async def sign_in(self, sign_in_id: str) -> SignInView:
        assert sign_in_id == self.begun.id
        self.polls += 1
        if isinstance(self.next, KioskError):
            raise self.next
        return self.next

    async def confirm_sign_in(self, sign_in_id: str, body: Confirm) -> bytes:
        self.digits = body.digits
        if self.wrong:
            raise self.wrong
        return SUITE.encrypt(self.token.encode(), self._key, info=self.info)

    async def cancel_sign_in(self, sign_in_id: str) -> None:
        self.cancelled.append(sign_in_id)
        raise BrokerUnreachable("x")


class Case:
    def __init__(self) -> None:
        self.clock, self.keys = ManualClock(), VisitKeys()
        self.broker = Answers(self.keys)
        self.sign_in = PhoneSignIn(self.broker, self.keys, self.clock, "Building 7")

    async def wait(self, seconds: float) -> None:
        """Let time pass, a second at a time."""
        for _ in range(round(seconds)):
            self.clock.advance(1)
            for _ in range(5):
                await asyncio.sleep(0)


@pytest.fixture
def case() -> Case:
    return Case()


async def test_the_broker_hears_key_language_and_place(case: Case) -> None:
    i18n.use("sv")
    try:
        await case.sign_in.begin()
    finally:
        i18n.use(i18n.SOURCE)
    assert case.broker.asked == BeginSignIn(public_key=case.keys.public_key, language="sv", place="Building 7")
    assert (case.sign_in.view, case.sign_in.words, case.sign_in.deadline.left()) == (LINK, (3, 4), 180)


async def test_each_second_is_one_poll_and_a_stage_keeps_its_deadline(case: Case) -> None:
    await case.sign_in.begin()
    past = asyncio.ensure_future(case.sign_in.past(Stage.WAITING, Stage.OPENED))
    await asyncio.sleep(0)
    await case.wait(10)
    assert case.broker.polls == 10
    assert case.sign_in.deadline.left() == 170
    case.broker.next = SignInView(stage=Stage.OPENED, seconds_left=120)
    await case.wait(2)
    # Counted from the first answer that said so.
    assert case.sign_in.deadline.left() == 119
    case.broker.next = CONFIRMING
    await case.wait(1)
    assert await past is Stage.CONFIRMING
    assert case.sign_in.view.name == "Ada"


@pytest.mark.parametrize("error", [BrokerUnreachable("x"), BrokerGarbled("x"), RequestLimit("x"), KioskError("x")])
async def test_without_an_answer_the_person_is_told_and_polling_goes_on(case: Case, error: KioskError) -> None:
    await case.sign_in.begin()
    past = asyncio.ensure_future(case.sign_in.past(Stage.WAITING))
    await asyncio.sleep(0)
    case.broker.next = error
    await case.wait(5)
    assert case.sign_in.answers()
    await case.wait(3)
    assert (case.sign_in.answers(), case.sign_in.unanswered) == (False, True)
    case.broker.next = LINK
    await case.wait(1)
    assert (case.sign_in.answers(), case.sign_in.unanswered) == (True, False)
    case.broker.next = error
    # A little longer than the link lives: the broker may be about to say that it has ended.
    await case.wait(174)
    assert not past.done()
    await case.wait(5)
    with pytest.raises(type(error)):
        await past


async def test_a_poll_that_hangs_is_told_of_as_well(case: Case) -> None:
    await case.sign_in.begin()
    case.clock.advance(8)
    assert not case.sign_in.answers()


@pytest.mark.parametrize("error", [BrokerUntrusted("x"), PhoneSignInUnknown("x")])
async def test_what_does_not_pass_is_raised_at_once(case: Case, error: KioskError) -> None:
    await case.sign_in.begin()
    past = asyncio.ensure_future(case.sign_in.past(Stage.WAITING))
    await asyncio.sleep(0)
    case.broker.next = error
    await case.wait(1)
    with pytest.raises(type(error)):
        await past


async def test_the_end_of_a_sign_in_is_an_error_with_what_to_quote(case: Case) -> None:
    await case.sign_in.begin()
    past = asyncio.ensure_future(case.sign_in.past(Stage.WAITING))
    await asyncio.sleep(0)
    case.broker.next = SignInView(
        stage=Stage.ENDED, seconds_left=0, code="sign_in_failed", reference="AB12CD34", support="AADSTS53003"
    )
    await case.wait(1)
    with pytest.raises(SignInError) as caught:
        await past
    assert (caught.value.reference, caught.value.support) == ("AB12CD34", "AADSTS53003")
    # Of the flow, which renews a link that nobody opened.
    assert case.sign_in.view.stage is Stage.WAITING
    await case.sign_in.abandon()
    assert not case.broker.cancelled


@pytest.mark.parametrize(
    "begun",
    [
        lambda: SignInBegun(id="", words=(3, 4), view=LINK),
        lambda: SignInBegun(id="s1", words=(3, 64), view=LINK),
        lambda: SignInBegun(id="s1", words=(-1, 4), view=LINK),
        lambda: SignInBegun(id="s1", words=(3, 4), view=SignInView(stage=Stage.WAITING, seconds_left=1)),
        lambda: SignInBegun(
            id="s1",
            words=(3, 4),
            view=SignInView(stage=Stage.WAITING, seconds_left=1, scan="HTTP://X/A", typed="https://x/a"),
        ),
    ],
)
async def test_a_sign_in_that_cannot_be_shown_does_not_begin(case: Case, begun: Callable[[], SignInBegun]) -> None:
    case.broker.begun = begun()
    with pytest.raises(BrokerGarbled):
        await case.sign_in.begin()


async def test_a_sign_in_that_has_already_ended_does_not_begin(case: Case) -> None:
    ended = SignInView(stage=Stage.ENDED, seconds_left=0, code="phone_sign_in_expired")
    case.broker.begun = SignInBegun(id="s1", words=(3, 4), view=ended)
    with pytest.raises(PhoneSignInExpired):
        await case.sign_in.begin()


async def test_the_right_digits_open_the_token_and_nothing_shows_it(case: Case) -> None:
    await case.sign_in.begin()
    digits = bytearray(b"471093")
    await case.sign_in.confirm(digits)
    assert digits == bytes(6)
    assert case.broker.digits == "471093"
    assert case.sign_in.signed_in
    assert case.sign_in.authorization() == f"Bearer {TOKEN}"
    assert TOKEN not in repr(case.sign_in)
    # Nothing is left to be cancelled.
    await case.sign_in.abandon()
    assert not case.broker.cancelled
    case.sign_in.forget()
    assert case.sign_in.authorization() == "Bearer "
    assert not case.sign_in.signed_in


async def test_wrong_digits_leave_the_sign_in_open(case: Case) -> None:
    await case.sign_in.begin()
    case.broker.wrong = DigitsWrong()
    digits = bytearray(b"471093")
    with pytest.raises(DigitsWrong):
        await case.sign_in.confirm(digits)
    assert digits == bytes(6)
    await case.sign_in.abandon()
    assert case.broker.cancelled == ["s1"]
    await case.sign_in.abandon()
    assert case.broker.cancelled == ["s1"]


async def test_a_token_that_is_sealed_for_another_sign_in_or_fits_no_header_is_refused(case: Case) -> None:
    await case.sign_in.begin()
    case.broker.token = "two words"
    with pytest.raises(BrokerGarbled):
        await case.sign_in.confirm(bytearray(b"471093"))
    await case.sign_in.begin()
    case.broker.token, case.broker.info = TOKEN, sign_in_info("s2")
    with pytest.raises(SealBroken):
        await case.sign_in.confirm(bytearray(b"471093"))
    assert not case.sign_in.signed_in
