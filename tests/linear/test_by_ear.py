"""A visit by ear: no page is interrupted before it has been spoken, and every character is heard once, by its name."""

from __future__ import annotations

import asyncio
import math
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from kiosk import i18n
from kiosk.clock import Deadline
from kiosk.config.kiosk import Policy
from kiosk.errors import BrokerUnreachable
from kiosk.identity.device_code import DeviceCode
from kiosk.linear.keys import ENTER
from kiosk.linear.speech import seconds
from kiosk.models import Ending
from kiosk.recovery_key.spelling import DIGITS, LETTERS
from kiosk.sign_in_messages import Stage
from kiosk.terminal.recorders import Recorders
from kiosk.visit.answers import AfterCard, AfterCheck, AfterReveal, DigitsNotice, Identity, Renewal
from kiosk.visit.guard import WARNING_SECONDS
from tests.support.clock import ManualClock
from tests.support.linear_terminal import LinearTerminal, linear_kiosk, released, reveal
from tests.support.phone_progress import progress
from tests.support.screen_app import CONFIG, KEY, PERSON, device

LONG = replace(
    PERSON,
    name="Maximiliane Freifrau von Hohenstein-Wartburg, Facility Management",
    address="maximiliane.hohenstein-wartburg@nordwind-logistics.example.com",
)
# Lone letters and repeated digits.
HARD_KEY = b"A8I8-88A1-IOYE-UWZV-B0DP-8888"

needs_espeak = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")


@pytest.fixture(params=i18n.available())
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    i18n.use(request.param)
    yield request.param
    i18n.use(i18n.SOURCE)


def sign_in(terminal: LinearTerminal) -> Coroutine[Any, Any, object]:
    address = "https://login.microsoft.com/device"
    code = DeviceCode(user_code="A8I88EFGH", address=address, deadline=Deadline.after(terminal.clock, 900))
    return terminal.ui.device_code(code, renewal=Renewal.EXPIRED)


def key(terminal: LinearTerminal, policy: Policy = Policy.ALLOW) -> Coroutine[Any, Any, object]:
    """With less time than an organisation can allow."""
    return terminal.ui.reveal(released(terminal.clock, HARD_KEY, seconds=5), Recorders(("tmux",), policy))


def trouble(terminal: LinearTerminal) -> Coroutine[Any, Any, object]:
    error = BrokerUnreachable("x", reference="ABCD1234", retry_after=50)
    return terminal.ui.trouble(error, leave="Finish", step=3, device=device())


STEPS: dict[str, Callable[[LinearTerminal], Coroutine[Any, Any, object]]] = {
    "welcome": lambda terminal: terminal.ui.welcome(),
    "sign-in": sign_in,
    "phone": lambda terminal: terminal.ui.phone_sign_in(progress(terminal.clock), renewal=Renewal.EXPIRED),
    "phone-opened": lambda terminal: terminal.ui.phone_sign_in(progress(terminal.clock, Stage.OPENED), renewal=None),
    "digits": lambda terminal: terminal.ui.digits(
        progress(terminal.clock, Stage.CONFIRMING, name=LONG.name, address=LONG.address),
        tries=2,
        notice=DigitsNotice.WRONG,
    ),
    "confirm": lambda terminal: terminal.ui.confirm(LONG),
    "devices": lambda terminal: terminal.ui.devices([device(id=f"d{n}") for n in range(3)], chosen="d1"),
    "key": key,
    "masked": lambda terminal: key(terminal, Policy.MASK),
    "card": lambda terminal: terminal.ui.what_now(device()),
    "trouble": trouble,
}


def nearly_heard(terminal: LinearTerminal) -> str:
    """Let time pass until just before everything has been spoken, and return the text."""
    return terminal.wait(math.floor(terminal.speech.left() * 4) / 4)


@pytest.mark.parametrize("step", STEPS)
async def test_no_page_is_interrupted(terminal: LinearTerminal, language: str, step: str) -> None:
    task = asyncio.ensure_future(STEPS[step](terminal))
    written = await terminal.settled()
    assert terminal.speech.left() > 0.75 * seconds(written.strip())
    assert nearly_heard(terminal) == written
    terminal.hear()
    await terminal.settled()
    assert not task.done()
    task.cancel()


async def test_spelled_pages_are_not_interrupted_either(terminal: LinearTerminal) -> None:
    shown = released(terminal.clock, seconds=60)
    task = await reveal(terminal, shown)
    for typed in ("spell", "2", "show"):
        terminal.wait(10)
        written = await terminal.type(typed)
        assert nearly_heard(terminal) == written
        # There is time left to ask for more.
        assert shown.deadline.left() > 15
    task.cancel()


async def test_a_person_who_hears_every_page_completes_the_visit(terminal: LinearTerminal) -> None:
    began = terminal.clock.now()
    shown = released(terminal.clock)
    steps: list[tuple[Coroutine[Any, Any, object], list[str], object]] = [
        (terminal.ui.welcome(), ["help", ""], None),
        (terminal.ui.confirm(LONG), ["yes"], Identity.MINE),
        (terminal.ui.devices([device()], chosen=""), ["1"], device()),
        (terminal.ui.reveal(shown, Recorders()), ["spell", "check"], AfterReveal.CHECK),
        (terminal.ui.copy_check(shown), [*KEY.decode().split("-"), ""], AfterCheck.GO_ON),
        (terminal.ui.what_now(device()), [], AfterCard.FINISH),
    ]
    for step, answers, result in steps:
        task = asyncio.ensure_future(step)
        await terminal.settled()
        for answer in answers:
            terminal.hear()
            await terminal.type(answer)
        # Long texts wait for Enter.
        while not task.done():
            terminal.hear()
            await terminal.type("")
        assert await task == result
    # There is time left for the phone.
    assert terminal.clock.now() - began < CONFIG.visit.visit_seconds / 2


async def test_idleness_counts_when_the_page_has_been_spoken() -> None:
    clock = ManualClock()
    with linear_kiosk(clock) as (kiosk, read):
        kiosk.guard.guarded = False
        kiosk.guard.begin()
        card = asyncio.ensure_future(kiosk._ui.what_now(device()))
        await asyncio.sleep(0)
        read()

        def wait(seconds: float) -> None:
            for _ in range(round(seconds * 4)):
                clock.advance(0.25)
                kiosk.tick()

        unwarned = CONFIG.visit.idle_seconds - WARNING_SECONDS - 1
        while kiosk._speech.left():
            wait(0.25)
        wait(unwarned)
        for one in (*"more", ENTER):
            kiosk._pressed(one)
        for _ in range(5):
            await asyncio.sleep(0)
        said = read()
        assert "Are you still there?" not in said
        assert "This terminal locks when nobody presses a key for 90 seconds." in " ".join(said.split())
        while kiosk._speech.left():
            wait(0.25)
        wait(unwarned)
        assert not kiosk._warned
        # The warning puts nothing off, although it is spoken.
        wait(WARNING_SECONDS)
        assert "Are you still there?" in read()
        endings = [kiosk.guard.ending]
        wait(2)
        assert [*endings, kiosk.guard.ending] == [None, Ending.IDLE]
        card.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert kiosk._ending
        kiosk._ending.cancel()


async def test_the_goodbye_stays_until_it_is_read() -> None:
    clock = ManualClock()
    with linear_kiosk(clock) as (kiosk, read):
        goodbye = asyncio.ensure_future(kiosk._say_goodbye(Ending.FINISHED))
        await asyncio.sleep(0)
        said = read()
        assert kiosk.guard.goodbye_seconds > 1.8 * seconds(said.partition("You are")[2])
        clock.advance(kiosk.guard.goodbye_seconds - 0.25)
        kiosk._talk.step.tick()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not goodbye.done()
        goodbye.cancel()


def test_a_key_is_erased_without_a_sound(terminal: LinearTerminal) -> None:
    """A screen reader says what is printed, and what it does not understand."""
    terminal.page.secret([[("H", ","), ("J", ".")]])
    assert "H, J." in terminal.text
    terminal.page.wipe()
    sent = os.read(terminal._read, 65536)
    assert not re.sub(rb"\x1b\[[?0-9;]*[A-Za-z]|[\r\n]", b"", sent)
    terminal._stream.feed(sent)
    assert not terminal.text.strip()


def espeak(voice: str, text: str, *options: str) -> bytes:
    return subprocess.run(["espeak-ng", "-v", voice, *options, text], capture_output=True, check=True).stdout


def spoken_for(voice: str, text: str) -> float:
    """Return how long espeak-ng speaks at its usual speed, from the size of its 16-bit samples."""
    return (len(espeak(voice, text, "--stdout")) - 44) / 2 / 22050


@needs_espeak
@pytest.mark.parametrize("code", ["en", "fi", "pl"])
async def test_espeak_needs_no_longer_than_estimated(terminal: LinearTerminal, code: str) -> None:
    i18n.use(code)
    try:
        for step in ("confirm", "key", "card"):
            task = asyncio.ensure_future(STEPS[step](terminal))
            text = await terminal.settled()
            heard = spoken_for(code, text)
            assert heard <= terminal.speech.left() <= 1.7 * heard, (step, heard)
            task.cancel()
            await terminal.settled()
            terminal.speech.hush()
    finally:
        i18n.use(i18n.SOURCE)


@needs_espeak
def test_each_character_has_a_sound_of_its_own(language: str) -> None:
    text = "Group 2: " + ", ".join(LETTERS + DIGITS) + "."
    _, *sounds = espeak(language, text, "-q", "--ipa").decode().split("\n")[:-1]
    by_character = dict(zip(LETTERS + DIGITS, (sound.strip() for sound in sounds), strict=True))
    alike = {
        frozenset(a + b) for a in by_character for b in by_character if a < b and by_character[a] == by_character[b]
    }
    # To espeak-ng a lone Y is the Spanish "and"; spelling words tell it from I.
    assert alike == ({frozenset("IY")} if language == "es" else set())


@needs_espeak
@pytest.mark.parametrize(
    ("code", "letter", "eight"), [("en", "ˈeɪ", "ˈeɪt"), ("fr", "ˈa", "yˈit"), ("de", "ˈɑː", "ˈaxt")]
)
async def test_a_key_is_heard_once_and_in_letters(terminal: LinearTerminal, code: str, letter: str, eight: str) -> None:
    i18n.use(code)
    try:
        task = await reveal(terminal, released(terminal.clock, HARD_KEY))
        line = terminal.text.split("\n")[1]
        plain = espeak(code, line, "-q", "--ipa").decode()
        assert [sound.strip() for sound in plain.strip().split("\n")][2::2] == [eight, eight], plain
        assert plain.split("\n")[1].strip() == letter
        spelled = espeak(code, (await terminal.type("spell")).split("\n")[6], "-q", "--ipa").decode()
        assert spelled.count(eight) == 4
        task.cancel()
    finally:
        i18n.use(i18n.SOURCE)
