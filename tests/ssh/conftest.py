"""A machine, a sandbox and an sshd for each file of tests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ssh.machine import Machine, configure, configure_broker, needs, running_broker_service, running_machine
from tests.ssh.sessions import Door, make_keys, own_sshd, shared_sshd
from tests.support.sandbox import RunningSandbox, running_sandbox


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ssh")


@pytest.fixture(scope="module")
def machine(place: Path) -> Iterator[Machine]:
    """Make a machine with everything that docs/deploy.md installs."""
    with running_machine(place) as made:
        made.install("base", "broker", "page", "console", "ssh")
        yield made


@pytest.fixture(scope="module")
def sandbox(place: Path) -> Iterator[RunningSandbox]:
    with running_sandbox(place, approve="Ada Kessler") as running:
        yield running


@pytest.fixture(scope="module")
def keys(machine: Machine, place: Path) -> tuple[Path, Path]:
    needs("sshd", "ssh", "ssh-keygen", "systemd-socket-activate")
    return make_keys(machine, place)


@pytest.fixture(scope="module")
def configured(machine: Machine, sandbox: RunningSandbox) -> Callable[..., None]:
    """Write the kiosk's configuration as shipped, and return a function that writes it with other visit settings."""
    configure(machine, sandbox)
    return lambda **visit: configure(machine, sandbox, **visit)


@pytest.fixture(scope="module")
def broker(machine: Machine, configured: Callable[..., None], sandbox: RunningSandbox) -> Iterator[Machine]:
    """Run the broker on the machine, and return the machine."""
    needs("systemd-socket-activate")
    configure_broker(machine, sandbox)
    with running_broker_service(machine):
        yield machine


@pytest.fixture(scope="module")
def door(broker: Machine, keys: tuple[Path, Path]) -> Iterator[Door]:
    """Run the kiosk's own sshd."""
    with own_sshd(broker, keys) as opened:
        yield opened


@pytest.fixture(scope="module", params=["own", "shared"])
def any_door(
    request: pytest.FixtureRequest, machine: Machine, configured: Callable[..., None], keys: tuple[Path, Path]
) -> Iterator[Door]:
    """Run the kiosk's own sshd, then one that is shared with the machine."""
    with contextlib.ExitStack() as stack:
        if request.param == "own":
            yield stack.enter_context(own_sshd(machine, keys))
        else:
            machine.install("shared")
            yield stack.enter_context(shared_sshd(machine, keys))
