"""Fixtures: one sandbox and one broker for each file of tests, and a folder of configuration for each test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.broker import RunningBroker, broker_config, running_broker
from tests.support.checks import Installation, installation
from tests.support.sandbox import RunningSandbox, running_sandbox


@dataclass
class Pair:
    sandbox: RunningSandbox
    broker: RunningBroker


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with (
        tempfile.TemporaryDirectory(prefix="kc") as name,
        running_sandbox(Path(name)) as sandbox,
        running_broker(broker_config(sandbox.directory, Path(name))) as broker,
    ):
        yield Pair(sandbox, broker)


@pytest.fixture
def healthy(pair: Pair) -> Iterator[Installation]:
    """Everything as it should be."""
    tenant = pair.sandbox.data.tenant
    with (
        tempfile.TemporaryDirectory(prefix="kc") as name,
        installation(pair.sandbox, Path(name), pair.broker.config.listen.url) as made,
    ):
        yield made
    pair.sandbox.clear_faults()
    pair.sandbox.register("kiosk_client", public=True, consented=tenant.kiosk_client.consented)
    pair.sandbox.register("broker", permissions=tenant.broker.permissions)
