"""Run a sandbox and a broker together, with a kiosk configuration for them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from kiosk.config.kiosk import BrokerAddress, KioskConfig
from kiosk.config.loading import load
from tests.support.broker import RunningBroker, broker_config, running_broker
from tests.support.sandbox import RunningSandbox, running_sandbox


@dataclass
class Services:
    """A running sandbox and broker, and the configuration of a kiosk that uses them."""

    sandbox: RunningSandbox
    broker: RunningBroker
    config: KioskConfig


@contextlib.contextmanager
def services(place: Path, *, visit: dict[str, Any] | None = None, **broker_tables: Any) -> Iterator[Services]:
    """Start both. ``visit`` are settings of the kiosk; the other keywords are tables of broker.toml."""
    with running_sandbox(place, visit=visit or {}) as sandbox:
        settings = broker_config(sandbox.directory, place, **broker_tables)
        with running_broker(settings) as broker:
            kiosk = load(sandbox.directory / "kiosk.toml", KioskConfig)
            address = BrokerAddress(url=settings.listen.url)
            yield Services(sandbox, broker, msgspec.structs.replace(kiosk, broker=address))
