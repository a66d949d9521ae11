"""Linear mode writes line after line: nothing of a key or of a visit stays in a history, on the screen, in memory."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from kiosk.recovery_key.spelling import alphabet
from tests.support.linear import BEGIN, CHOICE, key_in, shown_key, spaced, spelled, walk_to_key
from tests.support.memory import scan, scan_words
from tests.support.multiplexer import Multiplexer, Screen, Tmux
from tests.support.tenant import Tenant, tenant
from tests.support.terminal import ENTER, F10, KIOSK, Terminal, terminal

KINDS = {"tmux": Tmux, "screen": Screen}
REVEAL_SECONDS = 5


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    place = tmp_path_factory.mktemp("tenant")
    with tenant(place, reveal_seconds=REVEAL_SECONDS, idle_seconds=60, after="exit", ui="linear") as both:
        yield both


@contextlib.contextmanager
def window(kind: str, running: Tenant, folder: Path, reveal_seconds: int) -> Iterator[Multiplexer]:
    if not shutil.which(kind):
        pytest.skip(f"{kind} is not installed")
    settings = running.kiosk_toml.with_name(f"{reveal_seconds}.toml")
    usual = f"reveal_seconds = {REVEAL_SECONDS}"
    assert usual in running.kiosk_toml.read_text()
    settings.write_text(running.kiosk_toml.read_text().replace(usual, f"reveal_seconds = {reveal_seconds}"))
    command = [*KIOSK, "run", "--config", str(settings)]
    opened = KINDS[kind](f"kiosk{time.monotonic_ns()}", command, folder)
    try:
        yield opened
    finally:
        opened.close()


def say(desk: Multiplexer, words: str) -> None:
    if words:
        desk.press(words)
    desk.press("Enter")


def key_on(desk: Multiplexer) -> str:
    for words, typed in ((BEGIN, ""), ("Is this you? Press", ""), ("Number or name of the Mac:", "1")):
        desk.until_seen(words)
        say(desk, typed)
    return key_in(desk.until(lambda text: CHOICE in text))


def spell(desk: Multiplexer) -> None:
    say(desk, "spell")
    desk.until(lambda text: "6:" in text and "." in text.partition("6:")[2].split("\n")[0])


def clear(desk: Multiplexer) -> None:
    desk.until(lambda text: "key is wiped" in text)


def leave(desk: Multiplexer) -> None:
    say(desk, "hide")
    desk.until(lambda text: "The key is hidden" in text)
    say(desk, "show")
    desk.until(lambda text: "Group 6" in text)
    say(desk, "lock")
    desk.until(lambda text: "You are signed out" in text)
    say(desk, "")
    desk.until(lambda text: "signed out" not in text)


def fill(desk: Multiplexer) -> None:
    """More lines than a page has: the key must not be pushed off its top."""
    for _ in range(12):
        say(desk, "time")
        if "The key is hidden" in desk.until(lambda text: text.rstrip().endswith(CHOICE)):
            return
    raise AssertionError(desk.text())


def kill(desk: Multiplexer) -> None:
    ours = [one for one in desk.root().children(recursive=True) if "kiosk" in " ".join(one.cmdline())]
    supervisor = next(one for one in ours if "run" in one.cmdline() and one.name() != "sh" and one.children())
    supervisor.children()[0].send_signal(signal.SIGKILL)
    desk.until(lambda text: CHOICE not in text)


ENDINGS: dict[str, Callable[[Multiplexer], None]] = {"countdown": clear, "exit": leave, "full": fill, "SIGKILL": kill}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_stays_on_a_screen_or_in_a_history(running: Tenant, tmp_path: Path, kind: str, ending: str) -> None:
    with window(kind, running, tmp_path, REVEAL_SECONDS if ending == "countdown" else 60) as desk:
        key = key_on(desk)
        if ending != "countdown":
            spell(desk)
            assert all(group in desk.text(history=True) for group in spelled(key))
        ENDINGS[ending](desk)
        kept = desk.text(history=True) + desk.text()
    assert not [group for group in spaced(key) + spelled(key) if group in kept]
    # Who they are and what they have is nobody's business either.
    assert not [words for words in ("Kessler", "Recovery key", "serial number") if words in kept]


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may read the memory of our processes"
)
def test_no_process_keeps_a_key(running: Tenant) -> None:
    with terminal(*running.arguments) as desk:
        key = walk_to_key(desk)
        (visit,) = psutil.Process(desk.pid).children()
        # It is on the screen, so it has to be somewhere: without this the zeros below would mean nothing.
        assert scan(visit.pid, key)
        desk.press("spell" + ENTER)
        desk.wait_for(spelled(key)[5])
        desk.press("2" + ENTER)
        desk.wait_for(spelled(key)[5], gone=True)
        desk.press("hide" + ENTER)
        desk.wait_for("The key is hidden")
        nothing_kept(desk, running, visit.pid, key)
        desk.wait_for("The time is over")
        desk.press(ENTER)
        assert shown_key(desk) == key
        desk.press(F10)
        desk.wait_for("This terminal is locked")
        # Only this, as the farewell is short.
        assert not scan(visit.pid, key)


def nothing_kept(desk: Terminal, running: Tenant, visit: int, key: str) -> None:
    words = alphabet("en")
    runs = [[words.word(character) for character in group] for group in key.split("-")]
    assert not scan_words(visit, runs)
    assert not [pid for pid in (visit, desk.pid, running.broker.pid) if scan(pid, key)]
