"""Run a sandbox and a broker in their own processes, for kiosks on real terminals."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiosk.config.broker import BrokerConfig
from tests.support.broker import RunningBroker, broker_config, broker_process
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.terminal import ENTER, Terminal

Start = Callable[[BrokerConfig, Path], AbstractContextManager[RunningBroker]]
KEY = re.compile(r"\b([A-Z0-9]{4}(?:-[A-Z0-9]{4}){5})\b")
WELCOME = "Press Enter to begin"


@dataclass
class Tenant:
    """A sandbox and a broker, and the kiosk.toml for them."""

    sandbox: RunningSandbox
    broker: RunningBroker
    kiosk_toml: Path

    @property
    def arguments(self) -> list[str]:
        """The arguments of the kiosk's command line."""
        return ["run", "--config", str(self.kiosk_toml)]


@contextlib.contextmanager
def tenant(place: Path, start: Start = broker_process, **visit: Any) -> Iterator[Tenant]:
    """Start both, without limits on releases. Every sign-in is Ada Kessler's. ``visit`` are settings of the kiosk.

    What a broker keeps in memory is searched in one that ``started_broker`` starts, with its own allocator.
    """
    with running_sandbox(place, approve="Ada Kessler", visit=visit) as sandbox:
        settings = broker_config(
            sandbox.directory,
            place,
            listen={"url": f"unix:{sandbox.directory}/broker.sock"},
            rules={"per_person": (), "per_device": ()},
        )
        with start(settings, place) as broker:
            yield Tenant(sandbox, broker, sandbox.directory / "kiosk.toml")


def walk_to_key(kiosk: Terminal) -> str:
    """Walk from the welcome screen to the key with Enter alone, and return the key."""
    for words in (WELCOME, "Is this you?", "Which Mac is locked?"):
        kiosk.wait_for(words)
        kiosk.press(ENTER)
    return shown_key(kiosk)


def shown_key(kiosk: Terminal) -> str:
    """Wait for a key on the screen and return it."""
    kiosk.wait_for("Time left")
    found = KEY.search(kiosk.text)
    assert found, kiosk.text
    return found[1]
