"""Each rule, the order of the rules, and reasons."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kiosk.broker import rules
from kiosk.broker.graph.managed_device import ManagedDevice
from kiosk.config.broker import Rules
from kiosk.config.safe_regex import Pattern
from kiosk.errors import (
    BY_CODE,
    DeviceRefused,
    KeyNotEscrowed,
    LimitReached,
    ReasonRequired,
    ReasonUnfit,
    RequestLimit,
    TokenProofTime,
    TokenRefused,
    TokenUnconfirmed,
    TokenUnproven,
)
from kiosk.models import Person, ReasonRule

ME = "00000000-0000-0000-0000-00000000000a"
OTHER = "00000000-0000-0000-0000-00000000000b"
MAC = ManagedDevice(
    id="00000000-0000-0000-0000-000000000001",
    name="Mac",
    model="MacBook Pro",
    serial="C02",
    os="macOS",
    os_version="26.1",
    last_seen=None,
    user_id=ME,
    owner="company",
    state="managed",
    agent="mdm",
)


def refusal(primary: frozenset[str] | None = frozenset({ME}), company_owned_only: bool = True, **changes: Any) -> str:
    case = rules.Case(replace(MAC, **changes), ME, primary, Rules(company_owned_only=company_owned_only))
    refused = rules.first_refusal(case)
    return refused.code if refused else ""


@pytest.mark.parametrize(
    ("user", "primary", "code"),
    [
        (ME, {ME}, ""),
        (ME, None, ""),
        (ME, {ME, OTHER}, ""),
        (ME, {OTHER}, "device_not_yours"),
        (ME, {""}, "device_not_yours"),
        (ME, set(), "device_shared"),
        ("", set(), "device_shared"),
        ("", {ME}, "device_not_yours"),
        (OTHER, {ME}, "device_not_yours"),
        (OTHER, set(), "device_not_yours"),
        (OTHER, None, "device_not_yours"),
    ],
)
def test_user_and_primary_user_must_both_be_the_person(user: str, primary: set[str] | None, code: str) -> None:
    assert refusal(None if primary is None else frozenset(primary), user_id=user) == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, ""),
        ({"os": "MACOS"}, ""),
        ({"os": "Windows"}, "device_not_mac"),
        ({"os": "iPadOS"}, "device_not_mac"),
        ({"os": ""}, "device_system_unknown"),
        ({"os": "OS X"}, "device_system_unknown"),
        ({"agent": "jamf"}, "device_jamf"),
        ({"agent": "configurationmanagerclientmdm"}, "device_configuration_manager"),
        ({"agent": "something new"}, "device_other_agent"),
        ({"agent": "unknown"}, "device_not_managed"),
        ({"agent": ""}, "device_not_managed"),
        ({"state": "unhealthy"}, ""),
        ({"state": "wipecanceled"}, ""),
        ({"state": "retirecanceled"}, ""),
        *[
            ({"state": state}, code)
            for order, code in (("retire", "device_retiring"), ("wipe", "device_wiping"), ("delete", "device_deleting"))
            for state in (f"{order}pending", f"{order}failed", f"{order}issued")
        ],
        ({"state": "discovered"}, "device_not_managed"),
        ({"state": "unknownfuturevalue"}, "device_not_managed"),
        ({"state": ""}, "device_not_managed"),
        ({"owner": "personal"}, "device_personal"),
        ({"owner": "unknown"}, "device_owner_unknown"),
        ({"owner": ""}, "device_owner_unknown"),
        ({"owner": "personal", "company_owned_only": False}, ""),
    ],
)  # fmt: skip
def test_what_the_device_is(changes: dict[str, Any], code: str) -> None:
    assert refusal(**changes) == code


def test_rules_apply_in_their_order() -> None:
    broken: dict[str, Any] = {
        "user_id": OTHER,
        "os": "iOS",
        "agent": "jamf",
        "state": "wipeissued",
        "owner": "personal",
    }
    mended: dict[str, Any] = {"user_id": ME, "os": "macOS", "agent": "mdm", "state": "managed", "owner": "company"}
    codes = []
    for name in broken:
        codes.append(refusal(**broken))
        broken[name] = mended[name]
    assert codes == [
        "device_not_yours",
        "device_not_mac",
        "device_jamf",
        "device_wiping",
        "device_personal",
    ]
    assert refusal(**broken) == ""


def test_of_a_foreign_device_nothing_else_is_said() -> None:
    for changes in ({"os": "iOS"}, {"agent": "jamf"}, {"state": "wipeissued"}, {"owner": "personal"}):
        assert refusal(user_id=OTHER, **dict[str, Any](changes)) == "device_not_yours"


@pytest.mark.parametrize("reason", [None, "", "   ", ".", "...", "-", "x", "xxxx", "\u202e", "\x00\x01", "7 7"])
def test_no_reason(reason: str | None) -> None:
    with pytest.raises(ReasonRequired):
        rules.reason_given(Rules(reason=ReasonRule.REQUIRED), reason)
    assert rules.reason_given(Rules(), reason) == ""


@pytest.mark.parametrize(
    ("rule", "reason", "recorded"),
    [
        (ReasonRule.REQUIRED, "INC 4711", "INC 4711"),
        (ReasonRule.REQUIRED, "忘記", "忘記"),
        (ReasonRule.REQUIRED, " locked\nout \x1b[31m", "locked out \N{REPLACEMENT CHARACTER}[31m"),
        (ReasonRule.REQUIRED, "x" * 300 + "y", None),
        (ReasonRule.OPTIONAL, None, ""),
        (ReasonRule.OPTIONAL, ".", "."),
        (ReasonRule.OPTIONAL, "locked out", "locked out"),
        (ReasonRule.OFF, "locked out", ""),
    ],
)
def test_reasons_are_cleaned_for_the_record(rule: ReasonRule, reason: str | None, recorded: str | None) -> None:
    if recorded is None:
        with pytest.raises(ReasonRequired):
            rules.reason_given(Rules(reason=rule), reason)
    else:
        assert rules.reason_given(Rules(reason=rule), reason) == recorded
    assert len(rules.reason_given(Rules(reason=ReasonRule.OPTIONAL), reason)) <= 200


ASKED = Rules(reason=ReasonRule.REQUIRED, reason_pattern=Pattern(r"INC\d{4,8}( .*)?"))


@pytest.mark.parametrize(
    ("reason", "refused"),
    [
        ("INC4711", None),
        (" INC4711 locked out ", None),
        ("inc4711", ReasonUnfit),
        ("xINC4711", ReasonUnfit),
        ("INC4711\u202e", ReasonUnfit),
        ("INC47", ReasonUnfit),
        ("x" * 5000, ReasonRequired),
        (".", ReasonRequired),
        (None, ReasonRequired),
    ],
)
def test_a_reason_has_the_form_that_is_asked_for(reason: str | None, refused: type[ReasonRequired] | None) -> None:
    if refused is None:
        assert rules.reason_given(ASKED, reason).startswith("INC4711")
        return
    with pytest.raises(ReasonRequired) as raised:
        rules.reason_given(ASKED, reason)
    assert type(raised.value) is refused
    assert str(reason) not in str(raised.value)


def test_where_a_reason_is_optional_a_given_one_still_has_its_form() -> None:
    optional = Rules(reason=ReasonRule.OPTIONAL, reason_pattern=Pattern("INC[0-9]+"))
    assert rules.reason_given(optional, None) == rules.reason_given(optional, "  ") == ""
    with pytest.raises(ReasonUnfit):
        rules.reason_given(optional, "because")


@pytest.mark.parametrize(
    ("settings", "roles", "code"),
    [
        (Rules(), (), ""),
        (Rules(self_service="nobody"), ("SelfService", "Technician"), "self_service_off"),
        (Rules(self_service="role"), ("SelfService",), ""),
        (Rules(self_service="role"), ("Technician", "selfservice"), "self_service_not_yours"),
        (Rules(self_service="role"), (), "self_service_not_yours"),
        (Rules(self_service="role", blocked_people=(ME,)), ("SelfService",), "person_blocked"),
        (Rules(blocked_people=(f" {ME.upper()} ",)), (), "person_blocked"),
        (Rules(blocked_people=(OTHER,)), (), ""),
    ],
)
def test_who_may(settings: Rules, roles: tuple[str, ...], code: str) -> None:
    person = Person(tid="t", oid=ME, name="Ada", address="ada@example", roles=roles)
    refused = rules.person_refusal(person, settings)
    assert (refused.code if refused else "") == code


@pytest.mark.parametrize("name", [MAC.id, MAC.id.upper(), "C02", " c02 "])
def test_blocked_devices(name: str) -> None:
    settings = Rules(blocked_devices=("other", name))
    mine = rules.first_refusal(rules.Case(MAC, ME, frozenset({ME}), settings))
    assert mine is not None
    assert mine.code == "device_blocked"
    # Of somebody else's device, not even that is disclosed.
    foreign = rules.first_refusal(rules.Case(replace(MAC, user_id=OTHER), ME, None, settings))
    assert foreign is not None
    assert foreign.code == "device_not_yours"
    nameless = replace(MAC, serial="", id="")
    assert rules.first_refusal(rules.Case(nameless, ME, frozenset({ME}), Rules(blocked_devices=("x",)))) is None


def test_every_rule_is_documented_in_its_order() -> None:
    described = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
    rows = [line.split("|") for line in described.splitlines() if line.startswith("| ") and line[2].isdigit()]
    assert [int(row[1]) for row in rows] == list(range(1, len(rows) + 1))
    codes = [code for row in rows for code in re.findall(r"`(\w+)`", row[4])]
    assert all(code in BY_CODE for code in codes)
    assert len(codes) == len(set(codes))
    for kind in BY_CODE.values():
        decided = issubclass(kind, (TokenRefused, DeviceRefused, LimitReached, ReasonRequired))
        # No rules about a release: they are met at every route.
        if kind in (RequestLimit, TokenUnproven, TokenProofTime, TokenUnconfirmed):
            assert f"`{kind.code}`" in described
        elif decided and KeyNotEscrowed not in kind.__bases__:
            assert kind.code in codes, kind.code
    causes = {line.split("`")[1] for line in described.splitlines() if line.startswith("| `key_")}
    assert causes == {kind.code for kind in KeyNotEscrowed.__subclasses__()}
