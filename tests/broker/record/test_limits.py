"""Limits are sliding windows over the record, exact under concurrency, and unchanged by a restart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from tests.broker.conftest import Start
from tests.support.broker import Answer, MovedClock, RunningBroker
from tests.support.sandbox import RunningSandbox


def codes(broker: RunningBroker, token: str, device_id: str, times: int) -> list[str]:
    return [broker.release(token, device_id).code for _ in range(times)]


def test_a_person_and_a_device_have_limits_of_their_own(start: Start, sandbox: RunningSandbox) -> None:
    first, second = sandbox.device("NW-AKESSLER-14").id, sandbox.device("NW-AKESSLER-MINI").id
    token = sandbox.token("ada")
    with start(rules={"per_person": ("3/hour",), "per_device": ("2/day",)}) as broker:
        assert codes(broker, token, first, 3) == ["", "", "limit_device"]
        assert codes(broker, token, second, 2) == ["", "limit_person"]
        sandbox.change(sandbox.device("NW-AKESSLER-14"), user="jonas.brandt@nordwind.example")
        sandbox.change(sandbox.device("NW-AKESSLER-14"), primary="jonas.brandt@nordwind.example")
        assert codes(broker, sandbox.token("jonas"), first, 1) == ["limit_device"]
        assert codes(broker, sandbox.token("jonas"), sandbox.device("NW-JBRANDT-AIR").id, 1) == [""]
        sandbox.change(sandbox.device("NW-AKESSLER-14"), user="ada.kessler@nordwind.example")
        sandbox.change(sandbox.device("NW-AKESSLER-14"), primary="ada.kessler@nordwind.example")
        refused = [row for row in broker.rows("release.refused") if row["outcome"].startswith("limit_")]
        assert len(refused) == 3
        assert all(row["release_id"] and row["reference"] and row["serial"] for row in refused)
        assert len(sandbox.requests("getFileVaultKey")) == 4


def test_the_window_slides_and_outlives_a_restart(start: Start, sandbox: RunningSandbox) -> None:
    clock, mac = MovedClock(), sandbox.device("NW-AKESSLER-14").id
    rules = {"per_person": ("2/hour", "3/day"), "per_device": ()}

    def ask() -> Answer:
        now = int(clock.utc().timestamp())
        return broker.release(sandbox.token("ada", iat=now, nbf=now, auth_time=now, exp=now + 3600), mac)

    with start(clock, rules=rules) as broker:
        assert ask().code == ""
        clock.ahead = timedelta(minutes=30)
        assert [ask().code, ask().code] == ["", "limit_person"]
    with start(clock, rules=rules) as broker:
        answer = ask()
        assert answer.response.status_code == 429
        assert 1790 <= int(answer.response.headers["retry-after"]) <= 1800
        assert 1790 <= answer.response.json()["retry_after"] <= 1800
        clock.ahead = timedelta(minutes=59)
        assert ask().code == "limit_person"
        clock.ahead = timedelta(minutes=61)
        assert ask().code == ""
        # The hourly limit will allow another one soon, the daily limit will not.
        answer = ask()
        assert answer.code == "limit_person"
        assert 22 * 3600 < int(answer.response.headers["retry-after"]) < 23 * 3600
        clock.ahead = timedelta(hours=24, minutes=1)
        assert ask().code == ""


def test_two_at_once_cannot_both_be_the_last(start: Start, sandbox: RunningSandbox) -> None:
    macs = [sandbox.device("NW-AKESSLER-14").id, sandbox.device("NW-AKESSLER-MINI").id]
    token = sandbox.token("ada")
    with start(rules={"per_person": ("3/hour",), "per_device": ()}) as broker, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: broker.release(token, macs[number % 2]), range(12)))
        assert sorted(answer.code for answer in answers) == ["", "", ""] + ["limit_person"] * 9
        assert len(broker.rows("release.intended")) == len(broker.rows("release.done")) == 3
        assert len(broker.rows("release.refused")) == 9
        assert len(sandbox.requests("getFileVaultKey")) == 3


def test_a_release_that_gave_no_key_does_not_count(start: Start, sandbox: RunningSandbox) -> None:
    token = sandbox.token("priya")
    with start(rules={"per_person": ("1/day",), "per_device": ("1/day",)}) as broker:
        assert codes(broker, token, sandbox.device("NW-PRAMAN-LOAN").id, 2) == ["key_encryption_deferred"] * 2
        sandbox.fault("*/getFileVaultKey", "status", status=403)
        assert codes(broker, token, sandbox.device("NW-PRAMAN-16").id, 2) == ["graph_no_permission"] * 2
        sandbox.clear_faults()
        assert codes(broker, token, sandbox.device("NW-PRAMAN-16").id, 2) == ["", "limit_person"]


def test_nobody_can_use_up_the_limit_of_a_foreign_device(start: Start, sandbox: RunningSandbox) -> None:
    mac = sandbox.device("NW-JBRANDT-AIR").id
    with start(rules={"per_person": ("2/day",), "per_device": ("1/day",)}) as broker:
        assert codes(broker, sandbox.token("ada"), mac, 4) == ["device_not_yours"] * 4
        assert codes(broker, sandbox.token("jonas"), mac, 1) == [""]
