"""One sandbox for each module of tests, and clients for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from kiosk.net.tls import tls_context
from tests.support.sandbox import RunningSandbox, running_sandbox


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    """Return the settings of sandbox.toml that a module overrides."""
    return {}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any]) -> Iterator[RunningSandbox]:
    with running_sandbox(tmp_path_factory.mktemp("s"), **settings) as running:
        yield running


@pytest.fixture
def client(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    """Return a client that trusts the sandbox and sends no token."""
    with httpx.Client(base_url=sandbox.url, verify=tls_context(sandbox.ca), trust_env=False, timeout=5) as made:
        yield made


@pytest.fixture
def graph(sandbox: RunningSandbox, client: httpx.Client) -> Iterator[httpx.Client]:
    """Return the client with the broker's own token for Graph."""
    client.headers["authorization"] = f"Bearer {sandbox.token(None)}"
    yield client
    sandbox.clear_faults()
