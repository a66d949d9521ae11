"""After a visit in linear mode, nothing of the key or the person is in a scrollback, on the screen or in memory."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from kiosk.recovery_key.spelling import alphabet
from tests.support.broker import started_broker
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
    settings: dict[str, Any] = {"reveal_seconds": REVEAL_SECONDS, "idle_seconds": 60, "after": "exit", "ui": "linear"}
    with tenant(place, started_broker, **settings) as both:
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


def say(multiplexer: Multiplexer, words: str) -> None:
    if words:
        multiplexer.press(words)
    multiplexer.press("Enter")


def key_on(multiplexer: Multiplexer) -> str:
    for words, typed in ((BEGIN, ""), ("Is this you? Press", ""), ("Number or name of the Mac:", "1")):
        multiplexer.until_seen(words)
        say(multiplexer, typed)
    return key_in(multiplexer.until(lambda text: CHOICE in text))


def spell(multiplexer: Multiplexer) -> None:
    say(multiplexer, "spell")
    # Whole words are in small letters.
    multiplexer.until(lambda text: any(map(str.islower, text.partition("Group 6:")[2].split("\n")[0])))


def clear(multiplexer: Multiplexer) -> None:
    # The time starts when the key has been spoken, or when Enter interrupts that.
    say(multiplexer, "")
    multiplexer.until(lambda text: "key is no longer shown" in text)


def leave(multiplexer: Multiplexer) -> None:
    say(multiplexer, "hide")
    multiplexer.until(lambda text: "The key is hidden" in text)
    say(multiplexer, "show")
    multiplexer.until(lambda text: "Group 6" in text)
    say(multiplexer, "lock")
    multiplexer.until(lambda text: "You are signed out" in text)
    say(multiplexer, "")
    multiplexer.until(lambda text: "signed out" not in text)


def fill(multiplexer: Multiplexer) -> None:
    """Write more lines than fit on a page: the key must not scroll off into the history."""
    for _ in range(12):
        say(multiplexer, "time")
        if "The key is hidden" in multiplexer.until(lambda text: text.rstrip().endswith(CHOICE)):
            return
    raise AssertionError(multiplexer.text())


def kill(multiplexer: Multiplexer) -> None:
    ours = [one for one in multiplexer.root().children(recursive=True) if "kiosk" in " ".join(one.cmdline())]
    supervisor = next(one for one in ours if "run" in one.cmdline() and one.name() != "sh" and one.children())
    supervisor.children()[0].send_signal(signal.SIGKILL)
    multiplexer.until(lambda text: CHOICE not in text)


ENDINGS: dict[str, Callable[[Multiplexer], None]] = {"countdown": clear, "exit": leave, "full": fill, "SIGKILL": kill}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_stays_on_a_screen_or_in_a_history(running: Tenant, tmp_path: Path, kind: str, ending: str) -> None:
    with window(kind, running, tmp_path, REVEAL_SECONDS if ending == "countdown" else 60) as multiplexer:
        key = key_on(multiplexer)
        if ending != "countdown":
            spell(multiplexer)
            assert all(group in multiplexer.text(history=True) for group in spelled(key))
        ENDINGS[ending](multiplexer)
        kept = multiplexer.text(history=True) + multiplexer.text()
    assert not [group for group in spaced(key) + spelled(key) if group in kept]
    # Person and device must not stay either.
    assert not [words for words in ("Kessler", "Recovery key", "serial number") if words in kept]


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may read the memory of our processes"
)
def test_no_process_keeps_a_key(running: Tenant) -> None:
    with terminal(*running.arguments) as kiosk:
        key = walk_to_key(kiosk)
        (visit,) = psutil.Process(kiosk.pid).children()
        # The key is on the screen, so the scan must find it; otherwise the zeros below would prove nothing.
        assert scan(visit.pid, key)
        kiosk.press("spell" + ENTER)
        kiosk.wait_for(spelled(key)[5])
        kiosk.press("2" + ENTER)
        kiosk.wait_for(spelled(key)[5], gone=True)
        kiosk.press("hide" + ENTER)
        kiosk.wait_for("The key is hidden")
        nothing_kept(kiosk, running, visit.pid, key)
        kiosk.wait_for("Time is up")
        kiosk.press(ENTER)
        assert shown_key(kiosk) == key
        kiosk.press(F10)
        kiosk.wait_for("This terminal is locked")
        # Only this scan, because the farewell is short.
        assert not scan(visit.pid, key)


def nothing_kept(kiosk: Terminal, running: Tenant, visit: int, key: str) -> None:
    words = alphabet("en")
    runs = [[words.word(character) for character in group] for group in key.split("-")]
    assert not scan_words(visit, runs)
    assert not [pid for pid in (visit, kiosk.pid, running.broker.pid) if scan(pid, key)]
