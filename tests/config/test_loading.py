"""A wrong configuration is one clear line with file, line, key and what was expected; a right one has its defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from kiosk.broker.record.ledger import LONGEST_RELEASE
from kiosk.config.broker import BrokerConfig
from kiosk.config.kiosk import KioskConfig
from kiosk.config.loading import load
from kiosk.config.types import Section
from kiosk.errors import ConfigError
from kiosk.sandbox.settings import SandboxConfig

KIOSK = """\
[organisation]
name = "Nordwind"
helpdesk = "Ground floor"

[device_code]
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
client = "client"
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


# A complete message for every kind of mistake: what msgspec says of it must still be understood after an upgrade.
KIOSK_MISTAKES = {
    "misspelled key": (
        "reveal_seconds",
        "reveal_secnds",
        "11: visit.reveal_secnds: unknown key; did you mean reveal_seconds?",
    ),
    "unknown key": (
        "reveal_seconds",
        "colour",
        (
            "11: visit.colour: unknown key; expected one of reveal_seconds, longest_reveal_seconds, idle_seconds,"
            " visit_seconds, after, ui"
        ),
    ),
    "misspelled table": ("[visit]", "[vist]", "10: vist: unknown key; did you mean visit?"),
    "missing key": ('client_id = "client"\n', "", "5: device_code.client_id: missing; expected some text"),
    "missing address": (
        'authority = "https://login.example/tenant"\n',
        "",
        "5: device_code.authority: missing; expected an address that begins with https://",
    ),
    "wrong type": ("= 60", '= "60"', "11: visit.reveal_seconds: expected a whole number from 5 to 3600"),
    "below the range": ("= 60", "= 1", "11: visit.reveal_seconds: expected a whole number from 5 to 3600"),
    "above the range": ("= 60", "= 3601", "11: visit.reveal_seconds: expected a whole number from 5 to 3600"),
    "not https": ("https:", "http:", "6: device_code.authority: expected an address that begins with https://"),
    "empty": ('"Nordwind"', '" "', "2: organisation.name: expected some text"),
    "text of the wrong type": ('"Nordwind"', "5", "2: organisation.name: expected some text"),
    "too long": (
        'helpdesk = "Ground floor"',
        f'helpdesk = "x"\nnotice = "{"x" * 301}"',
        "4: organisation.notice: expected 1 to 300 characters of text",
    ),
    "not one of the choices": ("reveal_seconds = 60", 'ui = "face"', '11: visit.ui: expected "full" or "linear"'),
    "choice of the wrong type": ("reveal_seconds = 60", "after = 1", '11: visit.after: expected "restart" or "exit"'),
    "not one of many choices": (
        "[visit]\nreveal_seconds = 60",
        '[look]\ntheme = "blue"',
        '11: look.theme: expected "auto", "dark", "light", "contrast" or "ansi"',
    ),
    "not a charset": (
        "[visit]\nreveal_seconds = 60",
        '[look]\ntype = "utf-8"',
        '11: look.type: expected "auto", "blocks", "console", "lines" or "ascii"',
    ),
    "not a policy": (
        "[visit]\nreveal_seconds = 60",
        '[recorders]\ntmux = "block"',
        '11: recorders.tmux: expected "allow", "warn", "mask" or "refuse"',
    ),
    "not a colour": (
        "[visit]\nreveal_seconds = 60",
        '[look]\naccent = "green"',
        '11: look.accent: expected a colour such as "#1a7f37"',
    ),
    "not a language": (
        "[visit]\nreveal_seconds = 60",
        '[look]\nlanguages = ["en", "xx"]',
        "11: look.languages.1: expected a language code: en, da, de, es, fi, fr, it, nb, nl, pl, pt, sv",
    ),
    "not a list": (
        "[visit]\nreveal_seconds = 60",
        '[look]\nlanguages = "en"',
        "11: look.languages: expected a list",
    ),
    "not a path": (
        'client_id = "client"',
        'client_id = "client"\nca_bundle = 5',
        "8: device_code.ca_bundle: expected a path",
    ),
    "not a socket": (
        "[visit]\nreveal_seconds = 60",
        '[broker]\nurl = "http://broker"',
        "11: broker.url: expected unix:/path/to/socket or an address that begins with https://",
    ),
}

BROKER_MISTAKES = {
    "missing table": ("[graph]", "[graph2]", "6: graph2: unknown key; did you mean graph?"),
    "not a limit": ('"3/hour"', '"three"', '11: rules.per_person.0: expected a limit such as "3/hour" or "10/day"'),
    "not a boolean": (
        'per_person = ["3/hour"]',
        'company_owned_only = "yes"',
        "11: rules.company_owned_only: expected true or false",
    ),
    "not who": (
        'per_person = ["3/hour"]',
        'self_service = "staff"',
        '11: rules.self_service: expected "everyone", "role" or "nobody"',
    ),
    "not a rule for reasons": (
        'per_person = ["3/hour"]',
        'reason = "maybe"',
        '11: rules.reason: expected "off", "optional" or "required"',
    ),
    "not a pattern": (
        'per_person = ["3/hour"]',
        'reason_pattern = "("',
        "11: rules.reason_pattern: expected a regular expression in RE2's syntax: missing ): (",
    ),
    "no pattern": (
        'per_person = ["3/hour"]',
        'reason_pattern = ""',
        "11: rules.reason_pattern: expected a regular expression",
    ),
    "not a log level": (
        "[rules]",
        '[log]\nlevel = "loud"\n[rules]',
        '11: log.level: expected "debug", "info" or "warning"',
    ),
    "not a sink": (
        "[rules]",
        '[[sink]]\nkind = "file"\nmode = "required"\n[[sink]]\nkind = "mail"\nmode = "required"\n[rules]',
        '14: sink.1.kind: expected "syslog", "journald", "file" or "webhook"',
    ),
    "not a mode": (
        "[rules]",
        '[[sink]]\nkind = "file"\nmode = "maybe"\n[rules]',
        '12: sink.0.mode: expected "required" or "best-effort"',
    ),
    "sink without a mode": (
        "[rules]",
        '[[sink]]\nkind = "file"\n[rules]',
        '10: sink.0.mode: missing; expected "required" or "best-effort"',
    ),
    "not an address for metrics": (
        "[rules]",
        '[metrics]\nlisten = "9100"\n[rules]',
        "11: metrics.listen: expected unix:/path/to/socket or http://address:port",
    ),
}

MISTAKES = [
    *(pytest.param(KioskConfig, KIOSK, *case, id=name) for name, case in KIOSK_MISTAKES.items()),
    *(pytest.param(BrokerConfig, BROKER, *case, id=name) for name, case in BROKER_MISTAKES.items()),
]


@pytest.mark.parametrize(("kind", "right", "old", "new", "said"), MISTAKES)
def test_a_mistake_is_one_line_with_file_line_key_and_what_was_expected(
    tmp_path: Path, kind: type[Section], right: str, old: str, new: str, said: str
) -> None:
    path = tmp_path / "file.toml"
    assert old in right
    path.write_text(right.replace(old, new))
    with pytest.raises(ConfigError) as raised:
        load(path, kind)
    assert str(raised.value) == f"{path}:{said}"


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.toml"
    path.write_text("")
    with pytest.raises(ConfigError, match=r"kiosk\.toml: organisation: missing; expected a table$"):
        load(path, KioskConfig)


def test_a_file_that_is_not_toml_is_named_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.toml"
    path.write_text(KIOSK.replace("[visit]", "[visit"))
    with pytest.raises(ConfigError, match=r"kiosk\.toml:10: expected TOML: "):
        load(path, KioskConfig)


def _keys(kind: type[Section], *above: str) -> Iterator[tuple[str, ...]]:
    """Yield the keys of all values, in tables and in lists of tables."""
    for field in msgspec.structs.fields(kind):
        here = (*above, field.encode_name)
        yield here
        for part in (field.type, *get_args(field.type)):
            if isinstance(part, type) and issubclass(part, Section):
                yield from _keys(part, *here)


@pytest.mark.parametrize("kind", [KioskConfig, BrokerConfig, SandboxConfig])
# No setting is a time, so the first is wrong everywhere; the others are outside the bounds of many.
@pytest.mark.parametrize("wrong", ["2026-01-01T00:00:00Z", "-1", '"\\n"', "[2026-01-01]", "{x = 1}"])
def test_no_message_is_in_the_words_of_msgspec(tmp_path: Path, kind: type[Section], wrong: str) -> None:
    path = tmp_path / "file.toml"
    for keys in _keys(kind):
        table, *inner = keys
        is_entry_of_list = inner and table in {"sink", "fault"}
        path.write_text(f"[[{table}]]\n{inner[0]} = {wrong}" if is_entry_of_list else f"{'.'.join(keys)} = {wrong}")
        try:
            load(path, kind)
            said = ""
        except ConfigError as error:
            said = str(error)
        assert not re.search(r"`|Expected|got|[Ii]nvalid|[Oo]bject|array|\$", said)
        if wrong.startswith("2026") and keys != ("fault", "value"):
            assert re.search(rf"{keys[-1]}: expected \S", said)


def test_a_release_cannot_outlast_the_moment_it_is_written_off(tmp_path: Path) -> None:
    (tmp_path / "broker.pem").write_text("x")
    path = tmp_path / "broker.toml"
    path.write_text(BROKER.replace("[rules]", "total_seconds = 301\n[rules]"))
    with pytest.raises(ConfigError, match=r":10: graph\.total_seconds: expected a whole number from 1 to 300"):
        load(path, BrokerConfig)
    path.write_text(BROKER.replace("[rules]", "total_seconds = 300\n[rules]"))
    assert timedelta(seconds=load(path, BrokerConfig).graph.total_seconds) <= LONGEST_RELEASE / 2


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
    with pytest.raises(ConfigError, match=r":9: graph\.certificate: expected a readable file: .*broker\.pem"):
        load(path, BrokerConfig)
