"""The address of a webhook often is its password: nothing that others read says more of it than the host."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from kiosk.broker.monitoring import State
from kiosk.broker.sinks import open_sinks
from kiosk.checks import sinks as check
from kiosk.checks.result import Level
from kiosk.clock import SystemClock
from kiosk.config.broker import SinkSettings
from kiosk.errors import ConfigError, SinkUnavailable
from tests.support.broker import broker_config
from tests.support.clock import ManualClock
from tests.support.sandbox import RunningSandbox
from tests.support.sinks import receiver, recording, say

SECRET = "T0K3N-IN-THE-PATH"


@pytest.fixture
def settings(sandbox: RunningSandbox, place: Path) -> dict[str, Any]:
    found = receiver("webhook", sandbox, place).settings
    return found | {"url": f"{found['url']}/{SECRET}", "mode": "required"}


def test_neither_log_nor_table_nor_metrics_have_it(
    sandbox: RunningSandbox, place: Path, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with recording(place, settings) as record, pytest.raises(SinkUnavailable) as refused:
        say(record, 1)
    config = broker_config(sandbox.directory, place, [settings])
    state = State(config, ManualClock())
    registry = CollectorRegistry()
    registry.register(state)
    exposed = generate_latest(registry).decode()
    state.close()
    with sqlite3.connect(place / "record.db") as connection:
        rows = connection.execute("select name from sink").fetchall()
    connection.close()
    host = settings["url"].split("/")[2]
    assert f'sink="webhook https://{host} ' in exposed
    assert rows[0][0].startswith(f"webhook https://{host} ")
    assert f"webhook https://{host} " in caplog.text
    for said in (exposed, str(rows), caplog.text, str(refused.value), str(refused.value.__dict__)):
        assert SECRET not in said


def test_the_check_does_not_show_it(sandbox: RunningSandbox, place: Path, settings: dict[str, Any]) -> None:
    there = receiver("webhook", sandbox, place)
    (place / "token").chmod(0o600)
    one = there.settings | {"url": f"{there.settings['url']}/{SECRET}", "mode": "required"}
    with there.listen():
        reached = check.sinks([SinkSettings(**one)], SystemClock())
    away = check.sinks([SinkSettings(**settings)], SystemClock())
    assert (reached.level, away.level) == (Level.PASS, Level.FAIL)
    for finding in (reached, away):
        assert SECRET not in finding.found + finding.fix


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"https://x/?sig={SECRET}", "without a query"),
        (f"https://x/#{SECRET}", "without a query"),
        (f"https://me:{SECRET}@x/", "without user or password"),
        (f"https://{SECRET}@x/", "without user or password"),
    ],
)
def test_a_secret_elsewhere_in_the_address_is_refused(place: Path, url: str, said: str) -> None:
    one = SinkSettings(kind="webhook", url=url, mode="required")
    with pytest.raises(ConfigError) as refused:
        open_sinks([one], f"sqlite:///{place / 'record.db'}", SystemClock())
    found = check.sinks([one], SystemClock())
    assert found.level is Level.FAIL
    for words in (str(refused.value), found.found):
        assert said in words
        assert SECRET not in words


def test_two_secrets_of_one_host_are_two_sinks(place: Path) -> None:
    one, other = (SinkSettings(kind="webhook", url=f"https://x/{end}", mode="required") for end in "ab")
    open_sinks([one, other], f"sqlite:///{place / 'record.db'}", SystemClock())
    with pytest.raises(ConfigError, match="each sink only once"):
        open_sinks([one, one], f"sqlite:///{place / 'record.db'}", SystemClock())
