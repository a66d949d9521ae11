"""The key in linear mode, the check of its copy and the card, on a page that a test reads."""

from __future__ import annotations

import asyncio

import pytest

from kiosk.config.kiosk import Policy
from kiosk.linear.keys import BACKSPACE, ENTER, ESCAPE
from kiosk.terminal.recorders import Recorders
from kiosk.visit.answers import AfterCard, AfterCheck, AfterReveal
from kiosk.visit.reveal import Reveal
from tests.support.linear import key_in
from tests.support.linear_terminal import LinearTerminal, check, released, reveal
from tests.support.screen_app import KEY, device


async def test_the_time_of_a_key_is_announced(terminal: LinearTerminal) -> None:
    shown = released(terminal.clock, seconds=75)
    task = await reveal(terminal, shown)
    assert key_in(terminal.text) == KEY.decode()
    assert terminal.hear().count("Time left:") == 1
    # From here on, the time is what the organisation allows.
    assert shown.deadline.left() == pytest.approx(75, abs=2)
    for mark in (60, 30, 10):
        assert f"Time left: {mark} seconds" not in terminal.wait(shown.deadline.left() - mark - 0.5)
        assert f"Time left: {mark} seconds" in terminal.wait(0.75)
    assert key_in(terminal.text)
    assert "Time is up" in terminal.wait(10)
    assert "Group" not in terminal.text
    assert shown.over
    assert "Press Enter to get it again" in await terminal.type("show")
    await terminal.type("")
    assert await task is AfterReveal.FETCH


async def test_more_time_is_announced_again_up_to_the_longest(terminal: LinearTerminal) -> None:
    task = await reveal(terminal, released(terminal.clock, seconds=40))
    terminal.hear()
    assert "Time left: 30 seconds" in terminal.wait(10)
    assert "Time left: 40 seconds" in await terminal.type("more")
    assert terminal.wait(10).count("Time left: 30 seconds") == 2
    terminal.wait(20)
    for _ in range(3):
        await terminal.type("show")
        await terminal.type("more")
        terminal.wait(20)
    await terminal.type("show")
    assert "You cannot get more time." in await terminal.type("more")
    task.cancel()


async def test_look_alikes_are_named_with_the_key_and_go_with_it(terminal: LinearTerminal) -> None:
    task = await reveal(terminal, released(terminal.clock, key=b"HO4W-7QXB-MNPR-K8LC-9YTG-D5FA"))
    assert "This key has no zero: every round character is the letter O." in terminal.text
    assert "Not in this key: S, 6. Read 5, G instead." in terminal.text
    # The full screen marks the digits, where there are both.
    assert "bar" not in terminal.text
    assert "in this key" not in await terminal.type("spell")
    assert "in this key" in await terminal.type("show")
    assert "in this key" not in await terminal.type("hide")
    task.cancel()


async def test_look_alikes_leave_the_announcements_their_room() -> None:
    for rows in range(8, 30):
        terminal = LinearTerminal(80, rows)
        shown = released(terminal.clock, seconds=70)
        task = await reveal(terminal, shown, Recorders(("tmux",), Policy.WARN))
        said = "in this key" in terminal.text
        terminal.wait(65)
        assert shown.visible or not said
        task.cancel()
        terminal.close()


async def test_a_hidden_key_gets_no_more_time(terminal: LinearTerminal) -> None:
    shown = released(terminal.clock)
    task = await reveal(terminal, shown)
    terminal.hear()
    terminal.wait(20)
    await terminal.type("hide")
    text = (await terminal.type("more")).replace("\n", " ")
    assert text.count("The key is hidden. Type show to see it again within 4 minutes 40 seconds.") == 2
    assert "Time left" not in text
    assert shown.deadline.left() == pytest.approx(280, abs=0.25)
    task.cancel()


async def test_a_full_page_takes_the_key_away_before_it_scrolls(terminal: LinearTerminal) -> None:
    shown = released(terminal.clock)
    task = await reveal(terminal, shown)
    for _ in range(30):
        await terminal.type("time")
        terminal.talk.step.tick()
        assert ("Group" in terminal.text) is shown.visible
    assert not shown.visible
    assert not shown.over
    await terminal.type("")
    assert key_in(terminal.text) == KEY.decode()
    terminal.talk.press(ESCAPE)
    assert await task is AfterReveal.BACK
    assert "Group" not in terminal.text


async def test_masked_there_is_one_group_at_a_time(terminal: LinearTerminal) -> None:
    recorders = Recorders(("tmux",), Policy.MASK)
    shown = released(terminal.clock)
    task = await reveal(terminal, shown, recorders)
    assert "Another program may see or save this screen: tmux." in terminal.text
    assert "Group" not in terminal.text
    for words in ("show", "spell", "repeat", ""):
        assert "Group" not in await terminal.type(words)
    assert "Group 2: seven, Q: Quebec, X: X-ray, B: Bravo." in await terminal.type("2")
    assert "Group 2" not in await terminal.type("6")
    assert "Group 6" in terminal.text
    assert "1 to 6" in await terminal.type("7")
    task.cancel()


async def test_an_unusual_key_is_read_as_it_is(terminal: LinearTerminal) -> None:
    task = await reveal(terminal, released(terminal.clock, key=b"AB1-2"))
    assert "A B 1 - 2\n" in terminal.text
    assert "unusual format" in terminal.text
    assert "A: Alfa, B: Bravo, one, -, two." in await terminal.type("spell")
    task.cancel()


async def test_a_window_that_changes_takes_the_key_away(terminal: LinearTerminal) -> None:
    shown = released(terminal.clock)
    task = await reveal(terminal, shown)
    terminal.page.resized()
    terminal.talk.step.tick()
    assert "The key is hidden" in terminal.text
    assert "Group" not in terminal.text
    assert not shown.visible
    task.cancel()


async def test_in_a_window_that_is_too_small_nothing_is_read() -> None:
    terminal = LinearTerminal(80, 4)
    shown = released(terminal.clock)
    task = await reveal(terminal, shown)
    await terminal.type("3")
    assert "too small" in terminal.text
    assert not shown.visible
    terminal.screen.resize(24, 80)
    terminal.page.resized()
    await terminal.type("show")
    assert key_in(terminal.text) == KEY.decode()
    task.cancel()
    terminal.close()


async def test_a_copy_is_typed_unseen_and_each_group_is_answered(terminal: LinearTerminal) -> None:
    shown = released(terminal.clock)
    task = await check(terminal, shown)
    assert "Group 1: type the four characters" in terminal.text
    for key in "hj":
        terminal.talk.press(key)
    assert "Group 1: **" in await terminal.settled()
    terminal.talk.press(BACKSPACE)
    for key in "J-4 w9":
        terminal.talk.press(key)
    text = await terminal.type("")
    assert "Group 1: ****" in text
    assert "Group 1 is right." in text
    assert "Group 2: type" in text
    for group in KEY.decode().lower().split("-")[1:]:
        assert group not in await terminal.type(group)
    assert "Your copy is right. Go back to your Mac." in terminal.text
    await terminal.type("")
    assert await task is AfterCheck.GO_ON


async def test_a_wrong_copy_has_few_tries_and_what_cannot_be_costs_none(terminal: LinearTerminal) -> None:
    shown = released(terminal.clock)
    while shown.copy_check and shown.copy_check._same(0, bytearray(b"AAAA")):
        shown = released(terminal.clock)
    task = await check(terminal, shown)
    assert "That is never in a key" in await terminal.type("hö4w")
    assert "Group 1 is wrong" in await terminal.type("aaaa")
    assert "4 tries left" in terminal.text.replace("\n", " ")
    for _ in range(4):
        await terminal.type("aaaa")
    assert "No tries left for group 1" in terminal.text
    for group in KEY.decode().split("-")[1:]:
        await terminal.type(group)
    assert "Your copy is right" not in terminal.text
    await terminal.type("")
    assert await task is AfterCheck.GO_ON
    assert shown.copy_check
    assert (shown.copy_check.outcome.right, shown.copy_check.outcome.out_of_tries) == (5, 1)


@pytest.mark.parametrize(("key", "answer"), [(ENTER, AfterCheck.GO_ON), (ESCAPE, AfterCheck.BACK)])
async def test_the_check_can_be_left(terminal: LinearTerminal, key: str, answer: AfterCheck) -> None:
    task = await check(terminal, released(terminal.clock))
    terminal.talk.press("f1")
    assert "A star appears for each character" in " ".join((await terminal.settled()).split())
    terminal.talk.press(key)
    assert await task is answer


@pytest.mark.parametrize(("keys", "stars"), [([BACKSPACE], 2), ([BACKSPACE] * 3, 0), (["f1"], 0)])
async def test_what_cannot_be_in_a_key_can_be_taken_back(terminal: LinearTerminal, keys: list[str], stars: int) -> None:
    task = await check(terminal, released(terminal.clock))
    for key in ("H", "J", "?", *keys):
        terminal.talk.press(key)
    assert (await terminal.settled()).rstrip().endswith(("Group 1: " + "*" * stars).rstrip())
    assert "Group 1 is right." in await terminal.type("HJ4W"[stars:])
    task.cancel()


@pytest.mark.parametrize("key", ["f3", "f5", "f9", "f12"])
async def test_a_key_of_another_step_leaves_what_is_typed_unseen(terminal: LinearTerminal, key: str) -> None:
    task = await check(terminal, released(terminal.clock))
    for one in ("H", "X", key):
        terminal.talk.press(one)
    assert (await terminal.settled()).rstrip().endswith("Group 1: **")
    terminal.talk.press(BACKSPACE)
    assert "Group 1 is right." in await terminal.type("J4W")
    task.cancel()


@pytest.mark.parametrize(("typed", "answer"), [("check", AfterReveal.CHECK), ("next", AfterReveal.WHAT_NOW)])
async def test_words_lead_from_the_key_to_the_check_and_on(
    terminal: LinearTerminal, typed: str, answer: AfterReveal
) -> None:
    shown = released(terminal.clock)
    task = await reveal(terminal, shown)
    text = await terminal.type(typed)
    assert await task is answer
    assert shown.key is None
    assert not [group for group in KEY.decode().split("-") if " ".join(group) in text]


@pytest.mark.parametrize(("typed", "answer"), [("", AfterCard.FINISH), ("back", AfterCard.BACK)])
async def test_what_to_do_at_the_mac(terminal: LinearTerminal, typed: str, answer: AfterCard) -> None:
    task = asyncio.create_task(terminal.ui.what_now(device()))
    text = await terminal.settled()
    while "There is more" in text:
        text = text.replace("There is more", "") + await terminal.type("")
        text = text if "finish and lock" in text else await terminal.settled()
    assert "Press Enter to finish and lock" in " ".join(terminal.text.split())
    await terminal.type(typed)
    assert await task is answer


async def come_back(
    terminal: LinearTerminal, shown: Reveal, word: str, recorders: Recorders | None = None, *, after: float = 10
) -> asyncio.Task[AfterReveal]:
    """To the key, from the check or the card; like the flow."""
    left = await reveal(terminal, shown, recorders)
    await terminal.type(word)
    await left
    shown.hide()
    terminal.clock.advance(after)
    return await reveal(terminal, shown, recorders)


@pytest.mark.parametrize("word", ["check", "next"])
async def test_the_key_is_the_same_after_the_check_and_the_card(terminal: LinearTerminal, word: str) -> None:
    task = await come_back(terminal, released(terminal.clock), word)
    assert key_in(terminal.text) == KEY.decode()
    assert "unusual format" not in terminal.text
    assert "Group 2: seven, Q: Quebec, X: X-ray, B: Bravo." in await terminal.type("2")
    task.cancel()


async def test_a_masked_key_is_still_read_in_groups_after_the_check(terminal: LinearTerminal) -> None:
    task = await come_back(terminal, released(terminal.clock), "check", Recorders(("tmux",), Policy.MASK))
    assert "Type a number from 1 to 6" in terminal.text
    assert "Group 2: seven, Q: Quebec, X: X-ray, B: Bravo." in await terminal.type("2")
    task.cancel()


@pytest.mark.parametrize("recorders", [Recorders(), Recorders(("tmux",), Policy.MASK)], ids=["whole", "masked"])
async def test_who_comes_back_too_late_is_told_that_the_time_is_over(
    terminal: LinearTerminal, recorders: Recorders
) -> None:
    task = await come_back(terminal, released(terminal.clock), "check", recorders, after=301)
    heading, over, *more = terminal.text.rstrip().split("\n")
    assert heading.startswith("Recovery key of")
    assert over == "Time is up and the key is no longer shown. Press Enter to get it again."
    assert [line for line in more if line] == ["Your choice:"]
    await terminal.type("")
    assert await task is AfterReveal.FETCH
