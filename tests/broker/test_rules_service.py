"""The rules over HTTP: who is admitted, one token per visit, limits per kiosk and overall, patterns for reasons."""

from __future__ import annotations

import base64
import json
import time
from typing import Any, TypeAlias

import pytest

from kiosk.secret import VisitKeys
from tests.broker.conftest import Start
from tests.support.broker import RunningBroker, problem_code, visit_of
from tests.support.sandbox import RunningSandbox

MAC = "NW-AKESSLER-14"
OFF = {"per_person": (), "per_device": ()}


def session(broker: RunningBroker, token: str, keys: VisitKeys | None = None) -> str:
    response = broker.ask("GET", "/v1/session", token, keys=keys)
    return problem_code(response) if response.is_error else ""


@pytest.mark.parametrize(
    ("rules", "roles", "code"),
    [
        ({"self_service": "nobody"}, ["SelfService", "Technician"], "self_service_off"),
        ({"self_service": "role"}, ["Technician"], "self_service_not_yours"),
        ({"self_service": "role"}, ["SelfService"], ""),
        ({"blocked_people": "ada"}, ["SelfService"], "person_blocked"),
    ],
)
def test_who_may(start: Start, sandbox: RunningSandbox, rules: dict[str, Any], roles: list[str], code: str) -> None:
    if "blocked_people" in rules:
        rules = {"blocked_people": (sandbox.person("ada").oid.upper(),)}
    with start(rules=OFF | rules) as broker:
        token = sandbox.token("ada", roles=roles)
        answer = broker.release(token, sandbox.device(MAC).id)
        assert [answer.code, session(broker, token)] == [code, code]
        listed = broker.ask("GET", "/v1/devices", token)
        assert (problem_code(listed) if listed.is_error else "") == code
        rows = [row for row in broker.rows() if row["outcome"] == code]
        if code:
            assert answer.response.status_code == 403
            assert not sandbox.requests("/beta/")
            assert [row["event"] for row in rows] == ["release.refused", "session.opened", "devices.listed"]
            assert all(row["oid"] == sandbox.person("ada").oid and row["reference"] for row in rows)


def test_blocked_devices(start: Start, sandbox: RunningSandbox) -> None:
    blocked, other = sandbox.device(MAC), sandbox.device("NW-AKESSLER-MINI")
    with start(rules=OFF | {"blocked_devices": (blocked.serial.lower(),)}) as broker:
        token = sandbox.token("ada")
        assert [broker.release(token, mac.id).code for mac in (blocked, other)] == ["device_blocked", ""]
        listed = broker.ask("GET", "/v1/devices", token).json()["devices"]
        assert {one["name"]: one["refusal"] for one in listed}[MAC] == "device_blocked"
        # Anybody else learns only that the device is not theirs.
        assert broker.release(sandbox.token("jonas"), blocked.id).code == "device_not_yours"


def test_a_kiosk_and_all_together_have_limits(start: Start, sandbox: RunningSandbox) -> None:
    mac, token = sandbox.device(MAC).id, sandbox.token("ada")
    with start(rules=OFF | {"per_kiosk": ("1/day",), "overall": ("3/day",)}) as broker:
        answers = [broker.release(token, mac, kiosk=kiosk) for kiosk in ("a", "a", "b", "", "", "c")]
        codes = ["", "limit_kiosk", "", "", "limit_kiosk", "limit_overall"]
        assert [answer.code for answer in answers] == codes
        for answer in answers:
            if answer.code:
                assert answer.response.status_code == 429
                assert 86_000 < int(answer.response.headers["retry-after"]) <= 86_400
        assert [row["outcome"] for row in broker.rows("release.refused")] == [code for code in codes if code]


def test_a_token_serves_one_visit(start: Start, sandbox: RunningSandbox) -> None:
    mac, token, owner, thief = sandbox.device(MAC).id, sandbox.token("ada"), VisitKeys(), VisitKeys()
    with start(rules=OFF) as broker:
        assert session(broker, token, owner) == ""
        assert session(broker, token, thief) == "token_bound"
        assert problem_code(broker.ask("GET", "/v1/devices", token, keys=thief)) == "token_bound"
        sandbox.clear_requests()
        answer = broker.release(token, mac, keys=thief)
        assert (answer.code, answer.response.status_code) == ("token_bound", 401)
        assert not sandbox.requests("/beta/")
        assert broker.release(token, mac, keys=owner).code == ""
    # The binding survives a restart; another sign-in of the same person has its own.
    with start(rules=OFF) as broker:
        assert broker.release(token, mac, keys=thief).code == "token_bound"
        assert broker.release(sandbox.token("ada"), mac, keys=thief).code == ""
        assert broker.release(token, mac, keys=owner).code == ""
        refused = [row["event"] for row in broker.rows() if row["outcome"] == "token_bound"]
        assert refused == ["token.refused", "devices.listed", "release.refused", "release.refused"]
        fingerprints = {row["visit_key"] for row in broker.rows("release.done")}
        assert fingerprints == {visit_of(token, keys) for keys in (owner, thief)}


Asked: TypeAlias = tuple[str, str, Any]


def requests(mac: str, release_id: str, keys: VisitKeys) -> list[Asked]:
    """Return every request that needs a token, as method, path and JSON."""
    closed, checked = {"how": "not_shown"}, {"how": "right", "groups_right": 6}
    body = base64.b64encode(keys.public_key).decode()
    return [
        ("GET", "/v1/session", None),
        ("GET", "/v1/devices", None),
        ("POST", f"/v1/devices/{mac}/release", {"public_key": body}),
        ("POST", f"/v1/releases/{release_id}/closed", closed),
        ("POST", f"/v1/releases/{release_id}/checked", checked),
        ("DELETE", "/v1/session", None),
    ]


def requests_of(broker: RunningBroker, token: str, mac: str, release_id: str, keys: VisitKeys) -> list[str]:
    """Return the answers to every request that needs a token."""
    asked = requests(mac, release_id, keys)
    answers = [broker.ask(method, path, token, json=sent, keys=keys) for method, path, sent in asked]
    return [problem_code(answer) if answer.is_error else "" for answer in answers]


def test_without_the_keys_of_its_visit_a_token_is_good_for_nothing(start: Start, sandbox: RunningSandbox) -> None:
    mac, token, owner, thief = sandbox.device(MAC).id, sandbox.token("ada"), VisitKeys(), VisitKeys()
    with start(rules=OFF) as broker:
        released = broker.release(token, mac, keys=owner).response.json()["release_id"]
        broker.forget_rows()
        sandbox.clear_requests()
        assert requests_of(broker, token, mac, released, thief) == ["token_bound"] * 6
        assert not sandbox.requests("/beta/")
        assert {row["outcome"] for row in broker.rows()} == {"token_bound"}
        assert not broker.rows("release.closed")
        # Another sign-in of the same person is another visit. It knows nothing of this one's releases.
        other = sandbox.token("ada")
        assert requests_of(broker, other, mac, released, thief)[3:5] == ["release_unknown"] * 2
        assert requests_of(broker, token, mac, released, owner) == [""] * 6
        assert [row["outcome"] for row in broker.rows("release.closed")] == ["not_shown"]


def test_a_token_whose_visit_has_ended_is_good_for_nothing(start: Start, sandbox: RunningSandbox) -> None:
    mac, token, owner = sandbox.device(MAC).id, sandbox.token("ada"), VisitKeys()
    with start(rules=OFF) as broker:
        released = broker.release(token, mac, keys=owner).response.json()["release_id"]
        assert broker.ask("DELETE", "/v1/session", token, keys=owner).status_code == 204
        broker.forget_rows()
        sandbox.clear_requests()
        assert requests_of(broker, token, mac, released, owner) == ["token_bound"] * 6
        assert {row["outcome"] for row in broker.rows()} == {"token_bound"}
        # The person may sign in again, at once.
        assert session(broker, sandbox.token("ada"), owner) == ""
    # It is on the record, so it outlives a restart.
    with start(rules=OFF) as broker:
        assert requests_of(broker, token, mac, released, owner) == ["token_bound"] * 6
    assert not sandbox.requests("/beta/")


def test_an_old_sign_in_can_still_be_ended(start: Start, sandbox: RunningSandbox) -> None:
    token = sandbox.token("ada", auth_time=int(time.time()) - 2000)
    with start() as broker:
        assert session(broker, token) == "token_stale"
        assert broker.ask("DELETE", "/v1/session", token).status_code == 204
        assert [row["visit_key"] for row in broker.rows("session.ended")] == [visit_of(token)]


def test_the_first_release_binds_too_and_without_an_id_the_time_of_issue_tells_tokens_apart(
    start: Start, sandbox: RunningSandbox
) -> None:
    mac, token = sandbox.device(MAC).id, sandbox.token("ada", uti=None)
    with start(rules=OFF) as broker:
        assert broker.release(token, mac, keys=VisitKeys()).code == ""
        assert broker.release(token, mac, keys=VisitKeys()).code == "token_bound"
        assert broker.rows("release.done")[0]["uti"].startswith("iat:")


def test_a_reason_of_the_asked_for_form(start: Start, sandbox: RunningSandbox) -> None:
    asked = {
        "reason": "required",
        "reason_prompt": "Your ticket,\nsuch as INC4711",
        "reason_pattern": r"INC\d{4,8}( .*)?",
    }
    with start(rules=OFF | asked) as broker:
        mac, token = sandbox.device(MAC).id, sandbox.token("ada")
        told = broker.ask("GET", "/v1/session", token).json()
        assert (told["reason"], told["reason_prompt"]) == ("required", "Your ticket, such as INC4711")
        for reason, code in [(".", "reason_required"), ("because", "reason_unfit"), ("INC4711 locked out", "")]:
            answer = broker.release(token, mac, reason)
            assert answer.code == code
            assert answer.response.status_code == (422 if code else 200)
            assert "because" not in answer.response.text
        assert json.dumps([row["reason"] for row in broker.rows("release")]) == json.dumps(
            ["", "", "INC4711 locked out", "INC4711 locked out"]
        )
