"""Whole sign-ins on the phone over HTTP, between a kiosk, a sign-in page and a real broker, and their rows."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text

from kiosk.broker.record.refusal_throttle import AT_ONE_KIOSK
from kiosk.broker.sign_ins.service import PAGE_SECONDS
from kiosk.broker.sign_ins.sign_in import KEPT_SECONDS, SECONDS
from kiosk.models import PROOF_HEADER
from kiosk.proof import Prover
from kiosk.secret import VisitKeys
from kiosk.sign_in_messages import Confirm, EndedAt, Stage
from tests.broker.conftest import Start
from tests.broker.sign_ins.conftest import Meet, Parties
from tests.support.broker import problem_code, wait_for
from tests.support.clock import ManualClock
from tests.support.sandbox import RunningSandbox
from tests.support.sign_ins import AtTheKiosk, Entra


def test_the_right_digits_bring_a_token_that_serves_this_visit(
    parties: Parties, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    broker, kiosk, page, ada = parties.broker, parties.kiosk, parties.page, sandbox.person("ada")
    begun = kiosk.begin()
    assert begun.view.stage is Stage.WAITING
    assert begun.view.scan.startswith("HTTPS://GO.EXAMPLE/")
    opened = page.open(begun.view.typed)
    assert (opened.language, opened.place, opened.terminal) == ("de", "Building 7", "desk7 tty1")
    assert begun.words in opened.choices
    assert kiosk.view().stage is Stage.OPENED
    assert page.choose(begun.words).stage is Stage.SIGNING_IN
    id_token, access_token = parties.entra.id_token("ada", page.nonce), parties.entra.access_token("ada")
    shown = page.hand_over(id_token, access_token)
    assert (shown.stage, shown.name, shown.address) == (Stage.CONFIRMING, ada.name, ada.address)
    assert (kiosk.view().stage, kiosk.view().name) == (Stage.CONFIRMING, ada.name)
    # A page that is loaded again shows the same.
    assert page.view().digits == shown.digits
    token = kiosk.token(kiosk.confirm(shown.digits))
    assert token == access_token
    assert (page.view().stage, page.view().digits, kiosk.view().stage) == (Stage.CONFIRMED, "", Stage.CONFIRMED)
    assert broker.ask("GET", "/v1/session", token, keys=kiosk.keys).status_code == 200
    assert not broker.release(token, sandbox.device("NW-AKESSLER-14").id, keys=kiosk.keys).code
    rows = broker.rows()
    assert [row["event"] for row in rows][-4:] == [
        "sign_in.confirmed", "session.opened", "release.intended", "release.done",
    ]  # fmt: skip
    confirmed = rows[-4]
    assert {row["visit_key"] for row in rows[-4:]} == {Prover(kiosk.keys, kiosk.clock).visit}
    assert {row["uti"] for row in rows[-4:]} == {confirmed["uti"]}
    assert (confirmed["oid"], confirmed["address"], confirmed["terminal"]) == (ada.oid, ada.address, "desk7 tty1")
    detail = dict(pair.split("=") for pair in confirmed["detail"].split())
    assert int(detail.pop("seconds")) < 60
    assert detail.pop("page").startswith("user_")
    assert detail == {"method": "web", "phone": "192.0.2.7", "place": "Building_7", "acrs": "c7", "amr": "pwd,mfa"}
    # No secret is in the log or on the record.
    said = caplog.text + repr(rows)
    secrets = (
        id_token,
        access_token,
        shown.digits,
        shown.phone,
        begun.view.typed[-9:],
        begun.view.scan[-8:],
        page.nonce,
    )
    assert not [secret for secret in secrets if secret in said]


def test_an_answer_that_was_lost_can_be_asked_for_again(parties: Parties) -> None:
    shown = parties.until_digits()
    first, second = parties.kiosk.confirm(shown.digits), parties.kiosk.confirm(shown.digits)
    assert parties.kiosk.token(first) == parties.kiosk.token(second)
    assert parties.rows() == [("sign_in.confirmed", "ok")]


def test_wrong_digits_twice_and_then_the_right_ones(parties: Parties) -> None:
    shown = parties.until_digits()
    wrong = f"{(int(shown.digits) + 1) % 10**6:06}"
    answers = [parties.kiosk.confirm(wrong) for _ in range(2)]
    assert [(answer.status_code, problem_code(answer)) for answer in answers] == [(422, "digits_wrong")] * 2
    assert parties.kiosk.confirm(f"{shown.digits[:3]} {shown.digits[3:]}").status_code == 200
    assert parties.rows() == [("sign_in.refused", "digits_wrong")] * 2 + [("sign_in.confirmed", "ok")]


ENDS: list[tuple[dict[str, Any], str]] = [
    ({"how": EndedAt.NOT_ME}, "phone_not_me"),
    ({"how": EndedAt.CANCELLED, "code": "phone_not_me"}, "phone_cancelled"),
    ({"how": EndedAt.REFUSED, "code": "sign_in_declined", "support": "AADSTS50105"}, "sign_in_declined"),
    ({"how": EndedAt.FAILED}, "phone_sign_in_failed"),
    # Only errors of a sign-in, whatever the page says.
    ({"how": EndedAt.FAILED, "code": "token_bound"}, "phone_sign_in_failed"),
    # Of those on the phone, only what the page itself can know.
    ({"how": EndedAt.FAILED, "code": "phone_nonce_wrong"}, "phone_nonce_wrong"),
    ({"how": EndedAt.FAILED, "code": "digits_refused"}, "phone_sign_in_failed"),
    ({"how": EndedAt.FAILED, "code": "kiosk_cancelled"}, "phone_sign_in_failed"),
    ({"how": EndedAt.FAILED, "code": "phone_tokens_refused"}, "phone_sign_in_failed"),
    ({"how": EndedAt.FAILED, "code": "\x1b[2J"}, "phone_sign_in_failed"),
]


def test_the_phone_ends_it_and_both_sides_say_why(parties: Parties) -> None:
    for how, code in ENDS:
        parties.broker.forget_rows()
        parties.until_digits()
        ended = parties.page.end(**how)
        assert (ended.stage, ended.code, ended.digits) == (Stage.ENDED, code, "")
        seen = parties.kiosk.view()
        assert (seen.stage, seen.code, seen.reference, seen.name) == (Stage.ENDED, code, ended.reference, "")
        assert seen.support == how.get("support", "")
        [row] = parties.broker.rows("sign_in")
        assert (row["event"], row["outcome"], row["reference"]) == ("sign_in.refused", code, ended.reference)
        # It names the person, and binds no token.
        assert (row["address"], row["uti"]) == (ended.address or row["address"], "")
        assert row["detail"].startswith("stage=confirming page=user_")
        assert " place=Building_7" in row["detail"]
        assert " said_by=page" in row["detail"]


def test_the_kiosk_ends_it_and_the_phone_says_why(parties: Parties) -> None:
    shown = parties.until_digits()
    assert parties.kiosk.cancel().status_code == 204
    assert (parties.page.view().stage, parties.page.view().code) == (Stage.ENDED, "kiosk_cancelled")
    assert problem_code(parties.kiosk.confirm(shown.digits)) == "kiosk_cancelled"
    assert parties.kiosk.cancel().status_code == 204
    assert parties.rows() == [("sign_in.refused", "kiosk_cancelled")]


def test_a_new_sign_in_at_a_terminal_ends_the_one_before(parties: Parties) -> None:
    parties.until_signing_in()
    neighbour = parties.other_kiosk("desk7 tty2")
    neighbour.begin()
    again = parties.other_kiosk("desk7 tty1")
    again.begin()
    assert parties.page.view().code == "kiosk_cancelled"
    assert parties.kiosk.view().code == "kiosk_cancelled"
    assert neighbour.view().stage is again.view().stage is Stage.WAITING


def test_the_other_words_and_none_of_them_end_it(parties: Parties) -> None:
    for choose, code in ((1, "phone_words_wrong"), (0, "phone_not_here")):
        begun = parties.kiosk.begin()
        opened = parties.page.open(begun.view.scan)
        others = [pair for pair in opened.choices if pair != begun.words]
        ended = parties.page.choose(others[0] if choose else None)
        assert (ended.stage, ended.code) == (Stage.ENDED, code)
        assert parties.kiosk.view().code == code
        assert parties.hand_over().code == code
    assert parties.rows() == [("sign_in.refused", "phone_words_wrong"), ("sign_in.refused", "phone_not_here")]


def test_each_stage_ends_by_itself_without_anybody_who_asks(meet: Meet) -> None:
    clock = ManualClock()
    with meet(clock) as parties:
        until: dict[Stage, Callable[[], object]] = {
            Stage.WAITING: parties.kiosk.begin,
            Stage.OPENED: lambda: parties.page.open(parties.kiosk.begin().view.scan),
            Stage.SIGNING_IN: parties.until_signing_in,
            Stage.CONFIRMING: parties.until_digits,
        }
        for number, (stage, walk) in enumerate(until.items()):
            walk()
            parties.page.alive()
            clock.advance(SECONDS[stage])
            expired = [("sign_in.refused", "phone_sign_in_expired")] * (number + 1)
            # The other request only wakes the broker, which does not know that the clock was moved.
            wait_for(lambda: parties.broker.ask("GET", "/healthz") and parties.rows() == expired)  # noqa: B023
            assert parties.kiosk.view().code == "phone_sign_in_expired"
            assert parties.broker.rows("sign_in")[-1]["detail"].startswith(f"stage={stage}")
            parties.page.alive()
        clock.advance(KEPT_SECONDS)
        parties.page.alive()
        wait_for(lambda: parties.kiosk.ask("GET", parties.kiosk.path).status_code == 404)
        assert problem_code(parties.kiosk.ask("GET", parties.kiosk.path)) == "phone_sign_in_unknown"


def test_no_sign_in_begins_while_no_page_reports(meet: Meet) -> None:
    clock = ManualClock()
    with meet(clock) as parties:
        # A broker that has just started waits for the page.
        clock.advance(PAGE_SECONDS - 1)
        parties.kiosk.begin()
        clock.advance(1)
        answer = parties.kiosk.try_to_begin()
        assert (answer.status_code, problem_code(answer)) == (503, "sign_in_page_down")
        assert parties.page.alive().status_code == 204
        parties.kiosk.begin()
        clock.advance(PAGE_SECONDS)
        assert problem_code(parties.kiosk.try_to_begin()) == "sign_in_page_down"


def test_only_so_many_sign_ins_at_each_kiosk(meet: Meet) -> None:
    clock = ManualClock()
    with meet(clock, limits={"sign_ins_per_hour": 3}) as parties:
        for number in range(3):
            parties.other_kiosk(f"desk7 tty{number}").begin()
        answer = parties.kiosk.try_to_begin()
        assert (answer.status_code, problem_code(answer)) == (429, "sign_in_limit")
        assert answer.headers["retry-after"] == "1200"
        parties.other_kiosk("desk8 tty0").begin()
        clock.advance(1200)
        parties.page.alive()
        parties.kiosk.begin()


def test_a_person_who_may_not_use_kiosks_gets_no_digits(meet: Meet, sandbox: RunningSandbox) -> None:
    with meet(rules={"blocked_people": [sandbox.person("ada").oid]}) as parties:
        shown = parties.until_digits()
        assert (shown.stage, shown.code, shown.digits) == (Stage.ENDED, "person_blocked", "")
        assert parties.kiosk.view().code == "person_blocked"
        [row] = parties.broker.rows("sign_in")
        assert (row["outcome"], row["oid"]) == ("person_blocked", sandbox.person("ada").oid)


def test_a_required_context_is_checked(meet: Meet) -> None:
    with meet(sign_in={"context": "c7"}) as parties:
        assert parties.until_digits(acrs=None).code == "phone_no_context"
        assert parties.until_digits(acrs=["c7"]).stage is Stage.CONFIRMING


def test_without_signing_keys_the_page_may_try_again(meet: Meet, sandbox: RunningSandbox) -> None:
    clock = ManualClock()
    sandbox.fault("*/discovery/v2.0/keys", status=503)
    with meet(clock) as parties:
        parties.until_signing_in()
        tokens = parties.entra.id_token("ada", parties.page.nonce), parties.entra.access_token("ada")
        answer = parties.page.try_to_hand_over(*tokens)
        assert (answer.status_code, problem_code(answer)) == (503, "tokens_unavailable")
        sandbox.clear_faults()
        clock.advance(int(answer.headers["retry-after"]))
        assert parties.page.hand_over(*tokens).stage is Stage.CONFIRMING


def test_without_a_record_no_token(parties: Parties) -> None:
    """The row that binds the token to the visit is durable before the answer leaves."""
    shown = parties.until_digits()
    assert parties.broker.record
    engine = parties.broker.record.engine
    with engine.begin() as connection:
        full = "CREATE TRIGGER full BEFORE INSERT ON record BEGIN SELECT RAISE(ABORT, 'full'); END"
        connection.execute(text(full))
    assert problem_code(parties.kiosk.confirm(shown.digits)) == "record_unavailable"
    assert parties.kiosk.view().stage is Stage.CONFIRMING
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER full"))
    assert parties.kiosk.confirm(shown.digits).status_code == 200


def test_not_me_wins_over_digits_whose_row_is_being_written(parties: Parties) -> None:
    shown = parties.until_digits()
    assert parties.broker.record
    begun, free, answers = threading.Event(), threading.Event(), []

    def hang(*_: object) -> None:
        begun.set()
        free.wait(30)

    event.listen(parties.broker.record.engine, "begin", hang)

    def confirm() -> None:
        with parties.other_connection() as kiosk:
            answers.append(kiosk.confirm(shown.digits))

    typing = threading.Thread(target=confirm)
    typing.start()
    begun.wait(30)
    ending = threading.Thread(target=lambda: parties.page.end(EndedAt.NOT_ME))
    ending.start()
    wait_for(lambda: parties.kiosk.view().stage is Stage.ENDED)
    free.set()
    typing.join(30)
    ending.join(30)
    assert problem_code(answers[0]) == "phone_not_me"


def test_a_request_of_a_kiosk_needs_a_proof_of_its_own(parties: Parties, sandbox: RunningSandbox) -> None:
    begun, kiosk = parties.kiosk.begin(), parties.kiosk
    assert problem_code(parties.broker.ask("GET", kiosk.path)) == "token_unproven"
    # With the digest of a token, or for another body or another request.
    for wrong in (("GET", kiosk.path, "token", b""), ("GET", kiosk.path, "", b"{}"), ("GET", "/v1/sign-ins", "", b"")):
        proof = Prover(kiosk.keys, kiosk.clock).proof(*wrong)
        answer = parties.broker.ask("GET", kiosk.path, headers={PROOF_HEADER: proof})
        assert (answer.status_code, problem_code(answer)) == (401, "token_unproven")
    proof = Prover(kiosk.keys, kiosk.clock).proof("GET", kiosk.path, "", b"")
    codes = [parties.broker.ask("GET", kiosk.path, headers={PROOF_HEADER: proof}).status_code for _ in range(2)]
    assert codes == [200, 401]
    # Another visit learns nothing, not even that there is such a sign-in.
    stranger = parties.other_kiosk()
    stranger.begun = begun
    answers = [stranger.ask("GET", kiosk.path), stranger.confirm("123456"), stranger.cancel()]
    assert {problem_code(answer) for answer in answers} == {"phone_sign_in_unknown"}
    # Nor can it have the token sealed to other keys than its own.
    assert problem_code(kiosk.try_to_begin(public_key=VisitKeys().public_key)) == "request_invalid"
    assert problem_code(kiosk.try_to_begin(public_key=b"x")) == "request_invalid"


def test_the_requests_of_a_visit_are_limited(meet: Meet) -> None:
    with meet(ManualClock()) as parties:
        parties.kiosk.begin()
        answers = [parties.kiosk.ask("GET", parties.kiosk.path) for _ in range(31)]
        assert [answer.status_code for answer in answers] == [200] * 30 + [429]


def test_connections_of_a_sign_in_stay_open_and_others_do_not(parties: Parties) -> None:
    assert parties.kiosk.try_to_begin(public_key=b"x").headers["connection"] == "close"
    parties.kiosk.begin()
    assert "connection" not in parties.kiosk.ask("GET", parties.kiosk.path).headers
    assert "connection" not in parties.page.alive().headers


def test_with_device_codes_nobody_signs_in_here(start: Start, sandbox: RunningSandbox) -> None:
    with start(sign_in={"method": "device_code"}) as broker:
        answer = AtTheKiosk(broker.http).try_to_begin()
        assert (answer.status_code, problem_code(answer)) == (403, "sign_in_method_off")
        assert problem_code(broker.ask("POST", "/v1/page/alive")) == "sign_in_page_not_known"
        assert broker.ask("GET", "/v1/session", sandbox.token("ada")).status_code == 200
        # A token that a sign-in page asked for is of another application.
        client = broker.config.tokens.client
        assert (
            problem_code(broker.ask("GET", "/v1/session", Entra(sandbox, client).access_token("ada"))) == "token_client"
        )


def test_guesses_of_links_cost_few_rows(parties: Parties, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(AT_ONE_KIOSK + 5):
        answer = parties.page.try_to_open("K7Q2M9XD")
        assert (answer.status_code, problem_code(answer)) == (404, "phone_link_unknown")
    assert parties.rows() == [("sign_in.refused", "phone_link_unknown")] * AT_ONE_KIOSK
    assert caplog.text.count("code=phone_link_unknown") == AT_ONE_KIOSK


def test_to_begin_costs_no_write(parties: Parties) -> None:
    assert parties.broker.record
    begun: list[object] = []
    count = begun.append
    event.listen(parties.broker.record.engine, "begin", count)
    parties.kiosk.begin()
    parties.kiosk.view()
    parties.page.open(parties.kiosk.view().scan)
    event.remove(parties.broker.record.engine, "begin", count)
    assert begun == []


def test_metrics_count_sign_ins_and_how_they_ended(parties: Parties) -> None:
    parties.kiosk.confirm(parties.until_digits().digits)
    parties.until_digits()
    parties.page.end(EndedAt.NOT_ME)
    assert parties.broker.metrics
    said = parties.broker.metrics.text().decode()
    for line in ("begun_total 2.0", 'ended_total{outcome="ok"} 1.0', 'ended_total{outcome="phone_not_me"} 1.0',
                 'ended_total{outcome="digits_refused"} 0.0'):  # fmt: skip
        assert f"kiosk_broker_sign_ins_{line}" in said


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"id": 7, "phone": "x"}',
        b'{"id": "%s", "phone": "x"}' % (b"x" * 65),
        b"\xff",
        b"{" * 5000,
    ],
)
def test_what_is_no_request_is_refused(parties: Parties, body: bytes) -> None:
    for path in ("open", "words", "tokens", "view", "end"):
        answer = parties.page.http.post(f"/v1/page/{path}", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, problem_code(answer)) == (400, "request_invalid")


def test_a_nonce_that_could_be_guessed_is_refused(parties: Parties) -> None:
    begun = parties.kiosk.begin()
    parties.page.open(begun.view.scan)
    answer = parties.page.try_to_choose(begun.words, "short")
    assert problem_code(answer) == "request_invalid"
    assert parties.page.choose(begun.words).stage is Stage.SIGNING_IN


def test_digits_are_typed_for_a_sign_in_that_has_some(parties: Parties) -> None:
    parties.kiosk.begin()
    answer = parties.kiosk.confirm("000000")
    assert problem_code(answer) == "phone_sign_in_unknown"
    too_long = parties.kiosk.ask("POST", f"{parties.kiosk.path}/confirm", Confirm(digits="1" * 21))
    assert problem_code(too_long) == "request_invalid"
