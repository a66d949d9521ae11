"""The parts of linear mode: keys, pages, lines that are typed, times."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from kiosk.clock import Deadline
from kiosk.linear.keys import BACKSPACE, ENTER, ESCAPE, Keys
from kiosk.linear.speech import Speech
from kiosk.linear.talk import Step
from kiosk.linear.times import Announcer, spoken
from tests.support.clock import ManualClock
from tests.support.linear_terminal import LinearTerminal
from tests.support.screen_app import PERSON


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


def test_what_newer_terminals_draw_wide_does_not_scroll(terminal: LinearTerminal) -> None:
    """Unicode 16 made the trigrams wide; Python 3.11 does not know that yet."""
    for _ in range(30):
        terminal.page.line("\N{TRIGRAM FOR HEAVEN}" * 300)
        assert terminal.text


def test_a_row_that_is_longer_than_counted_is_cut_and_does_not_scroll(terminal: LinearTerminal) -> None:
    """As on a terminal that draws a character wider than any table says."""
    terminal.page.begin()
    for _ in range(terminal.page.rows):
        terminal.page.line("x")
    terminal.page.write("y" * 200)
    assert terminal.text.splitlines()[-1] == "y" * 80


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 10), (20, 5), (10, 2)])
def test_no_line_ever_scrolls_off(columns: int, rows: int) -> None:
    terminal = LinearTerminal(columns, rows)
    for number in range(60):
        terminal.page.line(f"{number} " + "words of a line that is long " * (number % 4))
        assert terminal.text is not None
    terminal.close()


def test_lines_are_wrapped_between_words(terminal: LinearTerminal) -> None:
    terminal.page.line("word " * 30 + "x" * 100 + " \u4e2d" * 60)
    rows = terminal.text.split("\n")
    assert max(map(len, rows)) <= 79
    assert rows[0] == " ".join(["word"] * 16)


def test_times_are_announced_once() -> None:
    clock = ManualClock()
    deadline = Deadline.after(clock, 75)
    announcer = Announcer(deadline.left, Speech(clock))
    heard = []
    for _ in range(4 * 80):
        clock.advance(0.25)
        if left := announcer.due():
            heard.append(left)
    assert heard == [60.0, 30.0, 10.0]


def test_a_leap_announces_what_is_left_and_more_time_announces_again() -> None:
    left = 70.0
    announcer = Announcer(lambda: left, Speech(ManualClock()))
    left = 25
    assert announcer.due() == 25
    assert announcer.due() is None
    left = 70
    assert announcer.due() is None
    left = 59
    assert announcer.due() == 59
    left = 0
    assert announcer.due() is None


def test_times_are_announced_when_the_page_has_been_spoken() -> None:
    clock = ManualClock()
    speech, deadline = Speech(clock), Deadline.after(clock, 70)
    announcer = Announcer(deadline.left, speech)
    speech.add(50)
    heard = []
    for _ in range(4 * 80):
        clock.advance(0.25)
        if left := announcer.due():
            heard.append(left)
    assert heard == [20.0, 10.0]


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


async def test_what_is_typed_goes_on_below_what_is_said(terminal: LinearTerminal) -> None:
    asking = asyncio.ensure_future(terminal.talk.ask("Name: "))
    await terminal.settled()
    for key in ("a", "x", BACKSPACE, "b"):
        terminal.talk.press(key)
    terminal.talk.say("30 seconds left.")
    assert terminal.text.rstrip().split("\n") == ["Name: ab", "30 seconds left.", "Name: ab"]
    await terminal.type("c")
    assert await asking == "abc"


async def test_a_long_line_is_mended_across_rows() -> None:
    terminal = LinearTerminal(20, 12)
    asking = asyncio.ensure_future(terminal.talk.ask("Why: ", limit=30))
    await terminal.settled()
    for key in [*"0123456789abcdefgh", *[BACKSPACE] * 6, "Z"]:
        terminal.talk.press(key)
    assert terminal.text.rstrip().split("\n")[-1] == "Why: 0123456789abZ"
    for _ in range(40):
        terminal.talk.press("y")
    await terminal.type("")
    assert await asking == "0123456789abZ" + "y" * 17
    terminal.close()


async def test_what_is_typed_while_nothing_is_asked_is_dropped(terminal: LinearTerminal) -> None:
    await terminal.type("yes")
    asking = asyncio.ensure_future(terminal.talk.ask("? "))
    await terminal.settled()
    assert not asking.done()
    # Two at once: the second was typed before its question was asked.
    for key in (ENTER, ENTER):
        terminal.talk.press(key)
    assert await asking == ""
    again = asyncio.ensure_future(terminal.talk.ask("? "))
    await terminal.settled()
    assert not again.done()
    again.cancel()


async def test_help_back_and_lock_are_words_and_keys(terminal: LinearTerminal) -> None:
    terminal.talk.begin(Step("What this is for."))
    asking = asyncio.ensure_future(terminal.talk.ask("? "))
    await terminal.settled()
    assert "What this is for." in await terminal.type("help")
    assert "Ground floor" in await terminal.type("?")
    terminal.talk.press("f1")
    assert (await terminal.settled()).count("What this is for.") == 3
    await terminal.type("LOCK")
    terminal.talk.press("f10")
    assert terminal.locks == 2
    await terminal.type("back")
    assert await asking is None


@pytest.fixture
def small() -> Iterator[LinearTerminal]:
    made = LinearTerminal(64, 10)
    yield made
    made.close()


LONG = [f"Line {number}." for number in range(1, 21)]


async def reading(terminal: LinearTerminal) -> asyncio.Task[bool]:
    """Somebody hears the first page of a long text."""
    terminal.talk.begin(Step("\n".join(f"Help {number}." for number in range(1, 11))))
    task = asyncio.create_task(terminal.talk.read_out(*LONG))
    assert "Line 1." in await terminal.settled()
    assert "There is more" in terminal.text
    return task


async def test_a_long_text_is_read_to_its_end(small: LinearTerminal) -> None:
    task = await reading(small)
    heard = set(small.text.split("\n"))
    while not task.done():
        heard |= set((await small.type("")).split("\n"))
    assert heard >= set(LONG)
    assert await task


@pytest.mark.parametrize("typed", ["back", ESCAPE])
async def test_a_long_text_can_be_left(small: LinearTerminal, typed: str) -> None:
    task = await reading(small)
    if typed == ESCAPE:
        small.talk.press(ESCAPE)
    else:
        await small.type(typed)
    assert not await task


async def test_within_a_long_text_the_visit_can_be_locked(small: LinearTerminal) -> None:
    task = await reading(small)
    await small.type("lock")
    assert small.locks == 1
    assert "Line 1." in small.text
    task.cancel()


async def test_within_a_long_text_there_is_help_and_within_help_the_same_again(small: LinearTerminal) -> None:
    task = await reading(small)
    for _ in range(500):
        small.talk.press("f1")
        assert "Help 1." in await small.settled()
    assert "Help 9." in await small.type("")
    assert "You can always type help" in await small.type("")
    assert "Line 7." in await small.type("")
    small.talk.press(ESCAPE)
    assert not await task


async def test_a_question_that_was_cancelled_does_not_speak_into_the_next_step(terminal: LinearTerminal) -> None:
    waiting = asyncio.ensure_future(terminal.ui.working("Looking up your Macs", 3))
    await terminal.settled()
    waiting.cancel()
    confirming = asyncio.ensure_future(terminal.ui.confirm(PERSON))
    await terminal.settled()
    assert "cancel" not in terminal.text
    confirming.cancel()
