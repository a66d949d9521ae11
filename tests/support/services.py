"""Sandbox and broker together, and the kiosk's configuration for them."""

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
    """Everything but the kiosk."""

    sandbox: RunningSandbox
    broker: RunningBroker
    config: KioskConfig


@contextlib.contextmanager
def services(place: Path, *, visit: dict[str, Any] | None = None, **broker_tables: Any) -> Iterator[Services]:
    """Start both; ``visit`` are settings of the kiosk, the rest tables of broker.toml."""
    with running_sandbox(place, visit=visit or {}) as sandbox:
        settings = broker_config(sandbox.directory, place, **broker_tables)
        with running_broker(settings) as broker:
            kiosk = load(sandbox.directory / "kiosk.toml", KioskConfig)
            address = BrokerAddress(url=settings.listen.url)
            yield Services(sandbox, broker, msgspec.structs.replace(kiosk, broker=address))
