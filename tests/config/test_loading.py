"""A wrong configuration is one clear line with file, line, key and what was expected; a right one has its defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiosk.config.broker import BrokerConfig
from kiosk.config.kiosk import KioskConfig
from kiosk.config.loading import load
from kiosk.errors import ConfigError

KIOSK = """\
[organisation]
name = "Nordwind"
helpdesk = "Ground floor"

[sign_in]
authority = "https://login.example/tenant"
client_id = "client"
scope = "api://kiosk/Session.Open"

[visit]
reveal_seconds = 60
"""

BROKER = """\
[tokens]
authority = "https://login.example/tenant"
tenant = "tenant"
audience = "kiosk"
[graph]
authority = "https://login.example/tenant"
client_id = "broker"
certificate = "broker.pem"
[rules]
per_person = ["3/hour"]
"""


def test_defaults_are_the_documented_ones(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.toml"
    path.write_text(KIOSK)
    config = load(path, KioskConfig)
    assert config.visit.reveal_seconds == 60
    assert (config.visit.idle_seconds, config.visit.visit_seconds, config.visit.after) == (90, 900, "restart")
    assert config.broker.url == "unix:/run/kiosk-broker/broker.sock"
    assert config.organisation.portal == "https://portal.manage.microsoft.com"


def test_paths_are_taken_from_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "broker.pem").write_text("x")
    path = tmp_path / "broker.toml"
    path.write_text(BROKER)
    config = load(path, BrokerConfig)
    assert config.graph.certificate == tmp_path / "broker.pem"
    assert config.rules.per_device == ("5/day",)


CASES = {
    "typo": ("reveal_seconds", "reveal_secnds", ":11: visit.reveal_secnds: unknown key; did you mean reveal_seconds?"),
    "unknown table": ("[visit]", "[vist]", ":10: vist: unknown key; did you mean visit?"),
    "wrong type": ("= 60", '= "60"', ":11: visit.reveal_seconds: expected int, got str"),
    "too small": ("= 60", "= 1", ":11: visit.reveal_seconds: expected int >= 5"),
    "not https": ("https://login", "http://login", ":6: sign_in.authority: expected an address that begins with https"),
    "missing": ('client_id = "client"\n', "", ":5: sign_in.client_id: missing"),
    "missing table": ("[organisation]", "[visit2]", "visit2: unknown key"),
    "empty": ('"Nordwind"', '" "', ":2: organisation.name: expected some text"),
    "syntax": ("[visit]", "[visit", ":10: expected TOML"),
    "after": ("reveal_seconds = 60", 'after = "never"', ':11: visit.after: expected "restart" or "exit"'),
}


@pytest.mark.parametrize(("old", "new", "said"), CASES.values(), ids=CASES)
def test_mistakes_are_named_in_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "kiosk.toml"
    assert old in KIOSK
    path.write_text(KIOSK.replace(old, new))
    with pytest.raises(ConfigError) as raised:
        load(path, KioskConfig)
    words = str(raised.value)
    assert words.startswith(str(path))
    assert said in words
    assert "\n" not in words


def test_a_limit_is_explained_by_example(tmp_path: Path) -> None:
    (tmp_path / "broker.pem").write_text("x")
    path = tmp_path / "broker.toml"
    path.write_text(BROKER.replace("3/hour", "three"))
    with pytest.raises(ConfigError, match=r':10: rules\.per_person\.?\S*: expected a limit such as "3/hour"'):
        load(path, BrokerConfig)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: expected a configuration file: No such file"):
        load(tmp_path / "nowhere.toml", KioskConfig)


def test_a_folder_or_binary_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a configuration file"):
        load(tmp_path, KioskConfig)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(binary, KioskConfig)


def test_a_file_that_it_names_must_be_readable(tmp_path: Path) -> None:
    path = tmp_path / "broker.toml"
    path.write_text(BROKER)
    with pytest.raises(ConfigError, match=r":8: graph\.certificate: expected a file that can be read: .*broker\.pem"):
        load(path, BrokerConfig)
