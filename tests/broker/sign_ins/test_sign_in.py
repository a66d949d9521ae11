"""The stages of a sign-in: what each side may do in them, and how each of them ends. Time is a number here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from kiosk.broker.sign_ins.sign_in import (
    KEPT_SECONDS,
    LINK_SECONDS,
    SECONDS,
    SignedInOnPhone,
    SignIn,
    new_phone,
)
from kiosk.broker.tokens.validation import Caller
from kiosk.errors import BY_CODE, KioskError, PersonBlocked, PhoneSignInError
from kiosk.models import Person
from kiosk.sign_in_messages import DIGITS, MOST_TRIES, Stage
from kiosk.sign_in_words import WORDS

BEGUN = 1000.0
PHONE = new_phone()
NONCE = "nonce"
ADA = SignedInOnPhone(Caller(Person(tid="t", oid="o", name="Ada", address="ada@x"), "u1"), b"sealed")
STAGES = (Stage.WAITING, Stage.OPENED, Stage.SIGNING_IN, Stage.CONFIRMING)
LATE = [(stage, SECONDS[stage]) for stage in STAGES]


def begun() -> SignIn:
    return SignIn.begin(
        visit="v", public_key=b"k", terminal="desk7 tty1", language="de", place="", now=BEGUN, begun_at=0.0
    )


def at(stage: Stage, now: float = BEGUN) -> SignIn:
    """Return a sign-in in a stage that began now."""
    one = begun()
    one.begun, one.until = now, now + SECONDS[Stage.WAITING]
    if stage is not Stage.WAITING:
        one.open(one.typed, PHONE, "192.0.2.7", "page", now)
    if stage not in {Stage.WAITING, Stage.OPENED}:
        one.answer(one.words, NONCE, now)
    if stage not in {Stage.WAITING, Stage.OPENED, Stage.SIGNING_IN}:
        one.take(ADA, None, NONCE, now)
    if stage is Stage.CONFIRMED:
        assert one.confirm(now)
    if stage is Stage.ENDED:
        one.cancel(now)
    assert one.stage is stage
    return one


def code_of(step: Callable[[], object]) -> str:
    """Return the code of the error that a step raises; empty if none."""
    try:
        step()
    except KioskError as error:
        return error.code
    return ""


def wrong_digits(one: SignIn) -> str:
    return f"{(int(one.digits) + 1) % 10**DIGITS:0{DIGITS}}"


def test_the_choices_have_six_different_words_and_the_right_pair_anywhere() -> None:
    places = set()
    for _ in range(100):
        one = begun()
        assert len({number for pair in one.choices for number in pair}) == 6
        assert all(0 <= number < len(WORDS) for pair in one.choices for number in pair)
        places.add(one.choices.index(one.words))
    assert places == {0, 1, 2}


def test_the_code_for_scanning_changes_and_the_last_two_are_good() -> None:
    life = SECONDS[Stage.WAITING]
    for turn, code in enumerate(begun().scans):
        assert len(begun().scans) == life / LINK_SECONDS
        shown, gone = turn * LINK_SECONDS, min((turn + 2) * LINK_SECONDS, life)
        for after, good in ((shown - 1, False), (shown, True), (gone - 1, True), (gone, False)):
            one = begun()
            one.scans = tuple("-" if number != turn else code for number in range(len(one.scans)))
            now = BEGUN + after
            if turn == 0 and after < 0:
                continue
            one.settle(now)
            assert (code_of(lambda: one.open(code, PHONE, "", "", now)) == "") is good, (turn, after)  # noqa: B023


def test_the_code_that_is_shown_can_be_opened() -> None:
    for after in range(int(SECONDS[Stage.WAITING])):
        one = begun()
        shown = one.for_kiosk("https://go.example", BEGUN + after).scan.rpartition("/")[2]
        one.open(shown, PHONE, "", "", BEGUN + after)
        assert one.stage is Stage.OPENED


def test_opening_any_link_burns_all_of_them() -> None:
    for opened in ("scan", "typed"):
        one = begun()
        codes = {"scan": one.scans[0], "typed": one.typed}
        one.open(codes[opened], PHONE, "", "", BEGUN)
        for code in codes.values():
            assert code_of(lambda: one.open(code, new_phone(), "", "", BEGUN + 1)) == "phone_link_used"  # noqa: B023
        # The first one goes on.
        one.expect_phone(PHONE)
        one.answer(one.words, NONCE, BEGUN + 2)
        assert one.stage is Stage.SIGNING_IN


def test_a_link_of_a_sign_in_that_ended_unopened_is_unknown() -> None:
    one = begun()
    code = one.typed
    one.cancel(BEGUN)
    assert code_of(lambda: one.open(code, PHONE, "", "", BEGUN)) == "phone_link_unknown"


def test_another_phone_or_visit_learns_nothing() -> None:
    one = at(Stage.CONFIRMING)
    for phone in ("", new_phone(), PHONE[:-1], "\udcff"):
        assert code_of(lambda: one.expect_phone(phone)) == "phone_sign_in_unknown"  # noqa: B023
    assert code_of(lambda: begun().expect_phone("")) == "phone_sign_in_unknown"
    assert code_of(lambda: one.expect_visit("w")) == "phone_sign_in_unknown"


@pytest.mark.parametrize("stage", [Stage.OPENED, Stage.SIGNING_IN])
def test_any_answer_but_the_right_words_ends_it(stage: Stage) -> None:
    for words, code in [(None, "phone_not_here"), (0, "phone_words_wrong"), ((63, 0), "phone_words_wrong")]:
        one = at(stage)
        others = [pair for pair in one.choices if pair != one.words]
        one.answer(others[0] if words == 0 else words, NONCE, BEGUN)  # type: ignore[arg-type]
        assert (one.stage, one.code) == (Stage.ENDED, code)
    one = at(stage)
    one.answer((one.words[1], one.words[0]), NONCE, BEGUN)
    assert one.code == "phone_words_wrong"


def test_the_words_can_be_answered_again_before_the_sign_in_is_done() -> None:
    one = at(Stage.SIGNING_IN)
    until = one.until
    one.answer(one.words, "another nonce", BEGUN + 50)
    assert (one.nonce, one.until) == ("another nonce", until)
    one.take(ADA, None, NONCE, BEGUN + 60)
    assert one.stage is Stage.SIGNING_IN
    for _ in range(10):
        one.answer(one.words, NONCE, BEGUN)
    assert one.code == "phone_sign_in_failed"


@pytest.mark.parametrize(("stage", "seconds"), LATE)
def test_each_stage_has_its_time(stage: Stage, seconds: float) -> None:
    one = at(stage)
    assert one.seconds_left(BEGUN + 1) == seconds - 1
    one.settle(BEGUN + seconds - 0.001)
    assert one.stage is stage
    one.settle(BEGUN + seconds)
    assert (one.stage, one.code) == (Stage.ENDED, "phone_sign_in_expired")
    assert not one.is_forgotten(BEGUN + seconds + KEPT_SECONDS - 0.001)
    assert one.is_forgotten(BEGUN + seconds + KEPT_SECONDS)


def test_the_time_of_a_stage_begins_with_it() -> None:
    late = BEGUN + SECONDS[Stage.WAITING] - 1
    one = begun()
    one.open(one.typed, PHONE, "", "", late)
    assert one.until == late + SECONDS[Stage.OPENED]


def test_three_tries_and_never_a_fourth() -> None:
    one = at(Stage.CONFIRMING)
    wrong = wrong_digits(one)
    right = one.digits
    assert [code_of(lambda: one.try_digits(wrong, BEGUN)) for _ in range(MOST_TRIES)] == [
        "digits_wrong", "digits_wrong", "digits_refused",
    ]  # fmt: skip
    assert one.stage is Stage.ENDED
    assert code_of(lambda: one.try_digits(right, BEGUN)) == "digits_refused"


def test_the_third_try_may_be_right() -> None:
    one = at(Stage.CONFIRMING)
    for _ in range(MOST_TRIES - 1):
        code_of(lambda: one.try_digits("000000x", BEGUN))
    assert one.try_digits(one.digits, BEGUN) is ADA


@pytest.mark.parametrize("typed", ["", "1", "½", "١٢٣٤٥٦", "\udcff", "1234567", "x" * 20])
def test_what_is_no_digits_is_wrong(typed: str) -> None:
    one = at(Stage.CONFIRMING)
    one.digits = "123456"
    assert code_of(lambda: one.try_digits(typed, BEGUN)) == "digits_wrong"


def test_blanks_between_digits_do_not_matter() -> None:
    one = at(Stage.CONFIRMING)
    assert one.try_digits(f" {one.digits[:3]} {one.digits[3:]}", BEGUN) is ADA


def test_digits_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("kiosk.broker.sign_ins.sign_in.hmac.compare_digest", compare)
    one = at(Stage.CONFIRMING)
    code_of(lambda: one.try_digits("99", BEGUN))
    assert compared[-1] == (one.digits.encode(), b"99")


@pytest.mark.parametrize("stage", [Stage.WAITING, Stage.OPENED, Stage.SIGNING_IN])
def test_there_is_nothing_to_confirm_before_the_digits_exist(stage: Stage) -> None:
    one = at(stage)
    for typed in ("", "000000"):
        assert code_of(lambda: one.try_digits(typed, BEGUN)) == "phone_sign_in_unknown"  # noqa: B023
    assert not one.confirm(BEGUN)
    assert (one.stage, one.tries) == (stage, 0)


def test_a_lost_answer_can_be_asked_for_again() -> None:
    one = at(Stage.CONFIRMED)
    assert one.try_digits(one.digits, BEGUN) is ADA
    assert not one.confirm(BEGUN)
    wrong = wrong_digits(one)
    for _ in range(MOST_TRIES):
        assert code_of(lambda: one.try_digits(wrong, BEGUN)) in {"digits_wrong", "digits_refused"}
    assert one.stage is Stage.CONFIRMED
    assert code_of(lambda: one.try_digits(one.digits, BEGUN)) == "digits_refused"
    assert one.is_forgotten(BEGUN + KEPT_SECONDS)


def test_nothing_is_confirmed_that_ended_while_the_record_was_written() -> None:
    one = at(Stage.CONFIRMING)
    one.try_digits(one.digits, BEGUN)
    one.end(PhoneSignInError("not me"), BEGUN)
    assert code_of(lambda: one.confirm(BEGUN)) == "phone_sign_in_failed"


@pytest.mark.parametrize("stage", [*STAGES, Stage.CONFIRMED, Stage.ENDED])
def test_either_side_can_end_it_until_it_is_over(stage: Stage) -> None:
    one = at(stage)
    before = (one.stage, one.code, one.until)
    one.end(BY_CODE["phone_not_me"](), BEGUN + 5)
    ended = (Stage.ENDED, "phone_not_me", BEGUN + 5 + KEPT_SECONDS)
    assert (one.stage, one.code, one.until) == (before if stage not in STAGES else ended)


@pytest.mark.parametrize("stage", [Stage.WAITING, Stage.OPENED, Stage.CONFIRMING, Stage.CONFIRMED, Stage.ENDED])
def test_tokens_count_once_and_in_their_stage_only(stage: Stage) -> None:
    one = at(stage)
    before = (one.stage, one.digits, one.person)
    one.take(replace(ADA, sealed=b"another"), None, NONCE, BEGUN)
    one.take(None, PersonBlocked(), NONCE, BEGUN)
    one.take(ADA, None, "", BEGUN)
    assert (one.stage, one.digits, one.person) == before


def test_somebody_who_may_not_use_kiosks_gets_no_digits() -> None:
    one = at(Stage.SIGNING_IN)
    one.take(ADA, PersonBlocked("blocked"), NONCE, BEGUN)
    assert (one.stage, one.code, one.digits) == (Stage.ENDED, "person_blocked", "")
    assert one.person
    assert one.person.sealed == b""


@pytest.mark.parametrize("stage", STAGES)
def test_the_end_drops_every_secret(stage: Stage) -> None:
    one = at(stage)
    secrets = {*one.codes, one.digits, one.nonce, PHONE, "sealed"} - {""}
    one.cancel(BEGUN)
    kept = repr([getattr(one, name) for name in one.__struct_fields__])
    assert not [secret for secret in secrets if secret in kept]
    assert one.for_kiosk("https://go.example", BEGUN).scan == one.for_phone(PHONE, BEGUN).digits == ""


@pytest.mark.parametrize("stage", [*STAGES, Stage.CONFIRMED, Stage.ENDED])
def test_each_side_sees_what_belongs_to_the_stage(stage: Stage) -> None:
    one = at(stage)
    kiosk, phone = one.for_kiosk("https://go.example/", BEGUN), one.for_phone(PHONE, BEGUN)
    assert (kiosk.stage, phone.stage) == (stage, stage)
    assert bool(kiosk.scan) is bool(kiosk.typed) is (stage is Stage.WAITING)
    assert bool(phone.choices) is (stage is Stage.OPENED)
    assert bool(phone.digits) is (stage is Stage.CONFIRMING)
    named = {Stage.CONFIRMING, Stage.CONFIRMED}
    assert bool(kiosk.name) is bool(phone.name) is bool(phone.address) is (stage in named)
    assert bool(kiosk.code) is bool(phone.code) is bool(kiosk.reference) is (stage is Stage.ENDED)
    assert kiosk.reference == phone.reference
    shown = f"{one!r}{kiosk!r}{phone!r}{one.person!r}"
    assert not [secret for secret in (*one.codes, one.digits, PHONE, "sealed") if secret and secret in shown]


def test_addresses_are_short_and_read_back() -> None:
    kiosk = begun().for_kiosk("https://go.example/", BEGUN)
    assert len(kiosk.scan) == len("HTTPS://GO.EXAMPLE/K7Q2M9XD")
    assert kiosk.scan == kiosk.scan.upper()
    assert kiosk.typed.startswith("https://go.example/")
    assert kiosk.typed[-5] == "-"
