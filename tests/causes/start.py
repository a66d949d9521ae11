"""Settings that all brokers of these tests share, and the configuration of their kiosks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from kiosk.config.kiosk import BrokerAddress, KioskConfig
from kiosk.config.loading import load
from tests.support.broker import RunningBroker
from tests.support.sandbox import RunningSandbox
from tests.support.services import Services

Start: TypeAlias = Callable[..., Services]
KEY_CALL, CODE_CALL, TOKEN_CALL = "*getFileVaultKey*", "/*/oauth2/v2.0/devicecode", "/*/oauth2/v2.0/token"
PATIENT = {"read_seconds": 10, "total_seconds": 20}
UNLIMITED: dict[str, Any] = {"per_person": (), "per_device": ()}


def at(sandbox: RunningSandbox, broker: RunningBroker, url: str = "") -> Services:
    """Return the services with a kiosk configuration for this broker, or for another address."""
    kiosk = load(sandbox.directory / "kiosk.toml", KioskConfig)
    address = BrokerAddress(url=url or broker.config.listen.url, ca_bundle=sandbox.ca)
    return Services(sandbox, broker, msgspec.structs.replace(kiosk, broker=address))
