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
from tests.support.paper import Paper, check, released, reveal
from tests.support.stage import KEY, device


async def test_the_time_of_a_key_is_announced(paper: Paper) -> None:
    shown = released(paper.clock, seconds=75)
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
    task = await reveal(paper, released(paper.clock, seconds=40))
    assert "in 30 seconds" in paper.wait(15)
    assert "in 40 seconds" in await paper.type("more")
    assert paper.wait(15).count("in 30 seconds") == 2
    paper.wait(20)
    for _ in range(3):
        await paper.type("show")
        await paper.type("more")
        paper.wait(20)
    await paper.type("show")
    assert "There is no more time than this." in await paper.type("more")
    task.cancel()


async def test_look_alikes_are_named_with_the_key_and_go_with_it(paper: Paper) -> None:
    task = await reveal(paper, released(paper.clock, key=b"HO4W-7QXB-MNPR-K8LC-9YTG-D5FA"))
    assert "There is no zero in this key: every round one is the letter O." in paper.text
    assert "Not in this key: S, 6. What looks like that is 5, G." in paper.text
    # The full screen marks the digits, where there are both.
    assert "bar" not in paper.text
    assert "in this key" not in await paper.type("spell")
    assert "in this key" in await paper.type("show")
    assert "in this key" not in await paper.type("hide")
    task.cancel()


async def test_look_alikes_leave_the_announcements_their_room() -> None:
    for rows in range(8, 30):
        paper = Paper(80, rows)
        shown = released(paper.clock, seconds=70)
        task = await reveal(paper, shown, Recorders(("tmux",), Policy.WARN))
        said = "in this key" in paper.text
        paper.wait(65)
        assert shown.visible or not said
        task.cancel()
        paper.close()


async def test_a_hidden_key_gets_no_more_time(paper: Paper) -> None:
    shown = released(paper.clock)
    task = await reveal(paper, shown)
    paper.wait(20)
    await paper.type("hide")
    text = (await paper.type("more")).replace("\n", " ")
    assert text.count("The key is hidden. Type show to read it again, for 4 minutes 40 seconds from now.") == 2
    assert "vanishes" not in text
    assert shown.deadline.left() == 280
    task.cancel()


async def test_a_full_page_takes_the_key_away_before_it_scrolls(paper: Paper) -> None:
    shown = released(paper.clock)
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
    recorders = Recorders(("tmux",), Policy.MASK)
    shown = released(paper.clock)
    task = await reveal(paper, shown, recorders)
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
    task = await reveal(paper, released(paper.clock, key=b"AB1-2"))
    assert "A B 1 - 2\n" in paper.text
    assert "unusual form" in paper.text
    assert "A Alfa, B Bravo, 1 one, - -, 2 two." in await paper.type("spell")
    task.cancel()


async def test_a_window_that_changes_takes_the_key_away(paper: Paper) -> None:
    shown = released(paper.clock)
    task = await reveal(paper, shown)
    paper.page.resized()
    paper.talk.step.tick()
    assert "The key is hidden" in paper.text
    assert "Group" not in paper.text
    assert not shown.visible
    task.cancel()


async def test_in_a_window_that_is_too_small_nothing_is_read() -> None:
    paper = Paper(80, 4)
    shown = released(paper.clock)
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


async def test_a_copy_is_typed_unseen_and_each_group_is_answered(paper: Paper) -> None:
    shown = released(paper.clock)
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
    shown = released(paper.clock)
    while shown.copy_check and shown.copy_check._same(0, bytearray(b"AAAA")):
        shown = released(paper.clock)
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
    assert shown.copy_check
    assert (shown.copy_check.outcome.right, shown.copy_check.outcome.out_of_tries) == (5, 1)


@pytest.mark.parametrize(("key", "answer"), [(ENTER, AfterCheck.GO_ON), (ESCAPE, AfterCheck.BACK)])
async def test_the_check_can_be_left(paper: Paper, key: str, answer: AfterCheck) -> None:
    task = await check(paper, released(paper.clock))
    paper.talk.press("f1")
    assert "A star stands for each character" in " ".join((await paper.settled()).split())
    paper.talk.press(key)
    assert await task is answer


@pytest.mark.parametrize(("keys", "stars"), [([BACKSPACE], 2), ([BACKSPACE] * 3, 0), (["f1"], 0)])
async def test_what_cannot_be_in_a_key_can_be_taken_back(paper: Paper, keys: list[str], stars: int) -> None:
    task = await check(paper, released(paper.clock))
    for key in ("H", "J", "?", *keys):
        paper.talk.press(key)
    assert (await paper.settled()).rstrip().endswith(("Group 1: " + "*" * stars).rstrip())
    assert "Group 1 is right." in await paper.type("HJ4W"[stars:])
    task.cancel()


@pytest.mark.parametrize("key", ["f3", "f5", "f9", "f12"])
async def test_a_key_of_another_step_leaves_what_is_typed_unseen(paper: Paper, key: str) -> None:
    task = await check(paper, released(paper.clock))
    for one in ("H", "X", key):
        paper.talk.press(one)
    assert (await paper.settled()).rstrip().endswith("Group 1: **")
    paper.talk.press(BACKSPACE)
    assert "Group 1 is right." in await paper.type("J4W")
    task.cancel()


@pytest.mark.parametrize(("typed", "answer"), [("check", AfterReveal.CHECK), ("next", AfterReveal.WHAT_NOW)])
async def test_words_lead_from_the_key_to_the_check_and_on(paper: Paper, typed: str, answer: AfterReveal) -> None:
    shown = released(paper.clock)
    task = await reveal(paper, shown)
    text = await paper.type(typed)
    assert await task is answer
    assert shown.key is None
    assert not [group for group in KEY.decode().split("-") if " ".join(group) in text]


@pytest.mark.parametrize(("typed", "answer"), [("", AfterCard.FINISH), ("back", AfterCard.BACK)])
async def test_what_to_do_at_the_mac(paper: Paper, typed: str, answer: AfterCard) -> None:
    task = asyncio.create_task(paper.ui.what_now(device()))
    text = await paper.settled()
    while "More follows" in text:
        text = text.replace("More follows", "") + await paper.type("")
        text = text if "finish and lock" in text else await paper.settled()
    assert "Press Enter to finish and lock" in " ".join(paper.text.split())
    await paper.type(typed)
    assert await task is answer


async def come_back(
    paper: Paper, shown: Reveal, word: str, recorders: Recorders | None = None, *, after: float = 10
) -> asyncio.Task[AfterReveal]:
    """To the key, from the check or the card; like the flow."""
    left = await reveal(paper, shown, recorders)
    await paper.type(word)
    await left
    shown.hide()
    paper.clock.advance(after)
    return await reveal(paper, shown, recorders)


@pytest.mark.parametrize("word", ["check", "next"])
async def test_the_key_is_the_same_after_the_check_and_the_card(paper: Paper, word: str) -> None:
    task = await come_back(paper, released(paper.clock), word)
    assert key_in(paper.text) == KEY.decode()
    assert "unusual form" not in paper.text
    assert "Group 2: 7 seven, Q Quebec, X X-ray, B Bravo." in await paper.type("2")
    task.cancel()


async def test_a_masked_key_is_still_read_in_groups_after_the_check(paper: Paper) -> None:
    task = await come_back(paper, released(paper.clock), "check", Recorders(("tmux",), Policy.MASK))
    assert "Type a number from 1 to 6" in paper.text
    assert "Group 2: 7 seven, Q Quebec, X X-ray, B Bravo." in await paper.type("2")
    task.cancel()


@pytest.mark.parametrize("recorders", [Recorders(), Recorders(("tmux",), Policy.MASK)], ids=["whole", "masked"])
async def test_who_comes_back_too_late_is_told_that_the_time_is_over(paper: Paper, recorders: Recorders) -> None:
    task = await come_back(paper, released(paper.clock), "check", recorders, after=301)
    heading, over, *more = paper.text.rstrip().split("\n")
    assert heading.startswith("Recovery key of")
    assert over == "The time is over: the key is wiped. Press Enter to fetch it again."
    assert [line for line in more if line] == ["Your choice:"]
    await paper.type("")
    assert await task is AfterReveal.FETCH
