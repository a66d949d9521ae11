"""The input of every check: the configuration file of one side, and where to look at the machine."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from kiosk.checks.result import NotChecked
from kiosk.clock import Clock, SystemClock
from kiosk.config.broker import BrokerConfig
from kiosk.config.kiosk import KioskConfig
from kiosk.config.loading import load
from kiosk.errors import ConfigError

KIOSK, BROKER = "kiosk", "broker"
_HEADING = re.compile(r"^\s*\[{1,2}\s*\"?([A-Za-z_]+)", re.MULTILINE)
# Tables that only one side has. Searched as text, so that a file with a mistake is also recognised.
_TABLES = {
    KIOSK: {"organisation", "device_code", "broker", "visit", "look", "recorders"},
    BROKER: {"listen", "tokens", "graph", "rules", "limits", "record", "sink"},
}

Configuration = TypeVar("Configuration", KioskConfig, BrokerConfig)


def recognised(path: Path, text: str) -> str:
    """Return the side that a file is for. Raises ConfigError."""
    headings = set(_HEADING.findall(text))
    found = {side: len(headings & tables) for side, tables in _TABLES.items()}
    if found[KIOSK] == found[BROKER]:
        tables = "[organisation] and [broker], or [tokens] and [graph]"
        raise ConfigError(path, f"expected kiosk.toml or broker.toml, with {tables}; or name the side with --side")
    return max(found, key=lambda side: found[side])


@dataclass
class Side(Generic[Configuration]):
    """One side. ``root`` is the folder of ``proc`` and ``boot``."""

    path: Path
    kind: type[Configuration]
    clock: Clock = field(default_factory=SystemClock)
    root: Path = Path("/")

    @cached_property
    def loaded(self) -> Configuration | ConfigError:
        """The configuration, read once, or the error in it."""
        try:
            return load(self.path, self.kind)
        except ConfigError as error:
            return error

    @property
    def config(self) -> Configuration:
        """The configuration, for all checks except its own. Raises NotChecked."""
        if isinstance(self.loaded, ConfigError):
            raise NotChecked("the configuration cannot be used", "fix what the check “configuration” found first")
        return self.loaded
