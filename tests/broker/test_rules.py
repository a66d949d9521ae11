"""Each rule, the order of the rules, and reasons."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kiosk.broker import rules
from kiosk.broker.managed_device import ManagedDevice
from kiosk.errors import ReasonRequired
from kiosk.models import ReasonRule

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
    case = rules.Case(replace(MAC, **changes), ME, primary, company_owned_only)
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
        ({"os": ""}, "device_not_mac"),
        ({"agent": "jamf"}, "device_other_agent"),
        ({"agent": "configurationmanagerclientmdm"}, "device_other_agent"),
        ({"agent": "something new"}, "device_other_agent"),
        ({"agent": "unknown"}, "device_not_managed"),
        ({"agent": ""}, "device_not_managed"),
        ({"state": "unhealthy"}, ""),
        ({"state": "wipecanceled"}, ""),
        ({"state": "retirecanceled"}, ""),
        *[
            ({"state": state}, "device_leaving")
            for order in ("retire", "wipe", "delete")
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
        "device_other_agent",
        "device_leaving",
        "device_personal",
    ]
    assert refusal(**broken) == ""


def test_of_a_foreign_device_nothing_else_is_said() -> None:
    for changes in ({"os": "iOS"}, {"agent": "jamf"}, {"state": "wipeissued"}, {"owner": "personal"}):
        assert refusal(user_id=OTHER, **dict[str, Any](changes)) == "device_not_yours"


@pytest.mark.parametrize("reason", [None, "", "   ", ".", "...", "-", "x", "xxxx", "\u202e", "\x00\x01", "7 7"])
def test_no_reason(reason: str | None) -> None:
    with pytest.raises(ReasonRequired):
        rules.reason_given(ReasonRule.REQUIRED, reason)
    assert rules.reason_given(ReasonRule.OFF, reason) == ""


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
            rules.reason_given(rule, reason)
    else:
        assert rules.reason_given(rule, reason) == recorded
    assert len(rules.reason_given(ReasonRule.OPTIONAL, reason)) <= 200
