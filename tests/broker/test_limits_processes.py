"""Several brokers on one database, asked at the same time: together they release what one of them would."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kiosk.secret import VisitKeys
from tests.support.broker import broker_config, broker_process
from tests.support.sandbox import RunningSandbox

BROKERS = 2
AT_ONCE = 16


@pytest.mark.parametrize(
    ("rules", "released", "code"),
    [
        ({"per_person": ("4/day",), "per_device": ()}, 4, "limit_person"),
        ({"per_person": (), "per_device": (), "per_kiosk": ("2/day",)}, 4, "limit_kiosk"),
    ],
)
def test_brokers_on_one_database_cannot_be_raced(
    sandbox: RunningSandbox, place: Path, rules: dict[str, tuple[str, ...]], released: int, code: str
) -> None:
    macs = [sandbox.device("NW-AKESSLER-14").id, sandbox.device("NW-AKESSLER-MINI").id]
    token, keys = sandbox.token("ada"), VisitKeys()
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(AT_ONCE) as pool:
        brokers = []
        for number in range(BROKERS):
            own = place / str(number)
            own.mkdir()
            config = broker_config(
                sandbox.directory,
                own,
                rules=rules,
                record={"database": f"sqlite:///{place / 'record.db'}"},
            )
            brokers.append(stack.enter_context(broker_process(config, own)))

        def ask(number: int) -> str:
            broker = brokers[number % BROKERS]
            kiosk = f"kiosk-{number % BROKERS}"
            return broker.release(token, macs[number // BROKERS % 2], keys=keys, kiosk=kiosk).code

        answers = list(pool.map(ask, range(AT_ONCE)))
        assert sorted(answers) == [""] * released + [code] * (AT_ONCE - released)
        assert len(sandbox.requests("getFileVaultKey")) == released
        rows = brokers[0].rows()
        assert [row["n"] for row in rows] == list(range(1, len(rows) + 1))
        assert [row["event"] for row in rows].count("release.done") == released


def test_a_token_serves_one_visit_on_all_brokers(sandbox: RunningSandbox, place: Path) -> None:
    token, mac = sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id
    visits = [VisitKeys() for _ in range(6)]
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(visits)) as pool:
        brokers = []
        for number in range(2):
            own = place / str(number)
            own.mkdir()
            config = broker_config(sandbox.directory, own, record={"database": f"sqlite:///{place / 'record.db'}"})
            brokers.append(stack.enter_context(broker_process(config, own)))
        answers = list(pool.map(lambda n: brokers[n % 2].release(token, mac, keys=visits[n]).code, range(len(visits))))
        assert sorted(answers) == ["", *["token_bound"] * 5]
        assert len(sandbox.requests("getFileVaultKey")) == 1
