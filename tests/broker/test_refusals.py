"""Every request that must be refused gets its own code and an entry on the record; Graph is never asked for a key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kiosk.broker.record.schema import KEY_FETCHED
from kiosk.broker.tokens.signing_keys import PAUSE_SECONDS
from kiosk.secret import VisitKeys
from tests.broker.conftest import Start
from tests.support.broker import MovedClock, RunningBroker, problem_code
from tests.support.sandbox import RunningSandbox
from tests.support.tokens import joined

FOREIGN_TENANT = "99999999-2222-3333-4444-555555555555"


def ago(seconds: float) -> int:
    return int(datetime.now(UTC).timestamp() - seconds)


def unverified(claims: bytes) -> str:
    return joined(b'{"alg":"RS256","kid":"unknown"}', claims, b"signature")


def bad_token(sandbox: RunningSandbox, what: str) -> str:
    foreign = f"{sandbox.url}/{FOREIGN_TENANT}/v2.0"
    match what:
        case "another tenant":
            return sandbox.token("ada", tid=FOREIGN_TENANT, iss=foreign)
        case "another tenant with its own key":
            return sandbox.token("ada", signed="foreign", headers={"kid": "theirs"}, tid=FOREIGN_TENANT, iss=foreign)
        case "expired":
            return sandbox.token("ada", iat=ago(9000), nbf=ago(9000), exp=ago(5400), auth_time=ago(9000))
        case "another audience":
            return sandbox.token("ada", aud="00000003-0000-0000-c000-000000000000")
        case "another application":
            return sandbox.token("ada", azp="99999999-2222-3333-4444-555555555555")
        case "unsigned":
            return sandbox.token("ada", signed="none")
        case "signed with our public key":
            return sandbox.token("ada", signed="HS256")
        case "signed by somebody else":
            return sandbox.token("ada", signed="foreign")
        case "not yet valid":
            return sandbox.token("ada", nbf=ago(-600), exp=ago(-4000))
        case "signed in long ago":
            return sandbox.token("ada", auth_time=ago(901))
        case "another scope":
            return sandbox.token("ada", scp="User.Read")
        case "an application":
            return sandbox.token("ada", scp=None, idtyp="app", roles=["Session.Open"])
        case "the broker's own token for Graph":
            return sandbox.token(None)
        case "a guest":
            return sandbox.token("ada", idp=f"https://sts.windows.net/{FOREIGN_TENANT}/")
        case "another issuer":
            return sandbox.token("ada", iss=foreign)
        case "version 1":
            return sandbox.token("ada", ver="1.0")
        case "nobody":
            return sandbox.token("ada", oid=None)
        case "claims that are not UTF-8":
            return unverified(b'{"tid":"\xff"}')
        case "claims without end":
            return unverified(b'{"x":' + b"[" * 9_000)
    return what


@pytest.mark.parametrize("what", ["closed", "lost"])
def test_what_is_nested_without_end(broker: RunningBroker, sandbox: RunningSandbox, what: str) -> None:
    token = sandbox.token("ada") if what == "closed" else None
    body = b'{"how":"crashed","x":' + b"[" * 60_000
    headers = {"content-type": "application/json"}
    response = broker.ask("POST", f"/v1/releases/x/{what}", token, content=body, headers=headers)
    assert (response.status_code, problem_code(response)) == (400, "request_invalid")


def test_a_bad_token_is_written_down_whatever_else_is_wrong(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    token = bad_token(sandbox, "signed by somebody else")
    response = broker.ask("GET", "/v1/session", token, headers={"dpop": "x"})
    assert (response.status_code, problem_code(response)) == (401, "token_signature")
    assert [(row["event"], row["outcome"]) for row in broker.rows()] == [("token.refused", "token_signature")]


@pytest.mark.parametrize(
    ("what", "code", "proven"),
    [
        ("another tenant", "token_tenant", True),
        ("another tenant with its own key", "token_tenant", False),
        ("expired", "token_expired", True),
        ("another audience", "token_audience", True),
        ("another application", "token_client", True),
        ("unsigned", "token_unsigned", False),
        ("signed with our public key", "token_signature", False),
        ("signed by somebody else", "token_signature", False),
        ("not yet valid", "token_not_yet_valid", True),
        ("signed in long ago", "token_stale", True),
        ("another scope", "token_scope", True),
        ("an application", "token_scope", True),
        ("the broker's own token for Graph", "token_issuer", True),
        ("a guest", "token_tenant", True),
        ("another issuer", "token_issuer", True),
        ("version 1", "token_invalid", True),
        ("nobody", "token_invalid", True),
        ("claims that are not UTF-8", "token_tenant", False),
        ("claims without end", "token_tenant", False),
        ("garbage", "token_invalid", False),
        ("", "token_missing", False),
    ],
)
def test_refused_tokens(start: Start, sandbox: RunningSandbox, what: str, code: str, proven: bool) -> None:
    """Each case uses its own broker, because the throttle would combine so many refusals in one minute."""
    token = bad_token(sandbox, what)
    mac = sandbox.device("NW-AKESSLER-14")
    with start() as broker:
        answers = [
            broker.ask("GET", "/v1/session", token),
            broker.ask("GET", "/v1/devices", token),
            broker.release(token, mac.id).response,
        ]
    assert [(answer.status_code, problem_code(answer)) for answer in answers] == [(401, code)] * 3
    assert all(answer.headers["www-authenticate"] == "Bearer" for answer in answers)
    rows = broker.rows("token.refused")
    assert [row["outcome"] for row in rows] == [code] * 3
    assert broker.rows("release") == broker.rows("session") == []
    assert [row["reference"] for row in rows] == [answer.json()["reference"] for answer in answers]
    assert rows[2]["terminal"] == "tty1"
    assert all(bool(row["uti"]) == proven for row in rows)
    if what in {"expired", "another audience"}:
        assert rows[0]["oid"] == sandbox.person("ada").oid
    assert not sandbox.requests("/beta/")


DEVICES = [
    ("ada", "NW-JBRANDT-AIR", {}, "device_not_yours"),
    ("ada", "NW-WIPED-01", {}, "device_not_yours"),
    ("ada", "Emil's MacBook", {}, "device_not_yours"),
    ("ada", "NW-GOWUSU-WIN", {}, "device_not_yours"),
    ("ada", "NW-HANDOVER", {}, "device_not_yours"),
    ("luc", "NW-HANDOVER", {}, "device_not_yours"),
    ("luc", "NW-POOL-07", {}, "device_shared"),
    ("ada", "NW-FRONTDESK", {}, "device_shared"),
    ("grace", "NW-GOWUSU-WIN", {}, "device_not_mac"),
    ("grace", "Grace's iPhone", {}, "device_not_mac"),
    ("emil", "NW-ENOVAK-JAMF", {}, "device_jamf"),
    ("emil", "NW-ENOVAK-CM", {}, "device_configuration_manager"),
    ("emil", "Emil's MacBook", {}, "device_personal"),
    ("emil", "NW-ENOVAK-AD", {}, "device_owner_unknown"),
    ("luc", "NW-WIPED-01", {}, "device_wiping"),
    ("luc", "NW-RETIRED-01", {}, "device_retiring"),
    ("luc", "NW-RETIRED-02", {}, "device_retiring"),
    ("luc", "NW-DELETED-01", {}, "device_deleting"),
    ("ada", "NW-AKESSLER-MINI", {"state": "somethingNew"}, "device_not_managed"),
    ("ada", "NW-AKESSLER-MINI", {"state": "managed", "agent": "unknown"}, "device_not_managed"),
    ("ada", "NW-AKESSLER-MINI", {"agent": "mdm", "user": "jonas.brandt@nordwind.example"}, "device_not_yours"),
    ("ada", "NW-AKESSLER-MINI", {"user": "ada.kessler@nordwind.example"}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("person", "name", "changes", "code"), DEVICES)
def test_refused_devices(
    broker: RunningBroker, sandbox: RunningSandbox, person: str, name: str, changes: dict[str, Any], code: str
) -> None:
    device = sandbox.device(name)
    if changes:
        sandbox.change(device, **changes)
    answer = broker.release(sandbox.token(person), device.id)
    assert answer.code == code
    if not code:
        return
    assert answer.response.status_code == 403
    (row,) = broker.rows()
    assert (row["event"], row["outcome"]) == ("release.refused", code)
    assert (row["device_id"], row["serial"]) == (device.id, device.serial)
    assert (row["oid"], row["reference"]) == (sandbox.person(person).oid, answer.response.json()["reference"])
    assert row["client_request_id"] == sandbox.requests("/managedDevices")[-1]["client_request_id"]
    assert not sandbox.requests("getFileVaultKey")


def test_of_a_foreign_device_the_person_learns_nothing(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    token = sandbox.token("ada")
    answers = [broker.release(token, sandbox.device(name).id).response.json() for _, name, *_ in DEVICES[:4]]
    for answer in answers:
        for name in ("reference", "client_request_id", "request_id"):
            del answer[name]
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize(
    "device_id",
    [
        "12345678-9abc-def0-1234-56789abcdef0",
        "x",
        "%27%20or%20userId%20ne%20%27",
        "..%2F..%2Fusers",
        "00000000-0000-0000-0000-000000000000%3F$select=id",
        "a" * 300,
        "%1b%5b2J",
    ],
)
def test_unknown_devices(broker: RunningBroker, sandbox: RunningSandbox, device_id: str) -> None:
    answer = broker.release(sandbox.token("ada"), device_id)
    assert answer.code in {"device_not_found", "route_unknown"}
    assert answer.response.status_code == 404
    asked = [request["path"] for request in sandbox.requests("/beta/")]
    assert asked == ([f"/beta/deviceManagement/managedDevices/{device_id}"] if len(device_id) == 36 else [])
    if answer.code == "device_not_found":
        (row,) = broker.rows("release.refused")
        assert row["outcome"] == "device_not_found"
        assert len(row["device_id"]) <= 36
        assert "\x1b" not in row["device_id"]


def test_an_odd_key_is_released_as_it_is(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    device = sandbox.device("NW-SMARINO-ODD")
    answer = broker.release(sandbox.token("sofia"), device.id)
    assert answer.key(sandbox.tenant, sandbox.person("sofia").oid) == b"<not a recovery key>"
    sandbox.change(device, stored="two\nlines")
    assert broker.release(sandbox.token("sofia"), device.id).code == "key_unreadable"
    sandbox.change(device, stored="x" * 65)
    assert broker.release(sandbox.token("sofia"), device.id).code == "key_unreadable"


def test_a_public_key_that_nothing_can_be_sealed_to(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    keys = VisitKeys()
    keys.public_key = keys.public_key[:-32] + bytes(32)
    answer = broker.release(sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id, keys=keys)
    assert (answer.code, answer.response.status_code) == ("request_invalid", 400)
    assert not sandbox.requests("/beta/")
    assert not broker.rows("release.intended")


def test_a_key_that_was_fetched_counts_even_if_it_was_refused(start: Start, sandbox: RunningSandbox) -> None:
    mac, token = sandbox.device("NW-SMARINO-ODD"), sandbox.token("sofia")
    sandbox.change(mac, stored="two\nlines")
    with start(rules={"per_person": ("2/hour",), "per_device": ()}) as broker:
        # Where there is no key, none was fetched.
        nothing = sandbox.device("NW-SMARINO-NULL").id
        codes = [broker.release(token, device).code for device in (nothing, mac.id, nothing, mac.id, mac.id)]
        assert codes == ["key_with_person", "key_unreadable", "key_with_person", "key_unreadable", "limit_person"]
        details = [row["detail"] for row in broker.rows("release.refused")]
        assert details == ["", KEY_FETCHED, "", KEY_FETCHED, ""]
    assert len([one for one in sandbox.requests("getFileVaultKey") if mac.id in one["path"]]) == 2


def test_the_id_of_a_device_may_be_written_in_capitals(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    mac = sandbox.device("NW-AKESSLER-14")
    answer = broker.release(sandbox.token("ada"), mac.id.upper())
    assert answer.key(sandbox.tenant, sandbox.person("ada").oid).decode() == mac.key
    assert {row["device_id"] for row in broker.rows()} == {mac.id}


def test_personal_macs_where_the_organisation_allows_them(start: Start, sandbox: RunningSandbox) -> None:
    with start(rules={"company_owned_only": False}) as broker:
        token = sandbox.token("emil")
        # Our rule allows it, Microsoft's does not.
        assert broker.release(token, sandbox.device("Emil's MacBook").id).code == "device_personal"
        assert broker.release(token, sandbox.device("NW-ENOVAK-AD").id).code == ""


def test_a_reason_is_required(start: Start, sandbox: RunningSandbox) -> None:
    with start(rules={"reason": "required"}) as broker:
        mac, token = sandbox.device("NW-AKESSLER-14"), sandbox.token("ada")
        assert broker.ask("GET", "/v1/session", token).json()["reason"] == "required"
        for reason in (None, "", "  ", ".", "xx"):
            answer = broker.release(token, mac.id, reason)
            assert (answer.code, answer.response.status_code) == ("reason_required", 422)
        assert not sandbox.requests("/beta/")
        assert broker.release(token, mac.id, "INC-4711 locked\nout").code == ""
        outcomes = [(row["event"], row["outcome"], row["reason"]) for row in broker.rows("release")]
        assert outcomes == [
            *[("release.refused", "reason_required", "")] * 5,
            ("release.intended", "ok", "INC-4711 locked out"),
            ("release.done", "ok", "INC-4711 locked out"),
        ]


def test_rotated_signing_keys_are_found(start: Start, sandbox: RunningSandbox) -> None:
    clock = MovedClock()
    with start(clock) as broker:

        def outcome(token: str) -> str:
            response = broker.ask("GET", "/v1/session", token)
            return problem_code(response) if response.is_error else ""

        old = sandbox.token("ada")
        assert outcome(old) == ""
        sandbox.rotate_keys(keep_old=False)
        # Keys were just fetched, and no request can cause another fetch so soon.
        assert outcome(sandbox.token("ada")) == "token_signature"
        clock.ahead = timedelta(seconds=PAUSE_SECONDS)
        assert outcome(sandbox.token("ada")) == ""
        assert outcome(old) == "token_signature"
        assert len(sandbox.requests("/discovery/v2.0/keys")) == 2
