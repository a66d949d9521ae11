"""What one person may ask for in a time: buckets, requests over HTTP, refused releases, lists that are kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiosk.broker import allowance
from kiosk.broker.allowance import Allowance
from kiosk.broker.service import LIMITED_SECONDS
from kiosk.secret import VisitKeys
from tests.broker.conftest import Start
from tests.support.broker import MovedClock, problem_code
from tests.support.clock import ManualClock
from tests.support.examples import few
from tests.support.sandbox import RunningSandbox

MAC = "NW-AKESSLER-14"
OFF = {"per_person": (), "per_device": ()}
NOWHERE = "00000000-0000-0000-0000-000000000000"


def test_so_much_at_once_and_more_with_time() -> None:
    clock = ManualClock()
    three = Allowance(clock, 3, 30)
    assert [three.take("ada") for _ in range(4)] == [0, 0, 0, 10]
    # Others are not concerned, and asking in vain costs nothing.
    assert three.take("jonas") == 0
    clock.advance(4)
    assert three.take("ada") == pytest.approx(6)
    clock.advance(6)
    assert three.take("ada") == 0
    assert three.take("ada") == pytest.approx(10)
    three.give_back("ada")
    assert three.take("ada") == 0
    clock.advance(1000)
    assert [three.take("ada") for _ in range(4)] == [0, 0, 0, 10]


def test_what_was_not_taken_cannot_be_given_back() -> None:
    one = Allowance(ManualClock(), 1, 10)
    one.give_back("ada")
    assert [one.take("ada") for _ in range(2)] == [0, 10]


def test_only_so_many_people_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "_MOST_PEOPLE", 3)
    one = Allowance(ManualClock(), 1, 10)
    assert [one.take(who) for who in "abc"] == [0, 0, 0]
    assert one.take("a") == 10
    assert [one.take(who) for who in "defghi"] == [0] * 6
    assert len(one) == 3


@settings(max_examples=few(40), deadline=None, derandomize=True, database=None)
@given(pauses=st.lists(st.floats(0, 20), max_size=60))
def test_in_any_time_no_more_than_at_once_and_what_grew(pauses: list[float]) -> None:
    clock = ManualClock()
    bucket = Allowance(clock, 5, 10)
    taken = 0
    for pause in pauses:
        clock.advance(pause)
        taken += bucket.take("ada") == 0
    assert taken <= 5 + sum(pauses) * 5 / 10 + 1e-6


class Hurried(MovedClock):
    """Counts the pauses before refusals, and does not make them."""

    paused = 0

    async def sleep(self, seconds: float) -> None:
        if seconds == LIMITED_SECONDS:
            self.paused += 1
        else:
            await super().sleep(seconds)


def test_requests_of_a_person_are_limited_at_every_route(start: Start, sandbox: RunningSandbox) -> None:
    clock = Hurried()
    with start(clock, limits={"requests_per_minute": 6, "requests_at_once": 3}) as broker:
        token, mac = sandbox.token("ada"), sandbox.device(MAC).id
        for _ in range(3):
            assert broker.ask("GET", "/v1/session", token).is_success
        sandbox.clear_requests()
        broker.forget_rows()
        asked: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", "/v1/session", {}),
            ("GET", "/v1/devices", {}),
            ("POST", f"/v1/releases/{NOWHERE}/closed", {"json": {"how": "hidden"}}),
            ("POST", f"/v1/releases/{NOWHERE}/checked", {"json": {"how": "right", "groups_right": 6}}),
        ]
        refused = [broker.ask(method, path, token, **more) for method, path, more in asked]
        refused.append(broker.release(token, mac).response)
        assert [(one.status_code, problem_code(one)) for one in refused] == [(429, "limit_requests")] * 5
        assert all(1 <= int(one.headers["retry-after"]) <= 10 for one in refused)
        # Another token of the same person does not help, and nobody else is concerned.
        assert problem_code(broker.ask("GET", "/v1/session", sandbox.token("ada"))) == "limit_requests"
        assert [(row["event"], row["outcome"]) for row in broker.rows()] == [("token.refused", "limit_requests")] * 6
        assert {row["oid"] for row in broker.rows()} == {sandbox.person("ada").oid}
        # In a flood, they are counted: ten rows of their own, and one more for each six seconds that this takes.
        for _ in range(20):
            broker.ask("GET", "/v1/devices", token)
        assert 10 <= len(broker.rows()) < 20
        assert broker.ask("GET", "/v1/session", sandbox.token("jonas")).is_success
        assert not sandbox.requests("/beta/")
        # A loop that does not wait is slowed down on each of its connections.
        assert clock.paused == 5 + 1 + 20
        clock.ahead += timedelta(seconds=10)
        assert broker.ask("GET", "/v1/session", token).is_success
        assert clock.paused == 26


def test_a_refused_token_uses_up_nothing(start: Start, sandbox: RunningSandbox) -> None:
    with start(limits={"requests_per_minute": 1, "requests_at_once": 1}) as broker:
        for _ in range(3):
            assert problem_code(broker.ask("GET", "/v1/session", sandbox.token("ada", scp="x"))) == "token_scope"
        assert broker.ask("GET", "/v1/session", sandbox.token("ada")).is_success


def test_refused_releases_of_a_person_are_limited(start: Start, sandbox: RunningSandbox) -> None:
    clock = MovedClock()
    with start(clock, rules=OFF, limits={"refused_releases_per_hour": 6}) as broker:
        token, own, foreign = sandbox.token("ada"), sandbox.device(MAC).id, sandbox.device("NW-JBRANDT-AIR").id
        assert [broker.release(token, own).code for _ in range(5)] == [""] * 5
        assert [broker.release(token, foreign).code for _ in range(6)] == ["device_not_yours"] * 6
        sandbox.clear_requests()
        broker.forget_rows()
        for device in (own, foreign):
            answer = broker.release(token, device)
            assert (answer.code, answer.response.status_code) == ("limit_requests", 429)
            assert 500 < int(answer.response.headers["retry-after"]) <= 600
        rows = [(row["event"], row["outcome"], row["device_id"]) for row in broker.rows()]
        assert rows == [("release.refused", "limit_requests", device) for device in (own, foreign)]
        assert not sandbox.requests("/beta/")
        assert broker.release(sandbox.token("jonas"), foreign).code == ""
        clock.ahead += timedelta(minutes=11)
        assert broker.release(sandbox.token("ada"), own).code == ""


@pytest.mark.parametrize("cause", ["graph", "reason", "copied token"])
def test_what_a_person_can_do_nothing_about_does_not_count(start: Start, sandbox: RunningSandbox, cause: str) -> None:
    rules = OFF | {"reason": "required"}
    with start(rules=rules, limits={"refused_releases_per_hour": 1}) as broker:
        token, mac = sandbox.token("ada"), sandbox.device(MAC).id
        assert broker.release(token, mac, "a reason").code == ""
        if cause == "graph":
            sandbox.fault("*/getFileVaultKey", "status", status=403)
        reason = "" if cause == "reason" else "a reason"
        keys = VisitKeys() if cause == "copied token" else None
        codes = {broker.release(token, mac, reason, keys=keys).code for _ in range(3)}
        assert codes == {{"graph": "graph_no_permission", "reason": "reason_required"}.get(cause, "token_bound")}
        sandbox.clear_faults()
        assert broker.release(token, mac, "a reason").code == ""


def test_a_list_is_kept_for_some_seconds(start: Start, sandbox: RunningSandbox) -> None:
    clock = MovedClock()
    with start(clock, limits={"list_seconds": 10}) as broker:
        first = broker.ask("GET", "/v1/devices", sandbox.token("ada")).json()
        asked = len(sandbox.requests("/beta/"))
        assert asked > 1
        for _ in range(3):
            assert broker.ask("GET", "/v1/devices", sandbox.token("ada")).json() == first
        assert len(sandbox.requests("/beta/")) == asked
        ids = {row["client_request_id"] for row in broker.rows("devices.listed")}
        assert len(ids) == 1
        assert ids <= {one["client_request_id"] for one in sandbox.requests("/beta/")}
        # Everybody has their own.
        assert broker.ask("GET", "/v1/devices", sandbox.token("jonas")).json() != first
        # A release reads the device itself.
        sandbox.clear_requests()
        assert broker.release(sandbox.token("ada"), sandbox.device(MAC).id).code == ""
        assert len(sandbox.requests("/beta/")) == 3
        clock.ahead += timedelta(seconds=11)
        broker.ask("GET", "/v1/devices", sandbox.token("ada"))
        assert len(sandbox.requests("/beta/")) == 3 + asked


def test_who_asks_at_once_shares_a_list_and_a_failed_one_is_not_kept(start: Start, sandbox: RunningSandbox) -> None:
    with start(limits={"list_seconds": 10}) as broker, ThreadPoolExecutor(8) as pool:
        tokens = [sandbox.token("ada") for _ in range(8)]
        sandbox.fault("/beta/deviceManagement/managedDevices", "status", status=403, times=1)
        assert problem_code(broker.ask("GET", "/v1/devices", tokens[0])) == "graph_no_permission"
        row = broker.rows("devices.listed")[-1]
        assert row["client_request_id"] == sandbox.requests("/beta/")[-1]["client_request_id"]
        sandbox.clear_requests()
        sandbox.fault("/beta/deviceManagement/managedDevices", "delay", seconds=0.3)
        lists = list(pool.map(lambda token: broker.ask("GET", "/v1/devices", token).json(), tokens))
        assert all(one == lists[0] and one["devices"] for one in lists)
        collections = [one for one in sandbox.requests() if one["path"] == "/beta/deviceManagement/managedDevices"]
        assert len(collections) == 1


def test_whoever_is_no_longer_let_in_gets_no_kept_list(start: Start, sandbox: RunningSandbox) -> None:
    with start(rules={"self_service": "role"}, limits={"list_seconds": 60}) as broker:
        assert broker.ask("GET", "/v1/devices", sandbox.token("ada", roles=["SelfService"])).is_success
        assert problem_code(broker.ask("GET", "/v1/devices", sandbox.token("ada"))) == "self_service_not_yours"
