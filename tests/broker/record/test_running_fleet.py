"""What operators do to a record while several broker processes serve from it."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from kiosk.broker.record.database import open_engine
from kiosk.cli.main import cli
from tests.support.broker import brokers, problem_code, wait_for
from tests.support.record import contents, fill, set_back, signer
from tests.support.sandbox import RunningSandbox

MAC = "NW-AKESSLER-14"
OFF = {"per_person": (), "per_device": ()}


def kiosk(*words: str) -> tuple[int, str]:
    said = CliRunner().invoke(cli, words)
    return said.exit_code, said.output


def test_a_loss_is_accepted_while_brokers_serve(sandbox: RunningSandbox, place: Path, postgresql_database: str) -> None:
    url, mac = postgresql_database, sandbox.device(MAC).id
    with brokers(sandbox.directory, place, url, 2, rules=OFF) as fleet, ThreadPoolExecutor(4) as pool:
        token = sandbox.token("ada")
        assert [broker.release(token, mac).code for broker in fleet] == ["", ""]
        earlier = contents(url)
        later = sandbox.token("ada")
        assert [broker.release(later, mac).code for broker in fleet] == ["", ""]
        set_back(url, earlier)
        sandbox.clear_requests()
        refused = [problem_code(broker.ask("GET", "/v1/session", token)) for broker in fleet]
        assert refused == ["record_unavailable"] * 2
        # The people do not stop asking while the operator decides.
        asking = [pool.submit(fleet[number % 2].release, token, mac) for number in range(8)]
        code, said = kiosk("record", "accept-loss", "--config", str(place / "0" / "broker.toml"))
        assert code == 0, said
        assert {one.result().code for one in asking} <= {"", "record_unavailable"}
        # From then on both brokers serve, without a restart, and know the visit whose rows are still there.
        assert [broker.release(token, mac).code for broker in fleet] == ["", ""]
    code, said = kiosk("audit", "verify", "--database", url, "--public-key", str(place / "record.pub"))
    assert code == 0, said
    assert said.startswith("holds, with a loss accepted at row ")


def test_brokers_that_start_at_once_on_a_long_record(
    sandbox: RunningSandbox, place: Path, postgresql_database: str, request: pytest.FixtureRequest
) -> None:
    rows, url = request.config.getoption("--rows"), postgresql_database
    engine = open_engine(url, limited=False)
    fill(engine, signer(place), rows)
    engine.dispose()
    token, mac = sandbox.token("ada"), sandbox.device(MAC).id
    with brokers(sandbox.directory, place, url, 3, rules=OFF) as fleet:
        fleet[0].seen = rows
        # One after the other settles what is open, and the others wait for the lock on the head.
        wait_for(lambda: all(broker.ask("GET", "/readyz").status_code == 200 for broker in fleet), 60)
        assert [broker.release(token, mac).code for broker in fleet] == [""] * 3
        found = fleet[0].rows()
        assert len([row for row in found if row["event"] == "broker.started"]) == 3
        # Only the last visit of the long record was cut short, and only one of the brokers closes it.
        assert len([row for row in found if row["outcome"] == "unknown"]) <= 1
        assert all(later["n"] == before["n"] + 1 for before, later in itertools.pairwise(found))
    code, said = kiosk("audit", "verify", "--database", url, "--public-key", str(place / "record.pub"))
    assert code == 0, said
