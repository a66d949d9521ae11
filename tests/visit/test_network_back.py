"""Whether authority and broker answer as they should, asked of the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kiosk.config.kiosk import BrokerAddress
from kiosk.visit.network_probe import answers
from tests.support.services import Services, services

DISCOVERY = "*/.well-known/openid-configuration"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with services(tmp_path_factory.mktemp("services")) as everything:
        yield everything


@pytest.fixture(autouse=True)
def _no_faults(running: Services) -> Iterator[None]:
    yield
    running.sandbox.clear_faults()


async def test_all_is_well(running: Services) -> None:
    assert await answers(running.config)


@pytest.mark.parametrize("fault", [{"kind": "reset"}, {"kind": "status"}, {"kind": "html"}, {"kind": "endless"}])
async def test_another_answer_is_no_network(running: Services, fault: dict[str, Any]) -> None:
    assert await answers(running.config)
    running.sandbox.fault(DISCOVERY, **fault)
    assert not await answers(running.config)


@pytest.mark.parametrize("url", ["unix:/nowhere/broker.sock", "https://no-such-host.invalid", "https://localhost:1"])
async def test_without_the_broker_it_is_not_back(running: Services, url: str) -> None:
    config = msgspec.structs.replace(running.config, broker=BrokerAddress(url=url))
    assert not await answers(config)


async def test_an_authority_that_nobody_knows(running: Services, tmp_path: Path) -> None:
    sign_in = msgspec.structs.replace(running.config.device_code_settings, authority="https://no-such-host.invalid/t")
    assert not await answers(msgspec.structs.replace(running.config, device_code=sign_in))
