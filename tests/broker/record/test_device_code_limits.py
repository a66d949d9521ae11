"""A device code can be passed on, so a kiosk has limits on how many are used there, and by how many people."""

from __future__ import annotations

from datetime import timedelta

import httpx

from kiosk.broker.record.schema import OK
from tests.broker.conftest import Start
from tests.support.broker import MovedClock, RunningBroker, problem_code
from tests.support.sandbox import RunningSandbox

DEVICE_CODE = {"method": "device_code"}


def sign_in(broker: RunningBroker, sandbox: RunningSandbox, person: str, kiosk: str = "desk-7 tty1") -> httpx.Response:
    now = int(broker.clock.utc().timestamp())
    token = sandbox.token(person, iat=now, nbf=now, auth_time=now, exp=now + 3600)
    return broker.ask("GET", "/v1/session", token, headers={"x-kiosk-terminal": kiosk})


def codes(*answers: httpx.Response) -> list[str]:
    return ["" if answer.is_success else problem_code(answer) for answer in answers]


def test_passed_on_codes_read_the_keys_of_a_few_people_only(start: Start, sandbox: RunningSandbox) -> None:
    clock = MovedClock()
    with start(clock, sign_in=DEVICE_CODE, limits={"people_per_hour": 2}) as broker:
        victims = [sign_in(broker, sandbox, person) for person in ("ada", "jonas", "priya")]
        assert codes(*victims) == ["", "", "sign_in_limit"]
        assert victims[-1].status_code == 429
        assert 3590 <= int(victims[-1].headers["retry-after"]) <= 3600
        # Somebody who was there already may come again, and so may everybody at another kiosk.
        assert codes(sign_in(broker, sandbox, "ada", "desk-7 tty2")) == [""]
        assert codes(sign_in(broker, sandbox, "priya", "desk-8 tty1")) == [""]
        (refused,) = [row for row in broker.rows("session.opened") if row["outcome"] != OK]
        assert (refused["outcome"], refused["terminal"]) == ("sign_in_limit", "desk-7 tty1")
        assert refused["address"].startswith("priya")
        clock.ahead = timedelta(minutes=61)
        assert codes(sign_in(broker, sandbox, "priya")) == [""]


def test_sign_ins_by_device_code_are_counted_for_each_kiosk(start: Start, sandbox: RunningSandbox) -> None:
    token = sandbox.token("ada")
    with start(sign_in=DEVICE_CODE, limits={"sign_ins_per_hour": 2}) as broker:
        place = {"x-kiosk-terminal": "desk-7 tty1"}
        # An answer that was lost is asked for again: that is the same sign-in.
        assert codes(*(broker.ask("GET", "/v1/session", token, headers=place) for _ in range(3))) == [""] * 3
        more = [sign_in(broker, sandbox, "ada") for _ in range(2)]
        assert codes(*more) == ["", "sign_in_limit"]
        assert [row["terminal"] for row in broker.rows("session.opened")] == ["desk-7 tty1"] * 5


def test_no_limit_is_lifted_by_a_restart(start: Start, sandbox: RunningSandbox) -> None:
    limited = {"sign_ins_per_hour": 1}
    with start(sign_in=DEVICE_CODE, limits=limited) as broker:
        assert codes(sign_in(broker, sandbox, "ada")) == [""]
    with start(sign_in=DEVICE_CODE, limits=limited) as broker:
        assert codes(sign_in(broker, sandbox, "ada")) == ["sign_in_limit"]
