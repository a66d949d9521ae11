"""Several brokers on one database, asked at the same time, release together what a single one would."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kiosk.secret import VisitKeys
from tests.support.broker import brokers
from tests.support.sandbox import RunningSandbox

BROKERS = 2
AT_ONCE = 16


PERSON = ({"per_person": ("4/day",), "per_device": ()}, 4, "limit_person")
KIOSK = ({"per_person": (), "per_device": (), "per_kiosk": ("2/day",)}, 4, "limit_kiosk")


# Every limit is counted in the transaction that writes the intention: one of a person and one of a kiosk, one on each
# database. test_postgresql.py covers a person's limit with three brokers on PostgreSQL.
@pytest.mark.parametrize(
    ("url", "rules", "released", "code"),
    [("sqlite", *PERSON), ("postgresql", *KIOSK)],
    indirect=["url"],
    ids=["sqlite-person", "postgresql-kiosk"],
)
def test_brokers_on_one_database_cannot_be_raced(
    sandbox: RunningSandbox, place: Path, url: str, rules: dict[str, tuple[str, ...]], released: int, code: str
) -> None:
    macs = [sandbox.device("NW-AKESSLER-14").id, sandbox.device("NW-AKESSLER-MINI").id]
    token, keys = sandbox.token("ada"), VisitKeys()
    with brokers(sandbox.directory, place, url, BROKERS, rules=rules) as running, ThreadPoolExecutor(AT_ONCE) as pool:

        def ask(number: int) -> str:
            # Each request comes from its own terminal, on one of two kiosks.
            kiosk = f"kiosk-{number % BROKERS} pts/{number} from 192.0.2.{number}"
            mac = macs[number // BROKERS % 2]
            return running[number % BROKERS].release(token, mac, keys=keys, kiosk=kiosk).code

        answers = list(pool.map(ask, range(AT_ONCE)))
        assert sorted(answers) == [""] * released + [code] * (AT_ONCE - released)
        assert len(sandbox.requests("getFileVaultKey")) == released
        rows = running[0].rows()
        assert [row["n"] for row in rows] == list(range(1, len(rows) + 1))
        assert [row["event"] for row in rows].count("release.done") == released


def test_a_token_serves_one_visit_on_all_brokers(sandbox: RunningSandbox, place: Path, url: str) -> None:
    token, mac = sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id
    visits = [VisitKeys() for _ in range(6)]
    with brokers(sandbox.directory, place, url, BROKERS) as running, ThreadPoolExecutor(len(visits)) as pool:
        answers = list(pool.map(lambda n: running[n % 2].release(token, mac, keys=visits[n]).code, range(len(visits))))
        assert sorted(answers) == ["", *["token_bound"] * 5]
        assert len(sandbox.requests("getFileVaultKey")) == 1
