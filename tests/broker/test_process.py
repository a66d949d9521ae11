"""The broker as a process: TLS, crashes, signals, a full disk, and configurations that it refuses to start with."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import stat
import subprocess
import threading
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from kiosk.broker import logs
from kiosk.broker.server import serve
from kiosk.broker.sinks import delivery
from kiosk.config.broker import BrokerConfig, GraphSettings
from kiosk.errors import ConfigError
from tests.support.broker import (
    ROOT,
    RunningBroker,
    broker_command,
    broker_config,
    broker_process,
    problem_code,
    started_broker,
    to_toml,
    wait_for,
)
from tests.support.sandbox import RunningSandbox
from tests.support.time_limit import slowness

KEY = "*/getFileVaultKey"


def in_background(broker: RunningBroker, token: str, device_id: str) -> list[Any]:
    """Start a release in another thread. Its answer or error is appended to the returned list."""
    answers: list[Any] = []

    def release() -> None:
        try:
            answers.append(broker.release(token, device_id))
        except httpx.HTTPError as error:
            answers.append(error)

    threading.Thread(target=release, daemon=True).start()
    return answers


def test_without_a_parent_that_holds_its_input_open_it_stops_at_once(sandbox: RunningSandbox, place: Path) -> None:
    file = place / "broker.toml"
    file.write_text(to_toml(broker_config(sandbox.directory, place)))
    ended = subprocess.run(
        broker_command(file), cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert b"internal error" not in ended.stderr


def test_over_tls(sandbox: RunningSandbox, place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    listen = {
        "url": f"https://localhost:{port}",
        "certificate": sandbox.directory / "server.pem",
        "key": sandbox.directory / "server-key.pem",
    }
    config = broker_config(sandbox.directory, place, listen=listen)
    with broker_process(config, place, sandbox.ca) as broker:
        mac = sandbox.device("NW-AKESSLER-14")
        answer = broker.release(sandbox.token("ada"), mac.id)
        assert answer.key(sandbox.tenant, sandbox.person("ada").oid).decode() == mac.key
        assert problem_code(broker.ask("GET", "/v1/session")) == "token_missing"
        with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as stranger:
            stranger.get(f"https://localhost:{port}/healthz")


def test_killed_between_intention_and_outcome(sandbox: RunningSandbox, place: Path) -> None:
    config = broker_config(sandbox.directory, place, graph={"read_seconds": 30}, rules={"per_person": ("1/day",)})
    token, mac = sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id
    sandbox.fault(KEY, "hang", times=1)
    with started_broker(config, place) as broker:
        answers = in_background(broker, token, mac)
        wait_for(lambda: broker.rows("release.intended"))
        os.kill(broker.pid, signal.SIGKILL)
        wait_for(lambda: answers)
    assert isinstance(answers[0], httpx.HTTPError)
    assert [row["event"] for row in broker.rows()] == ["broker.started", "configuration.changed", "release.intended"]
    with started_broker(config, place) as broker:
        _, _, intended, closed, started = broker.rows()
        assert (closed["event"], closed["outcome"]) == ("release.closed", "unknown")
        assert closed["release_id"] == intended["release_id"]
        assert started["event"] == "broker.started"
        # The key may have been seen, so it counts.
        assert broker.release(sandbox.token("ada"), mac).code == "limit_person"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_a_release_finish(sandbox: RunningSandbox, place: Path, number: int) -> None:
    config = broker_config(sandbox.directory, place)
    sandbox.fault(KEY, "delay", seconds=0.4, times=1)
    with broker_process(config, place) as broker:
        mode = stat.S_IMODE((place / "broker.sock").stat().st_mode)
        answers = in_background(broker, sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id)
        wait_for(lambda: broker.rows("release.intended"))
        os.kill(broker.pid, number)
        wait_for(lambda: answers)
    assert mode == 0o660
    assert answers[0].code == ""
    assert [row["event"] for row in broker.rows()][-3:] == ["release.intended", "release.done", "broker.stopped"]
    assert not (place / "broker.sock").exists()


def test_a_release_may_take_all_its_time_to_finish(sandbox: RunningSandbox, place: Path) -> None:
    config = broker_config(sandbox.directory, place, graph={"read_seconds": 15, "total_seconds": 20})
    # Longer than the grace period of a server without releases.
    sandbox.fault(KEY, "delay", seconds=6, times=1)
    with broker_process(config, place) as broker:
        answers = in_background(broker, sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id)
        wait_for(lambda: broker.rows("release.intended"))
        os.kill(broker.pid, signal.SIGTERM)
        wait_for(lambda: answers)
    assert answers[0].code == ""
    assert [row["event"] for row in broker.rows()][-2:] == ["release.done", "broker.stopped"]


def test_systemd_waits_for_the_end() -> None:
    unit = (ROOT / "deploy/broker/kiosk-broker.service").read_text()
    (waits,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    usual = GraphSettings.__struct_fields__.index("total_seconds") - len(GraphSettings.__struct_fields__)
    assert int(waits) > GraphSettings.__struct_defaults__[usual] + 20 + 10 + delivery.STOP_SECONDS


def test_a_full_disk(sandbox: RunningSandbox, place: Path) -> None:
    token, mac = sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id
    with broker_process(broker_config(sandbox.directory, place), place) as broker:
        process = psutil.Process(broker.pid)
        process.rlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        sandbox.clear_requests()
        assert broker.release(token, mac).code == "record_unavailable"
        assert problem_code(broker.ask("GET", "/readyz")) == "record_unavailable"
        assert not sandbox.requests("/beta/")
        process.rlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert broker.release(token, mac).code == ""
        assert [row["n"] for row in broker.rows()] == [1, 2, 3, 4]


def test_a_second_broker_on_the_same_socket(sandbox: RunningSandbox, place: Path) -> None:
    with broker_process(broker_config(sandbox.directory, place), place) as broker:
        command = broker_command(place / "broker.toml")
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
        assert second.returncode == 2
        assert "expected to listen on this socket" in second.stderr
        assert broker.ask("GET", "/healthz").status_code == 200
        assert [row["event"] for row in broker.rows()] == ["broker.started", "configuration.changed"]


def is_listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
    return True


def test_an_ending_broker_leaves_its_successor_the_socket(sandbox: RunningSandbox, place: Path) -> None:
    """By hand or in containers, a second broker may start while the first still finishes a release."""
    path = place / "broker.sock"
    (place / "next").mkdir()
    following = broker_config(sandbox.directory, place / "next", listen={"url": f"unix:{path}"})
    # Longer than the second broker takes to start.
    sandbox.fault(KEY, "delay", seconds=min(3 * slowness(), 12), times=1)
    with contextlib.ExitStack() as stack:
        first = broker_config(sandbox.directory, place, graph={"read_seconds": 15, "total_seconds": 20})
        broker = stack.enter_context(broker_process(first, place))
        answers = in_background(broker, sandbox.token("ada"), sandbox.device("NW-AKESSLER-14").id)
        wait_for(lambda: broker.rows("release.intended"))
        os.kill(broker.pid, signal.SIGTERM)
        wait_for(lambda: not is_listening(path))
        with broker_process(following, place / "next") as successor:
            assert not answers
            stack.close()
            assert answers[0].code == ""
            assert successor.ask("GET", "/healthz").status_code == 200
        assert not path.exists()


def certificates(sandbox: RunningSandbox, place: Path) -> dict[str, Path]:
    paths = {
        "certificate": sandbox.directory / "server.pem",
        "key": sandbox.directory / "server-key.pem",
        "other": sandbox.directory / "broker.pem",
        "none": place / "none.pem",
        "gone": place / "gone.pem",
    }
    paths["none"].write_text("no certificate")
    paths["none"].chmod(0o600)
    return paths


@pytest.mark.parametrize(
    ("certificate", "key", "expected"),
    [
        (None, None, "listen.certificate: missing"),
        (None, "key", "listen.certificate: missing"),
        ("certificate", None, "listen.key: missing"),
        ("certificate", "other", "expected a certificate and its key"),
        ("certificate", "none", "expected a certificate and its key"),
        ("none", "key", "expected a certificate and its key"),
        ("gone", "key", "No such file"),
    ],
)
def test_https_needs_a_certificate_and_its_key(
    sandbox: RunningSandbox,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    certificate: str | None,
    key: str | None,
    expected: str,
) -> None:
    paths = certificates(sandbox, place)
    listen: dict[str, Any] = {"url": "https://127.0.0.1:1"}
    listen |= {"certificate": paths[certificate]} if certificate else {}
    listen |= {"key": paths[key]} if key else {}
    refuses(broker_config(sandbox.directory, place, listen=listen), expected, monkeypatch)


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({"listen": {"url": "unix:/no/such/folder/broker.sock"}}, "expected to listen on this socket"),
        ({"record": {"database": "mysql://x"}}, "record.database: expected"),
        ({"record": {"database": "sqlite:////no/such/folder/record.db"}}, "record.database: expected"),
    ],
)
def test_what_cannot_be_used_is_found_at_start(
    sandbox: RunningSandbox, place: Path, monkeypatch: pytest.MonkeyPatch, tables: dict[str, Any], expected: str
) -> None:
    refuses(broker_config(sandbox.directory, place, **tables), expected, monkeypatch)


def test_a_bad_certificate_for_graph_is_found_at_start(
    sandbox: RunningSandbox, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = {"certificate": certificates(sandbox, place)["none"]}
    refuses(broker_config(sandbox.directory, place, graph=graph), "graph.certificate: expected", monkeypatch)


def refuses(config: BrokerConfig, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "to_stream", lambda *_: None)
    with pytest.raises(ConfigError) as refused:
        serve(config, on_ready=lambda: pytest.fail("it serves"))
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)
