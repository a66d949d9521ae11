"""Several brokers on one database, asked at the same time, release together what a single one would."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kiosk.secret import VisitKeys
from tests.support.broker import RunningBroker, brokers
from tests.support.postgresql import database
from tests.support.sandbox import RunningSandbox

BROKERS = 2
AT_ONCE = 16


@dataclass(frozen=True)
class Case:
    """A database, and the limit that its brokers count in it."""

    database: str
    rules: dict[str, Any]
    released: int
    code: str


# Every limit is counted in the transaction that writes the intention: one of a person and one of a kiosk, one on each
# database. test_postgresql.py covers a person's limit with three brokers on PostgreSQL.
CASES = (
    Case("sqlite", {"per_person": ("4/day",), "per_device": ()}, 4, "limit_person"),
    Case("postgresql", {"per_person": (), "per_device": (), "per_kiosk": ("2/day",)}, 4, "limit_kiosk"),
)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.database)
def running(
    request: pytest.FixtureRequest, shared_sandbox: RunningSandbox
) -> Iterator[tuple[Case, list[RunningBroker]]]:
    """Start the brokers of a case, for both tests."""
    case: Case = request.param
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kb")))
        url = f"sqlite:///{place / 'record.db'}"
        if case.database == "postgresql":
            url = stack.enter_context(database(request.getfixturevalue("postgresql"), f"record-{uuid.uuid4()}"))
        yield (
            case,
            stack.enter_context(brokers(shared_sandbox.directory, place, url, BROKERS, rules=case.rules)),
        )


def test_brokers_on_one_database_cannot_be_raced(
    sandbox: RunningSandbox, running: tuple[Case, list[RunningBroker]]
) -> None:
    case, asked = running
    macs = [sandbox.device("NW-AKESSLER-14").id, sandbox.device("NW-AKESSLER-MINI").id]
    token, keys = sandbox.token("ada"), VisitKeys()
    asked[0].forget_rows()

    def ask(number: int) -> str:
        # Each request comes from its own terminal, on one of two kiosks.
        kiosk = f"kiosk-{number % BROKERS} pts/{number} from 192.0.2.{number}"
        mac = macs[number // BROKERS % 2]
        return asked[number % BROKERS].release(token, mac, keys=keys, kiosk=kiosk).code

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(ask, range(AT_ONCE)))
    assert sorted(answers) == [""] * case.released + [case.code] * (AT_ONCE - case.released)
    assert len(sandbox.requests("getFileVaultKey")) == case.released
    before, rows = asked[0].seen, asked[0].rows()
    assert [row["n"] for row in rows] == list(range(before + 1, before + len(rows) + 1))
    assert [row["event"] for row in rows].count("release.done") == case.released


def test_a_token_serves_one_visit_on_all_brokers(
    sandbox: RunningSandbox, running: tuple[Case, list[RunningBroker]]
) -> None:
    """With another person and another kiosk than the other test's, so that no limit is near."""
    _, asked = running
    token, mac = sandbox.token("jonas"), sandbox.device("NW-JBRANDT-AIR").id
    visits = [VisitKeys() for _ in range(6)]
    with ThreadPoolExecutor(len(visits)) as pool:
        answers = list(pool.map(lambda n: asked[n % 2].release(token, mac, keys=visits[n]).code, range(len(visits))))
    assert sorted(answers) == ["", *["token_bound"] * 5]
    winner = visits[answers.index("")]
    assert asked[0].ask("DELETE", "/v1/session", token, keys=winner).status_code == 204
    assert {broker.release(token, mac, keys=winner).code for broker in asked} == {"token_bound"}
    assert len(sandbox.requests("getFileVaultKey")) == 1
