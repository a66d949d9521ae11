"""A broker does not start while others can open its secrets, or its group can change them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiosk.broker.server import expect_closed_files, serve
from kiosk.config.broker import BrokerConfig
from kiosk.errors import ConfigError
from tests.support.broker import broker_config
from tests.support.sandbox import RunningSandbox

KEYS = ["graph.certificate", "graph.passphrase_file", "listen.key", "sink.token_file"]


def config_with(sandbox: RunningSandbox, place: Path, key: str, mode: int) -> BrokerConfig:
    """Return a configuration in which ``key`` names a file of this mode."""
    table, _, member = key.partition(".")
    secret = place / "secret"
    secret.touch()
    secret.chmod(mode)
    sinks = [{"kind": "webhook", "url": "https://x/", "mode": "required", member: secret}] if table == "sink" else []
    tables = {} if table == "sink" else {table: {member: secret}}
    return broker_config(sandbox.directory, place, sinks, **tables)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("mode", [0o644, 0o602, 0o660])
def test_an_open_file_with_a_secret_is_refused(sandbox: RunningSandbox, place: Path, key: str, mode: int) -> None:
    config = config_with(sandbox, place, key, mode)
    with pytest.raises(ConfigError, match=rf"secret: expected .* accessible to others.* its mode is {mode:04o}"):
        expect_closed_files(config)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400])
def test_a_closed_one_is_not(sandbox: RunningSandbox, place: Path, key: str, mode: int) -> None:
    expect_closed_files(config_with(sandbox, place, key, mode))


def test_it_is_refused_before_anything_starts(sandbox: RunningSandbox, place: Path) -> None:
    with pytest.raises(ConfigError, match="accessible to others"):
        serve(config_with(sandbox, place, "graph.certificate", 0o644))
    assert not (place / "record.db").exists()
