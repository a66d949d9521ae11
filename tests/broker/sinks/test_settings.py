"""Mistakes in the configuration of a sink: each is one line that names the key and what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kiosk.broker.sinks import open_sinks
from kiosk.clock import SystemClock
from kiosk.config.broker import BrokerConfig, SinkSettings
from kiosk.config.loading import load
from kiosk.errors import ConfigError
from tests.support.broker import broker_config, to_toml
from tests.support.sandbox import RunningSandbox


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "syslog"}, "expected unix:/path, udp://"),
        ({"kind": "syslog", "url": "http://x"}, "expected unix:/path, udp://"),
        ({"kind": "syslog", "url": "tcp://x:port"}, "expected unix:/path, udp://"),
        ({"kind": "syslog", "url": "tcp://x:99999"}, "expected unix:/path, udp://"),
        ({"kind": "journald", "url": "unix:relative"}, "expected unix:/path"),
        ({"kind": "file", "url": "/var/log/x"}, "expected file:/path"),
        ({"kind": "webhook", "url": "http://x/"}, "begins with https://"),
        ({"kind": "webhook", "url": "https://me:s3cret@x/"}, "without user or password"),
        ({"kind": "file", "url": "file:/tmp/b"}, "each sink only once"),
    ],
)
def test_mistakes_in_the_configuration(place: Path, settings: dict[str, Any], said: str) -> None:
    first = SinkSettings(kind="file", url="file:/tmp/b", mode="required")
    second = SinkSettings(**settings, mode="required")
    with pytest.raises(ConfigError) as refused:
        open_sinks([first, second], f"sqlite:///{place / 'record.db'}", SystemClock())
    assert "sink.1.url: " in str(refused.value)
    assert said in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('kind = "sylog"\nmode = "required"', ':3: sink.1.kind: expected "syslog", "journald", "file" or "webhook"'),
        ('kind = "file"\nmode = "maybe"', ':4: sink.1.mode: expected "required" or "best-effort"'),
        ('kind = "file"\nmodes = "required"', ":4: sink.1.modes: unknown key; did you mean mode?"),
        ('kind = "webhook"\nmode = "required"\ntoken_file = "gone"', ":5: sink.1.token_file: expected a readable file"),
    ],
)
def test_mistakes_are_named_with_their_line(sandbox: RunningSandbox, place: Path, table: str, said: str) -> None:
    file = place / "broker.toml"
    first = '[[sink]]\nkind = "file"\nurl = "file:/a"\nmode = "required"\n'
    others = to_toml(broker_config(sandbox.directory, place))
    others = "\n".join(line for line in others.splitlines() if not line.startswith("sink"))
    file.write_text(f"{others}\n{first}[[sink]]\n{table}\n")
    before = len(others.splitlines()) + 4
    with pytest.raises(ConfigError) as refused:
        load(file, BrokerConfig)
    _, line, rest = said.split(":", 2)
    assert f"broker.toml:{before + int(line) - 1}:{rest}" in str(refused.value)
