"""After every way to end a reveal, no group of the key is on either screen or in the scrollback."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.broker import started_broker
from tests.support.multiplexer import Multiplexer, Screen, Tmux
from tests.support.tenant import KEY, WELCOME, Tenant, tenant
from tests.support.terminal import KIOSK

KINDS = {"tmux": Tmux, "screen": Screen}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    place = tmp_path_factory.mktemp("tenant")
    with tenant(place, started_broker, reveal_seconds=5, idle_seconds=60, after="exit") as both:
        yield both


@pytest.fixture(params=KINDS)
def multiplexer(request: pytest.FixtureRequest, running: Tenant, tmp_path: Path) -> Iterator[Multiplexer]:
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    opened = KINDS[request.param](f"kiosk{time.monotonic_ns()}", [*KIOSK, *running.arguments], tmp_path)
    yield opened
    opened.close()


def processes(multiplexer: Multiplexer) -> tuple[psutil.Process, psutil.Process]:
    """Return supervisor and visit."""
    ours = [one for one in multiplexer.root().children(recursive=True) if "kiosk" in " ".join(one.cmdline())]
    supervisor = next(one for one in ours if "run" in one.cmdline() and one.name() != "sh" and one.children())
    return supervisor, supervisor.children()[0]


def walk_to_key(multiplexer: Multiplexer) -> list[str]:
    for words in (WELCOME, "Is this you?", "Which Mac is locked?"):
        multiplexer.until_seen(words)
        multiplexer.press("Enter")
    found = KEY.search(multiplexer.until(KEY.search))
    assert found
    return found[1].split("-")


def clear(multiplexer: Multiplexer) -> None:
    multiplexer.until(lambda text: "key is no longer shown" in text)


def hide(multiplexer: Multiplexer) -> None:
    multiplexer.press("Space")
    multiplexer.until(lambda text: "The key is hidden" in text)


def lock(multiplexer: Multiplexer) -> None:
    multiplexer.press("F10")
    multiplexer.until(lambda text: "You are signed out" in text)


def leave(multiplexer: Multiplexer) -> None:
    lock(multiplexer)
    multiplexer.press("Enter")
    multiplexer.until(lambda text: "signed out" not in text)


def kill(number: int, who: int) -> Callable[[Multiplexer], None]:
    def ending(multiplexer: Multiplexer) -> None:
        victim = processes(multiplexer)[who]
        victim.send_signal(number)
        multiplexer.until(lambda text: "Time left" not in text)

    return ending


ENDINGS: dict[str, Callable[[Multiplexer], None]] = {
    "countdown": clear,
    "hide": hide,
    "lock": lock,
    "exit": leave,
    "SIGTERM": kill(signal.SIGTERM, 0),
    "SIGHUP": kill(signal.SIGHUP, 0),
    "visit SIGTERM": kill(signal.SIGTERM, 1),
    "visit SIGKILL": kill(signal.SIGKILL, 1),
    "visit crash": kill(signal.SIGABRT, 1),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_group_of_the_key_stays(multiplexer: Multiplexer, ending: str) -> None:
    groups = walk_to_key(multiplexer)
    assert all(group in multiplexer.text(history=True) for group in groups)
    ENDINGS[ending](multiplexer)
    kept = multiplexer.text(history=True) + multiplexer.text()
    assert not [group for group in groups if group in kept]
