"""A sandbox with a person for every refusal, brokers in this process, and a reader of trouble screens."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kiosk.sandbox.tenant.directory import PEOPLE_FILE
from tests.causes.reader import Reader
from tests.causes.start import PATIENT, UNLIMITED, Start, at
from tests.causes.tables import REFUSED, by_person
from tests.support.broker import broker_config, running_broker
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.services import Services


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """Start a sandbox with the usual people, and one more for each refusal of a sign-in."""
    place = tmp_path_factory.mktemp("tenant")
    people = place / "people.toml"
    more = [
        f'[[person]]\nname = "{code}"\naddress = "{code}@x.example"\nrefusal = {by_person(code)}' for code in REFUSED
    ]
    people.write_text(PEOPLE_FILE.read_text() + "\n" + "\n".join(more) + "\n")
    with running_sandbox(place, tenant={"people_file": str(people)}, device_code={"interval_seconds": 0}) as running:
        yield running


@pytest.fixture
def start(sandbox: RunningSandbox) -> Iterator[Start]:
    """Return a function that starts a broker with these tables of broker.toml, behind the same sandbox."""
    with contextlib.ExitStack() as stack:

        def start(**tables: Any) -> Services:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kb")))
            config = broker_config(sandbox.directory, place, **({"rules": UNLIMITED, "graph": PATIENT} | tables))
            return at(sandbox, stack.enter_context(running_broker(config, ca_bundle=sandbox.ca)))

        yield start
    sandbox.clear_faults()


@pytest.fixture(scope="module")
def shared(sandbox: RunningSandbox) -> Iterator[Services]:
    """Start a broker without limits."""
    with tempfile.TemporaryDirectory(prefix="kb") as name:
        config = broker_config(sandbox.directory, Path(name), rules=UNLIMITED, graph=PATIENT)
        with running_broker(config) as broker:
            yield at(sandbox, broker)


@pytest.fixture
def running(shared: Services, caplog: pytest.LogCaptureFixture) -> Iterator[Services]:
    caplog.set_level(logging.INFO)
    yield shared
    shared.sandbox.clear_faults()


@pytest.fixture
def reader(caplog: pytest.LogCaptureFixture) -> Reader:
    caplog.set_level(logging.INFO)
    return Reader(caplog)
