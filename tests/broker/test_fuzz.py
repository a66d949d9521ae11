"""Requests generated from docs/openapi.json: every response is one that the description allows."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kiosk.broker import openapi
from kiosk.secret import VisitKeys
from tests.support.broker import FromVisit, RunningBroker
from tests.support.examples import few
from tests.support.sandbox import RunningSandbox

PATHS = json.loads(openapi.PATH.read_text())["paths"]
OPERATIONS = [f"{method.upper()} {path}" for path, methods in PATHS.items() for method in methods]
FEW = settings(
    max_examples=few(10),
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
KEYS = VisitKeys()


class Described:
    """The description as schemathesis reads it. Only the worker that runs these tests imports it, which is slow."""

    def __init__(self) -> None:
        schemathesis = pytest.importorskip("schemathesis")
        checks = pytest.importorskip("schemathesis.specs.openapi.checks")
        self.schema = schemathesis.openapi.from_dict(json.loads(openapi.PATH.read_text()))
        self.modes = list(schemathesis.GenerationMode)
        self.checks = [
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_schema_conformance,
        ]

    def boundaries(self, operation: Any) -> Iterator[Any]:
        """Yield a case for each boundary of each parameter."""
        config = self.schema.config.generation_for(operation=operation, phase="coverage")
        found: Iterator[Any] = self.schema.iter_coverage_cases(
            operation, generation_modes=self.modes, generation_config=config
        )
        return found


@pytest.fixture(scope="module")
def described() -> Described:
    return Described()


@pytest.mark.parametrize("label", OPERATIONS)
def test_answers_are_as_described(
    label: str, described: Described, shared_broker: RunningBroker, shared_sandbox: RunningSandbox
) -> None:
    operation = described.schema.find_operation_by_label(label)

    def answered(case: Any) -> None:
        # A token serves only one visit, and each case names a different one.
        token = shared_sandbox.token("ada")
        for visit in (FromVisit(token), None):
            answer = send(shared_broker.http, case, visit)
            assert answer.status_code < 500, answer.text
            case.validate_response(answer, checks=described.checks)

    tried = 0
    for case in described.boundaries(operation):
        answered(case)
        tried += 1
    assert tried
    FEW(given(st.one_of([operation.as_strategy(mode) for mode in described.modes]))(answered))()


@settings(FEW, max_examples=few(20))
@given(
    reason=st.none() | st.text(max_size=300),
    kiosk=st.binary(max_size=100),
    proof=st.none() | st.binary(max_size=63),
    extra=st.dictionaries(st.text(max_size=5), st.integers() | st.text(), max_size=2),
)
def test_whatever_else_a_kiosk_says_of_itself(
    reason: str | None,
    kiosk: bytes,
    proof: bytes | None,
    extra: dict[str, Any],
    shared_broker: RunningBroker,
    shared_sandbox: RunningSandbox,
) -> None:
    token = shared_sandbox.token("ada")
    public_key = base64.b64encode(KEYS.public_key).decode()
    body = extra | {"public_key": public_key, "reason": reason}
    headers = [(b"x-kiosk-terminal", _plain(kiosk)), (b"content-type", b"application/json")]
    if proof is not None:
        headers += [(b"dpop", _plain(proof))]
    path = f"/v1/devices/{shared_sandbox.device('NW-AKESSLER-14').id}/release"
    answer = shared_broker.ask("POST", path, token, keys=KEYS, headers=headers, content=json.dumps(body))
    assert answer.status_code == (200 if proof is None else 401), answer.text
    if proof is None:
        row = shared_broker.rows("release.done")[-1]
        assert len(row["terminal"]) <= 64
        assert row["terminal"].isprintable()


def _plain(value: bytes) -> bytes:
    """Remove what an HTTP client cannot send in a header."""
    return bytes(byte for byte in value if byte >= 0x20 and byte != 0x7F).strip()


def send(client: httpx.Client, case: Any, visit: FromVisit | None) -> httpx.Response:
    """Send a generated case over the broker's socket."""
    made = case.as_transport_kwargs(base_url="http://broker")
    ours = {"authorization", "dpop"} if visit else {"authorization"}
    headers = {name: value for name, value in made["headers"].items() if name.lower() not in ours}
    content = json.dumps(made["json"]) if "json" in made else made.get("data")
    return client.request(
        made["method"],
        made["url"],
        params=made.get("params"),
        headers=headers,
        auth=visit,
        content=content if isinstance(content, str | bytes) else None,
    )
