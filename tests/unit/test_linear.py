"""The parts of linear mode: keys, pages, lines that are typed, times, and each step on a page that a test reads."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Iterator
from typing import Any

import pyte
import pytest

from kiosk import i18n
from kiosk.answers import AfterCard, AfterCheck, AfterReveal, Choice, Identity, Network, SignInOutcome
from kiosk.clock import Deadline, ManualClock
from kiosk.config import Policy
from kiosk.errors import BrokerUnreachable, KeyNotEscrowed
from kiosk.identity import DeviceCode
from kiosk.linear.commands import Command, find
from kiosk.linear.face import LinearFace
from kiosk.linear.keys import BACKSPACE, ENTER, ESCAPE, Keys
from kiosk.linear.page import Page
from kiosk.linear.talk import Step, Talk
from kiosk.linear.times import Announcer, spoken
from kiosk.secret import SecretBuffer
from kiosk.showing import Showing, Times
from kiosk.surroundings import Watch
from kiosk.words import NETWORK
from tests.support.linear import key_in
from tests.support.stage import CONFIG, KEY, PERSON, device


class Paper:
    """A page whose other end is a terminal emulator; what scrolls off its top is noticed."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.screen = pyte.HistoryScreen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        self.clock = ManualClock()
        self.locks = 0
        self.page = Page(self._write, lambda: (self.screen.columns, self.screen.lines))
        self.talk = Talk(self.page, helpdesk="Ground floor", lock=self._lock)
        self.left: list[str] = []
        self.face = LinearFace(
            self.talk,
            CONFIG,
            self.clock,
            ticket=lambda error, _device: f"ticket {error.code}",
            other_face=lambda: self.left.append("other face"),
            end_demo=None,
        )

    def _lock(self) -> None:
        self.locks += 1

    @property
    def text(self) -> str:
        """What stands on the page."""
        while True:
            try:
                self._stream.feed(os.read(self._read, 65536))
            except BlockingIOError:
                break
        assert not self.screen.history.top, "a line has scrolled off"
        return "\n".join(line.rstrip() for line in self.screen.display)

    async def type(self, text: str) -> str:
        """Type a line; returns what then stands on the page."""
        for key in (*text, ENTER):
            self.talk.press(key)
        return await self.settled()

    async def settled(self) -> str:
        for _ in range(10):
            await asyncio.sleep(0)
        return self.text

    def wait(self, seconds: float) -> str:
        """Let time pass, as the kiosk does four times a second."""
        for _ in range(round(seconds * 4)):
            self.clock.advance(0.25)
            self.talk.step.tick()
        return self.text

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


@pytest.fixture
def paper() -> Iterator[Paper]:
    made = Paper()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"ab\r", ["a", "b", ENTER]),
        ("å\u4e2d".encode(), ["å", "\u4e2d"]),
        (b"\x7f\x08\n", [BACKSPACE, BACKSPACE, ENTER]),
        (b"\x1bOP\x1b[11~\x1b[[A", ["f1"] * 3),
        (b"\x1bOR\x1b[15~\x1b[20~\x1b[21~\x1b[24~", ["f3", "f5", "f9", "f10", "f12"]),
        (b"\x1b[A\x1b[1;5C\x1b[200~x\x1b[201~", ["x"]),
        (b"\x1b[48;20000;20000;1;1t\x1b[<0;5;1M", []),
        (b"\x1b]52;c;ZWNobw==\x07a\x1bP+q\x1b\\b", ["a", "b"]),
        (b"\x1b[I\x1b[O", ["blur"]),
        (b"\xff\xfe\x00\x03\x1a\x9b", []),
        ("\u202e\u2066\ufffd".encode(), []),
        (b"\x1b\r", [ESCAPE, ENTER]),
        (b"\x1b]" + b"y" * 300 + b"z", ["y"] * 45 + ["z"]),
    ],
)
def test_keys(data: bytes, keys: list[str]) -> None:
    assert Keys().feed(data) == keys
    byte_by_byte = Keys()
    assert [key for place in range(len(data)) for key in byte_by_byte.feed(data[place : place + 1])] == keys


def test_a_pause_tells_esc_from_a_sequence() -> None:
    keys = Keys()
    assert keys.feed(b"\x1b") == []
    assert keys.unfinished
    assert keys.pause() == [ESCAPE]
    assert keys.feed(b"\x1b]never ended") == []
    assert keys.pause() == []
    assert keys.feed(b"a") == ["a"]


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 10), (20, 5), (10, 2)])
def test_no_line_ever_scrolls_off(columns: int, rows: int) -> None:
    paper = Paper(columns, rows)
    for number in range(60):
        paper.page.line(f"{number} " + "words of a line that is long " * (number % 4))
        assert paper.text is not None
    paper.close()


def test_lines_are_wrapped_between_words(paper: Paper) -> None:
    paper.page.line("word " * 30 + "x" * 100 + " \u4e2d" * 60)
    rows = paper.text.split("\n")
    assert max(map(len, rows)) <= 79
    assert rows[0] == " ".join(["word"] * 16)


def test_times_are_announced_once() -> None:
    clock = ManualClock()
    deadline = Deadline.after(clock, 75)
    announcer = Announcer(deadline.left)
    heard = []
    for _ in range(4 * 80):
        clock.advance(0.25)
        if mark := announcer.due():
            heard.append((mark, deadline.left()))
    assert heard == [(60, 60.0), (30, 30.0), (10, 10.0)]


def test_a_leap_announces_the_nearest_time_and_more_time_announces_anew() -> None:
    left = 70.0
    announcer = Announcer(lambda: left)
    left = 25
    assert announcer.due() == 30
    assert announcer.due() is None
    left = 70
    assert announcer.due() is None
    left = 59
    assert announcer.due() == 60
    left = 0
    assert announcer.due() is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 second"),
        (60, "60 seconds"),
        (90, "90 seconds"),
        (120, "2 minutes"),
        (299.1, "5 minutes"),
        (61 + 60, "2 minutes 1 second"),
    ],
)
def test_spoken(seconds: float, words: str) -> None:
    assert spoken(seconds) == words


def test_no_two_commands_are_alike() -> None:
    for code in i18n.available():
        i18n.use(code)
        try:
            words = [command.word.casefold() for command in Command]
            assert len(set(words)) == len(words), code
            assert all(find(command.word) is command and find(command.value) for command in Command), code
        finally:
            i18n.use(i18n.SOURCE)


async def test_what_is_typed_goes_on_below_what_is_said(paper: Paper) -> None:
    asking = asyncio.ensure_future(paper.talk.ask("Name: "))
    await paper.settled()
    for key in ("a", "x", BACKSPACE, "b"):
        paper.talk.press(key)
    paper.talk.say("30 seconds left.")
    assert paper.text.rstrip().split("\n") == ["Name: ab", "30 seconds left.", "Name: ab"]
    await paper.type("c")
    assert await asking == "abc"


async def test_a_long_line_is_mended_across_rows() -> None:
    paper = Paper(20, 12)
    asking = asyncio.ensure_future(paper.talk.ask("Why: ", limit=30))
    await paper.settled()
    for key in [*"0123456789abcdefgh", *[BACKSPACE] * 6, "Z"]:
        paper.talk.press(key)
    assert paper.text.rstrip().split("\n")[-1] == "Why: 0123456789abZ"
    for _ in range(40):
        paper.talk.press("y")
    await paper.type("")
    assert await asking == "0123456789abZ" + "y" * 17
    paper.close()


async def test_what_is_typed_while_nothing_is_asked_is_dropped(paper: Paper) -> None:
    await paper.type("yes")
    asking = asyncio.ensure_future(paper.talk.ask("? "))
    await paper.settled()
    assert not asking.done()
    # Two at once: the second was typed before its question was asked.
    for key in (ENTER, ENTER):
        paper.talk.press(key)
    assert await asking == ""
    again = asyncio.ensure_future(paper.talk.ask("? "))
    await paper.settled()
    assert not again.done()
    again.cancel()


async def test_help_back_and_lock_are_words_and_keys(paper: Paper) -> None:
    paper.talk.begin(Step("What this is for."))
    asking = asyncio.ensure_future(paper.talk.ask("? "))
    await paper.settled()
    assert "What this is for." in await paper.type("help")
    assert "Ground floor" in await paper.type("?")
    paper.talk.press("f1")
    assert (await paper.settled()).count("What this is for.") == 3
    await paper.type("LOCK")
    paper.talk.press("f10")
    assert paper.locks == 2
    await paper.type("back")
    assert await asking is None


async def test_a_question_that_was_cancelled_does_not_speak_into_the_next_step(paper: Paper) -> None:
    waiting = asyncio.ensure_future(paper.face.working("Looking for your Macs", 3))
    await paper.settled()
    waiting.cancel()
    confirming = asyncio.ensure_future(paper.face.confirm(PERSON))
    await paper.settled()
    assert "cancel" not in paper.text
    confirming.cancel()


def showing(clock: ManualClock, key: bytes = KEY, seconds: float = 300) -> Showing:
    """A key that was released."""
    return Showing(
        device(),
        "r",
        lambda: SecretBuffer(bytes(bytearray(key))),
        Times(seconds, 3 * seconds, math.inf),
        clock,
        lambda _showing, _how: None,
    )


async def reveal(paper: Paper, shown: Any, watch: Watch | None = None) -> asyncio.Task[AfterReveal]:
    task = asyncio.create_task(paper.face.reveal(shown, watch or Watch()))
    await paper.settled()
    return task


async def test_the_time_of_a_key_is_announced(paper: Paper) -> None:
    shown = showing(paper.clock, seconds=75)
    task = await reveal(paper, shown)
    assert key_in(paper.text) == KEY.decode()
    assert "The key vanishes in 75 seconds." in paper.text
    for before, mark in ((15, 60), (30, 30), (20, 10)):
        assert f"vanishes in {mark} seconds" not in paper.wait(before - 0.5)
        assert f"vanishes in {mark} seconds" in paper.wait(0.5)
    assert key_in(paper.text)
    assert "The time is over" in paper.wait(10)
    assert "Group" not in paper.text
    assert shown.over
    assert "Press Enter to fetch it again" in await paper.type("show")
    await paper.type("")
    assert await task is AfterReveal.FETCH


async def test_more_time_is_announced_anew_up_to_the_longest(paper: Paper) -> None:
    task = await reveal(paper, showing(paper.clock, seconds=40))
    assert "in 30 seconds" in paper.wait(15)
    assert "in 40 seconds" in await paper.type("more")
    assert paper.wait(15).count("in 30 seconds") == 2
    paper.wait(20)
    for _ in range(3):
        await paper.type("more")
        paper.wait(20)
    assert "There is no more time than this." in await paper.type("more")
    task.cancel()


async def test_a_full_page_takes_the_key_away_before_it_scrolls(paper: Paper) -> None:
    shown = showing(paper.clock)
    task = await reveal(paper, shown)
    for _ in range(30):
        await paper.type("time")
        paper.talk.step.tick()
        assert ("Group" in paper.text) is shown.visible
    assert not shown.visible
    assert not shown.over
    await paper.type("")
    assert key_in(paper.text) == KEY.decode()
    paper.talk.press(ESCAPE)
    assert await task is AfterReveal.BACK
    assert "Group" not in paper.text


async def test_masked_there_is_one_group_at_a_time(paper: Paper) -> None:
    watch = Watch(("tmux",), Policy.MASK)
    shown = showing(paper.clock)
    task = await reveal(paper, shown, watch)
    assert "Another program may see or keep this screen: tmux." in paper.text
    assert "Group" not in paper.text
    for words in ("show", "spell", "repeat", ""):
        assert "Group" not in await paper.type(words)
    assert "Group 2: 7 seven, Q Quebec, X X-ray, B Bravo." in await paper.type("2")
    assert "Group 2" not in await paper.type("6")
    assert "Group 6" in paper.text
    assert "1 to 6" in await paper.type("7")
    task.cancel()


async def test_an_unusual_key_is_read_as_it_is(paper: Paper) -> None:
    task = await reveal(paper, showing(paper.clock, key=b"AB1-2"))
    assert "A B 1 - 2\n" in paper.text
    assert "unusual form" in paper.text
    assert "A Alfa, B Bravo, 1 one, - -, 2 two." in await paper.type("spell")
    task.cancel()


async def test_a_window_that_changes_takes_the_key_away(paper: Paper) -> None:
    shown = showing(paper.clock)
    task = await reveal(paper, shown)
    paper.page.resized()
    paper.talk.step.tick()
    assert "The key is hidden" in paper.text
    assert "Group" not in paper.text
    assert not shown.visible
    task.cancel()


async def test_in_a_window_that_is_too_small_nothing_is_read() -> None:
    paper = Paper(80, 4)
    shown = showing(paper.clock)
    task = await reveal(paper, shown)
    await paper.type("3")
    assert "too small" in paper.text
    assert not shown.visible
    paper.screen.resize(24, 80)
    paper.page.resized()
    await paper.type("show")
    assert key_in(paper.text) == KEY.decode()
    task.cancel()
    paper.close()


async def test_the_code_is_announced_and_expires(paper: Paper) -> None:
    code = DeviceCode(user_code="AB2C", address="https://example.com/device", deadline=Deadline.after(paper.clock, 70))
    task = asyncio.create_task(paper.face.sign_in(code, renewed=True))
    text = await paper.settled()
    assert "open example.com/device" in text
    assert "the code: A B 2 C" in text
    assert "This is a new code." in text
    assert "A Alfa, B Bravo, 2 two, C Charlie." in await paper.type("spell")
    for before, mark in ((10, 60), (30, 30), (20, 10)):
        assert f"The code is valid for {mark} seconds." in paper.wait(before)
    paper.wait(10)
    assert await task is SignInOutcome.EXPIRED


async def test_no_answer_is_a_no(paper: Paper) -> None:
    task = asyncio.create_task(paper.face.confirm(PERSON))
    assert PERSON.name in await paper.settled()
    assert "10 seconds left to answer." in paper.wait(10)
    await paper.type("perhaps")
    assert not task.done()
    paper.wait(10)
    assert await task is Identity.UNANSWERED


@pytest.mark.parametrize(
    ("typed", "answer"),
    [("", Identity.MINE), ("yes", Identity.MINE), ("no", Identity.NOT_MINE), ("back", Identity.NOT_MINE)],
)
async def test_is_it_you(paper: Paper, typed: str, answer: Identity) -> None:
    task = asyncio.create_task(paper.face.confirm(PERSON))
    await paper.settled()
    await paper.type(typed)
    assert await task is answer


async def test_a_long_list_of_macs_is_read_in_pieces(paper: Paper) -> None:
    macs = [device(f"Mac {number}", id=f"d{number}", serial=f"S{number:05}") for number in range(1, 31)]
    macs[1] = device("Mac 2", id="d2", refusal="key_not_escrowed")
    task = asyncio.create_task(paper.face.devices(macs, chosen="d9"))
    text = await paper.settled()
    assert "30 Macs are registered" in text
    assert "The last one was number 9." in text
    assert f"No key here: {KeyNotEscrowed.sentence.split()[0]}" in text
    heard = set()
    for _ in range(10):
        heard |= {number for number in range(1, 31) if f"\n{number}. Mac {number}," in f"\n{paper.text}"}
        await paper.type("")
    assert heard == set(range(1, 31))
    assert "No Mac fits" in await paper.type("zebra")
    assert "1. Mac 17" in await paper.type("s00017")
    await paper.type("")
    chosen = await task
    assert chosen
    assert chosen.id == "d17"


async def test_without_a_mac_there_is_only_the_way_out(paper: Paper) -> None:
    task = asyncio.create_task(paper.face.devices([], chosen=""))
    assert "There is no Mac registered to you." in await paper.settled()
    await paper.type("")
    assert await task is None


async def test_a_reason_that_is_needed_is_asked_for_again(paper: Paper) -> None:
    task = asyncio.create_task(paper.face.reason("Which ticket?", required=True, typed="none"))
    assert "Reason: none" in await paper.settled()
    for _ in "none":
        paper.talk.press(BACKSPACE)
    assert "A reason is needed here." in await paper.type("  ")
    await paper.type("Ticket 4711")
    assert await task == "Ticket 4711"


async def test_trouble_is_said_whole(paper: Paper) -> None:
    error = BrokerUnreachable("x", reference="ABCD1234", retry_after=50)
    task = asyncio.create_task(paper.face.trouble(error, leave="Finish", step=3, device=device()))
    text = (await paper.settled()).replace("\n", " ")
    for words in (
        error.title,
        error.sentence,
        error.next_step,
        "ABCD1234",
        "1 minute",
        "Enter: Try again. back: Finish.",
    ):
        assert words in text
    assert "ticket broker_unreachable" in await paper.type("ticket")
    assert "ABCD1234" in await paper.type("")
    await paper.type("")
    assert await task is Choice.AGAIN


async def test_trouble_that_is_final_leads_back(paper: Paper) -> None:
    task = asyncio.create_task(paper.face.trouble(KeyNotEscrowed(), leave="x", step=4, device=device()))
    await paper.settled()
    await paper.type("")
    assert await task is Choice.LEAVE


async def test_what_becomes_of_the_network_is_said(paper: Paper) -> None:
    task = asyncio.create_task(paper.face.welcome())
    await paper.settled()
    for network in Network:
        paper.face.network(network)
        assert NETWORK[network] in paper.text
    assert NETWORK[Network.BACK] in await paper.type("repeat")
    await paper.type("")
    assert task.done()


async def test_a_language_is_chosen_and_forgotten_again(paper: Paper) -> None:
    if len(i18n.available()) < 2:
        pytest.skip("there is no other language here")
    task = asyncio.create_task(paper.face.welcome())
    assert "language: English" in await paper.settled()
    await paper.type("language")
    await paper.type("Svenska")
    await paper.type("")
    assert i18n.language() == "sv"
    paper.clock.advance(61)
    await paper.settled()
    assert i18n.language() == "en"
    await paper.type("screen")
    assert paper.left == ["other face"]
    await paper.type("")
    assert task.done()


async def check(paper: Paper, shown: Showing) -> asyncio.Task[AfterCheck]:
    shown.hide()
    task = asyncio.create_task(paper.face.read_back(shown))
    await paper.settled()
    return task


async def test_a_copy_is_typed_unseen_and_each_group_is_answered(paper: Paper) -> None:
    shown = showing(paper.clock)
    task = await check(paper, shown)
    assert "Group 1: type the four characters" in paper.text
    for key in "hj":
        paper.talk.press(key)
    assert "Group 1: **" in await paper.settled()
    paper.talk.press(BACKSPACE)
    for key in "J-4 w9":
        paper.talk.press(key)
    text = await paper.type("")
    assert "Group 1: ****" in text
    assert "Group 1 is right." in text
    assert "Group 2: type" in text
    for group in KEY.decode().lower().split("-")[1:]:
        assert group not in await paper.type(group)
    assert "Your copy is right. Walk back to your Mac." in paper.text
    await paper.type("")
    assert await task is AfterCheck.GO_ON


async def test_a_wrong_copy_has_few_tries_and_what_cannot_be_costs_none(paper: Paper) -> None:
    shown = showing(paper.clock)
    while shown.read_back and shown.read_back._same(0, bytearray(b"AAAA")):
        shown = showing(paper.clock)
    task = await check(paper, shown)
    assert "That cannot be in a key" in await paper.type("hö4w")
    assert "Group 1 is not right" in await paper.type("aaaa")
    assert "4 tries are left" in paper.text.replace("\n", " ")
    for _ in range(4):
        await paper.type("aaaa")
    assert "No tries are left for group 1" in paper.text
    for group in KEY.decode().split("-")[1:]:
        await paper.type(group)
    assert "Your copy is right" not in paper.text
    await paper.type("")
    assert await task is AfterCheck.GO_ON
    assert shown.read_back
    assert (shown.read_back.outcome.right, shown.read_back.outcome.out_of_tries) == (5, 1)


@pytest.mark.parametrize(("key", "answer"), [(ENTER, AfterCheck.GO_ON), (ESCAPE, AfterCheck.BACK)])
async def test_the_check_can_be_left(paper: Paper, key: str, answer: AfterCheck) -> None:
    task = await check(paper, showing(paper.clock))
    paper.talk.press("f1")
    assert "A star stands for each character" in " ".join((await paper.settled()).split())
    paper.talk.press(key)
    assert await task is answer


@pytest.mark.parametrize(("typed", "answer"), [("check", AfterReveal.CHECK), ("next", AfterReveal.WHAT_NOW)])
async def test_words_lead_from_the_key_to_the_check_and_on(paper: Paper, typed: str, answer: AfterReveal) -> None:
    shown = showing(paper.clock)
    task = await reveal(paper, shown)
    text = await paper.type(typed)
    assert await task is answer
    assert shown.key is None
    assert not [group for group in KEY.decode().split("-") if " ".join(group) in text]


@pytest.mark.parametrize(("typed", "answer"), [("", AfterCard.FINISH), ("back", AfterCard.BACK)])
async def test_what_to_do_at_the_mac(paper: Paper, typed: str, answer: AfterCard) -> None:
    task = asyncio.create_task(paper.face.what_now(device()))
    text = await paper.settled()
    while "More follows" in text:
        text = text.replace("More follows", "") + await paper.type("")
        text = text if "finish and lock" in text else await paper.settled()
    assert "Press Enter to finish and lock" in " ".join(paper.text.split())
    await paper.type(typed)
    assert await task is answer
