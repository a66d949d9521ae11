"""A token serves only requests that come with a proof of its visit: fresh, for this request, used once."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from kiosk.broker.record.refusal_throttle import AT_ONE_KIOSK
from kiosk.broker.tokens.proofs import WINDOW_SECONDS
from kiosk.clock import SystemClock
from kiosk.models import base64url, digest
from kiosk.proof import Prover
from kiosk.secret import VisitKeys
from tests.broker.conftest import Start
from tests.support.broker import FromVisit, MovedClock, RunningBroker, problem_code
from tests.support.sandbox import RunningSandbox

MAC = "NW-AKESSLER-14"
OFF = {"per_person": (), "per_device": ()}
JSON = {"content-type": "application/json"}
DEVICES = "/v1/devices"


class Thief:
    """Somebody with a copy of a token and of everything that its visit sent."""

    def __init__(self, broker: RunningBroker, token: str) -> None:
        self._http = broker.http
        self._token = token

    def ask(self, method: str, path: str, proof: str | None, content: bytes = b"") -> str:
        """Send a request with the copied token and this proof. Returns the code of the refusal, or ''."""
        headers = [("authorization", f"Bearer {self._token}"), *JSON.items()]
        headers += [] if proof is None else [("dpop", proof)]
        answer = self._http.request(method, path, headers=headers, content=content)
        return problem_code(answer) if answer.is_error else ""


def proof_of(broker: RunningBroker, method: str, path: str, token: str, keys: VisitKeys, body: bytes = b"") -> str:
    return Prover(keys, broker.clock).proof(method, path, token, body)


def test_without_a_proof_of_its_visit_a_token_is_good_for_nothing(start: Start, sandbox: RunningSandbox) -> None:
    """Every request, in every way in which a proof can be wrong; after all of them the visit itself goes on."""
    mac, token, keys = sandbox.device(MAC).id, sandbox.token("ada"), VisitKeys()
    other = sandbox.token("ada")
    public_key = base64.b64encode(keys.public_key).decode()
    clock = MovedClock()
    with start(clock, rules=OFF) as broker:
        released = broker.release(token, mac, keys=keys).response.json()["release_id"]
        # Four requests that cover every path of checks: without a body, with one, and with an effect.
        asked = [
            ("GET", DEVICES, b""),
            ("POST", f"/v1/devices/{mac}/release", json.dumps({"public_key": public_key}).encode()),
            ("POST", f"/v1/releases/{released}/closed", b'{"how":"not_shown"}'),
            ("DELETE", "/v1/session", b""),
        ]
        sandbox.clear_requests()
        broker.forget_rows()
        thief = Thief(broker, token)
        for method, path, body in asked:
            good = Prover(keys, clock).proof
            early, late = MovedClock(), MovedClock()
            early.ahead, late.ahead = timedelta(seconds=-WINDOW_SECONDS - 1), timedelta(seconds=WINDOW_SECONDS + 1)
            outcomes = {
                "none": thief.ask(method, path, None, body),
                "another key": thief.ask(
                    method, path, Prover(VisitKeys(), clock).proof(method, path, token, body), body
                ),
                "too old": thief.ask(method, path, Prover(keys, early).proof(method, path, token, body), body),
                "too new": thief.ask(method, path, Prover(keys, late).proof(method, path, token, body), body),
                "another method": thief.ask(method, path, good("PUT", path, token, body), body),
                "another path": thief.ask(method, path, good(method, "/v1/session/x", token, body), body),
                "another query": thief.ask(method, f"{path}?cursor=x", good(method, path, token, body), body),
                "another token": thief.ask(method, path, good(method, path, other, body), body),
                "another body": thief.ask(method, path, good(method, path, token, b"{}"), body),
            }
            expected = dict.fromkeys(outcomes, "token_unproven")
            expected |= {"another key": "token_bound", "too old": "token_proof_time", "too new": "token_proof_time"}
            assert outcomes == expected
            # One broker would only count more refusals of this minute.
            rows = broker.rows()
            assert {(row["oid"], bool(row["uti"])) for row in rows} == {(sandbox.person("ada").oid, True)}
            assert {row["outcome"] for row in rows} <= {"token_unproven", "token_bound", "token_proof_time"}
            assert len(rows) >= min(AT_ONE_KIOSK, len(outcomes))
            broker.forget_rows()
            clock.ahead += timedelta(minutes=2)
        assert not sandbox.requests("/beta/")
        for method, path, body in asked:
            answer = broker.ask(method, path, token, keys=keys, content=body, headers=JSON)
            assert answer.is_success, answer.text


def test_a_request_that_was_copied_whole_serves_nobody_twice(start: Start, sandbox: RunningSandbox) -> None:
    token, keys, clock = sandbox.token("ada"), VisitKeys(), MovedClock()
    with start(clock) as broker:
        proof = proof_of(broker, "GET", DEVICES, token, keys)
        thief = Thief(broker, token)
        # The first one is the visit itself.
        assert thief.ask("GET", DEVICES, proof) == ""
        sandbox.clear_requests()
        assert [thief.ask("GET", DEVICES, proof) for _ in range(2)] == ["token_unproven"] * 2
        clock.ahead += timedelta(seconds=WINDOW_SECONDS + 1)
        assert thief.ask("GET", DEVICES, proof) == "token_proof_time"
        assert not sandbox.requests("/beta/")
        assert [row["outcome"] for row in broker.rows("token")] == ["token_unproven"] * 2 + ["token_proof_time"]
        clock.ahead -= timedelta(seconds=WINDOW_SECONDS + 1)
    # A broker that has just started does not know what was used before.
    clock.ahead += timedelta(seconds=2)
    with start(clock) as broker:
        assert Thief(broker, token).ask("GET", DEVICES, proof) == "token_proof_time"
        assert broker.ask("GET", DEVICES, token, keys=keys).is_success


def test_a_refusal_for_the_time_names_the_brokers(broker: RunningBroker, sandbox: RunningSandbox) -> None:
    token, wrong = sandbox.token("ada"), MovedClock()
    wrong.ahead = timedelta(hours=1)
    answer = broker.http.get(DEVICES, auth=FromVisit(token, clock=wrong))
    assert problem_code(answer) == "token_proof_time"
    assert answer.json()["time"] == pytest.approx(SystemClock().utc().timestamp(), abs=60)
    assert broker.http.get("/v1/devices", headers={"authorization": f"Bearer {token}"}).json()["time"] is None


def test_the_key_that_is_sealed_to_belongs_to_the_visit(start: Start, sandbox: RunningSandbox) -> None:
    """Even who can sign as the visit gets no key sealed to another one."""
    mac, token, keys, clock = sandbox.device(MAC).id, sandbox.token("ada"), VisitKeys(), SystemClock()
    with start(rules=OFF) as broker:
        assert broker.release(token, mac, keys=keys).code == ""
        body = json.dumps({"public_key": base64.b64encode(VisitKeys().public_key).decode()}).encode()
        path = f"/v1/devices/{mac}/release"
        proof = Prover(keys, clock).proof("POST", path, token, body)
        assert Thief(broker, token).ask("POST", path, proof, body) == "token_bound"


KEY, OTHER = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
X, OTHER_X = (base64url(key.public_key().public_bytes_raw()) for key in (KEY, OTHER))
JWK = {"kty": "OKP", "crv": "Ed25519", "x": X}
ELLIPTIC = ec.generate_private_key(ec.SECP256R1())
# What is changed in the header and in the claims of a good proof; None is left out.
CHANGED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "too long": ({}, {"more": 5000 * "x"}),
    "another type": ({"typ": "JWT"}, {}),
    "no type": ({"typ": None}, {}),
    "no algorithm": ({"alg": None}, {}),
    "an extension that must be understood": ({"crit": ["x"], "x": 1}, {}),
    "no key": ({"jwk": None}, {}),
    "somebody else's key": ({"jwk": JWK | {"x": OTHER_X}}, {}),
    "a key of another curve": ({"jwk": JWK | {"crv": "X25519"}}, {}),
    "a short key": ({"jwk": JWK | {"x": X[:-2]}}, {}),
    "a key in another spelling": ({"jwk": JWK | {"x": X + "="}}, {}),
    "a time as text": ({}, {"iat": "now"}),
    "no time": ({}, {"iat": None}),
    "a time beyond all": ({}, {"iat": 1e300}),
    "no id": ({}, {"jti": ""}),
    "an endless id": ({}, {"jti": 65 * "x"}),
    "no body": ({}, {"body": None}),
}


def signed(header: dict[str, Any], claims: dict[str, Any], key: ed25519.Ed25519PrivateKey | None = KEY) -> str:
    """Return a JWS with any header and claims."""
    kept = [{name: value for name, value in part.items() if value is not None} for part in (header, claims)]
    parts = ".".join(base64url(json.dumps(part).encode()) for part in kept)
    return f"{parts}.{base64url(key.sign(parts.encode()) if key else b'')}"


def test_what_is_no_proof(start: Start, sandbox: RunningSandbox) -> None:
    token, clock = sandbox.token("ada"), SystemClock()
    header = {"typ": "dpop+jwt", "alg": "EdDSA", "jwk": JWK}
    claims: dict[str, Any] = {
        "htm": "GET",
        "htu": DEVICES,
        "ath": digest(token.encode()),
        "seal": "s",
        "body": digest(b""),
    }
    claims |= {"jti": 16 * "x", "iat": clock.utc().timestamp()}
    good = signed(header, claims)
    elliptic = {"jwk": jwt.algorithms.ECAlgorithm.to_jwk(ELLIPTIC.public_key(), as_dict=True)}
    forged = {
        "nothing": "",
        "garbage": "x.y.z",
        "twice": f"{good},{good}",
        "not signed": signed(header, claims, None),
        "no signature": signed(header | {"alg": "none"}, claims, None),
        "signed with another key": signed(header, claims, OTHER),
        "another algorithm": jwt.encode(claims, ELLIPTIC, "ES256", headers=header | {"alg": "ES256"} | elliptic),
        "a shared secret": jwt.encode(claims, 43 * "k", "HS256", headers=header | {"alg": "HS256"}),
    }
    forged |= {name: signed(header | first, claims | second) for name, (first, second) in CHANGED.items()}
    with start() as broker:
        thief = Thief(broker, token)
        outcomes = {name: thief.ask("GET", DEVICES, proof) for name, proof in forged.items()}
        assert outcomes == dict.fromkeys(forged, "token_unproven") | {"a time beyond all": "token_proof_time"}
        assert not sandbox.requests("/beta/")
        # Who uses an id first keeps nobody else out.
        other = signed(header | {"jwk": JWK | {"x": OTHER_X}}, claims, OTHER)
        assert [thief.ask("GET", DEVICES, proof) for proof in (good, other)] == ["", "token_bound"]


def test_a_flood_without_proofs_costs_some_rows_and_nothing_of_the_person(
    start: Start, sandbox: RunningSandbox
) -> None:
    token, keys = sandbox.token("ada"), VisitKeys()
    with start(limits={"requests_per_minute": 1, "requests_at_once": 1}) as broker:
        thief = Thief(broker, token)
        assert {thief.ask("GET", DEVICES, None) for _ in range(3 * AT_ONE_KIOSK)} == {"token_unproven"}
        assert len(broker.rows("token")) == AT_ONE_KIOSK
        assert broker.ask("GET", DEVICES, token, keys=keys).is_success
