"""The broker's metrics on their own listener; alerts and dashboard name only metrics that exist."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml
from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, event

from kiosk import __version__
from kiosk.broker.metrics import Metrics
from kiosk.broker.monitoring import State
from kiosk.broker.record.checkpoints import Signer
from kiosk.broker.record.writer import open_record
from kiosk.broker.sinks.address import sink_name
from kiosk.clock import SystemClock
from kiosk.errors import BY_CODE
from kiosk.net.certificate import certificate_of
from kiosk.net.connections import Closed
from kiosk.sandbox.certificates import make_certificates
from tests.broker.conftest import Start
from tests.support.broker import ROOT, RunningBroker, broker_config, broker_process, problem_code, wait_for
from tests.support.clock import ManualClock
from tests.support.postgresql import find_binaries
from tests.support.sandbox import RunningSandbox

MONITORING = ROOT / "deploy" / "monitoring"
NAME = re.compile(r"\bkiosk_broker_\w+")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(address: str) -> str:
    if address.startswith("unix:"):
        transport = httpx.HTTPTransport(uds=address.removeprefix("unix:"))
        with httpx.Client(transport=transport, base_url="http://metrics", trust_env=False) as client:
            return client.get("/metrics").raise_for_status().text
    with httpx.Client(base_url=address, trust_env=False) as client:
        assert client.get("/").status_code == 404
        assert client.post("/metrics").status_code == 404
        return client.get("/metrics").raise_for_status().text


def samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((f"kiosk_broker_{name}", frozenset(labels.items())))


def days_until(certificate: x509.Certificate) -> float:
    return (certificate.not_valid_after_utc - datetime.now(UTC)).total_seconds() / 86_400


@pytest.fixture(params=["unix", "http"])
def address(request: pytest.FixtureRequest, place: Path) -> str:
    if request.param == "unix":
        return f"unix:{place}/metrics.sock"
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def broker(sandbox: RunningSandbox, place: Path, address: str) -> Iterator[RunningBroker]:
    sinks = [
        {"kind": "file", "url": f"file://{place}/copy.jsonl", "mode": "best-effort"},
        {"kind": "syslog", "url": f"unix:{place}/nobody", "mode": "best-effort"},
    ]
    config = broker_config(sandbox.directory, place, sinks, metrics={"listen": address})
    with broker_process(config, place) as running:
        yield running


def test_a_visit_is_counted(broker: RunningBroker, sandbox: RunningSandbox, address: str, place: Path) -> None:
    token, mac = sandbox.token("ada"), sandbox.device("NW-AKESSLER-14")
    before = samples(read(address))
    assert value(before, "visits_total") == 0
    assert value(before, "releases_total", outcome="ok") == 0
    broker.ask("GET", "/v1/session", token)
    broker.ask("GET", "/v1/devices", token)
    assert broker.release(token, mac.id).code == ""
    assert broker.release(token, sandbox.device("NW-JBRANDT-AIR").id).code == "device_not_yours"
    sandbox.fault("*/getFileVaultKey", "status", status=503, times=1)
    sandbox.fault("*/getFileVaultKey", "reset", times=1)
    assert broker.release(token, mac.id).code == ""
    assert broker.release(sandbox.token("sofia"), sandbox.device("NW-SMARINO-NULL").id).code == "key_with_person"
    broker.ask("GET", "/v1/made/up/by/somebody")

    # The first sink catches up without a request.
    copy = sink_name(broker.config.sink[0])
    wait_for(lambda: value(samples(read(address)), "sink_backlog_rows", sink=copy) == 0)
    text = read(address)
    found = samples(text)
    assert value(found, "visits_total") == 1
    assert value(found, "releases_total", outcome="ok") == 2
    assert value(found, "releases_total", outcome="device_not_yours") == 1
    assert value(found, "releases_total", outcome="key_with_person") == 1
    release = "/v1/devices/{device_id}/release"
    assert value(before, "refusals_total", route=release, code="graph_no_role") == 0
    assert value(found, "refusals_total", route=release, code="device_not_yours") == 1
    assert value(found, "refusals_total", route=release, code="key_with_person") == 1
    assert value(found, "refusals_total", route="other", code="route_unknown") == 1
    assert value(found, "request_seconds_count", route="/v1/session", status="200") == 1
    assert value(found, "request_seconds_count", route="/v1/devices/{device_id}/release", status="200") == 2
    assert value(found, "request_seconds_count", route="other", status="404") == 1
    assert value(found, "release_stage_seconds_count", stage="decide") == 4
    assert value(found, "release_stage_seconds_count", stage="key") == 3
    assert (value(found, "release_stage_seconds_sum", stage="key") or 0) > 0
    assert value(found, "upstream_seconds_count", upstream="graph", call="encryption") == 1
    assert value(found, "upstream_answers_total", upstream="graph", answer="503") == 1
    assert value(found, "upstream_answers_total", upstream="entra", answer="ok") == 1
    assert value(found, "upstream_answers_total", upstream="signing_keys", answer="ok") == 1
    certificate = certificate_of(broker.config.graph, "graph")
    assert value(found, "certificate_days_left", use="graph") == pytest.approx(days_until(certificate), abs=0.1)
    rows = len(broker.rows())
    assert value(found, "record_rows") == rows
    # One for the start, and one for each transaction since.
    assert (value(found, "record_lock_seconds_count") or 0) >= 5
    broker.ask("GET", "/v1/devices", token)
    assert value(samples(read(address)), "connections") == 1
    assert {why: value(found, "connections_closed_total", why=why) for why in Closed} == dict.fromkeys(Closed, 0)
    assert value(found, "sink_backlog_rows", sink=sink_name(broker.config.sink[1])) == rows
    for secret in (mac.key, mac.id, mac.serial, mac.name, "Ada", sandbox.person("ada").oid, "tty1", token[:40]):
        assert str(secret) not in text

    # Every metric in the operator's files exists.
    known = {name for name, _ in found} | set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    for file in sorted(MONITORING.iterdir()):
        named = set(NAME.findall(file.read_text()))
        assert named <= known, (file.name, named - known)
    named = set(NAME.findall((ROOT / "docs" / "operations.md").read_text()))
    assert named <= known, named - known
    assert {family.removesuffix("_total") for family in re.findall(r"^# TYPE (kiosk_\w+)", text, re.MULTILINE)} == {
        name.removesuffix("_total") for name in named
    }


def test_what_cannot_be_looked_up_is_missing(sandbox: RunningSandbox, place: Path) -> None:
    config = broker_config(sandbox.directory, place)
    (place / "record.db").touch()
    with contextlib.closing(State(config, SystemClock())) as state:
        metrics = Metrics()
        metrics.watch(state)
        assert value(samples(metrics.text().decode()), "record_rows") is None
        (place / "record.db").rename(place / "gone.db")
        found = samples(metrics.text().decode())
        assert value(found, "record_rows") is None
        assert value(found, "certificate_days_left", use="graph") is not None
        assert value(found, "info", version=__version__) == 1


def test_reading_them_and_writing_the_record_do_not_wait_for_each_other(sandbox: RunningSandbox, place: Path) -> None:
    config = broker_config(sandbox.directory, place)
    with open_record(config, SystemClock()).running():
        pass
    writer = sqlite3.connect(place / "record.db", isolation_level=None, timeout=0, check_same_thread=False)
    written = []

    def write(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM head" in statement:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("UPDATE head SET trials = trials + 1")
            writer.execute("COMMIT")
            written.append(statement)

    with contextlib.closing(writer), contextlib.closing(State(config, SystemClock())) as state:
        metrics = Metrics()
        metrics.watch(state)
        event.listen(Engine, "after_cursor_execute", write)
        try:
            assert value(samples(metrics.text().decode()), "record_rows") == 3
        finally:
            event.remove(Engine, "after_cursor_execute", write)
        assert written
        writer.execute("BEGIN IMMEDIATE")
        assert value(samples(metrics.text().decode()), "record_rows") == 3


@contextlib.contextmanager
def standby(url: str, place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Follow a server as a synchronous standby does: by writing its log to a disk of its own."""
    binaries = find_binaries()
    assert binaries
    socket_of = url.partition("?host=")[2]
    server = f"host={socket_of} user=broker application_name=second"
    program = (binaries / "initdb").resolve().with_name("pg_receivewal")
    command: list[str | Path] = [program, "-d", server, "-D", place, "--synchronous", "--no-loop"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_standby_that_is_behind_is_seen_by_those_who_may(
    sandbox: RunningSandbox, place: Path, postgresql_database: str
) -> None:
    url, key = postgresql_database, place / "record.key"
    Signer.load(key, make=True)
    config = broker_config(sandbox.directory, place, record={"database": url, "signing_key": key})
    with open_record(config, SystemClock()).running():
        pass
    anybody = broker_config(sandbox.directory, place, record={"database": url.replace("broker@", "anybody@")})
    with (
        psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as server,
        standby(url, place) as process,
        contextlib.closing(State(config, SystemClock())) as state,
        contextlib.closing(State(anybody, SystemClock())) as unprivileged,
    ):
        metrics, others = Metrics(), Metrics()
        metrics.watch(state)
        others.watch(unprivileged)

        def behind(read: Metrics) -> float:
            found = value(samples(read.text().decode()), "database_standby_behind_bytes", standby="second")
            return -1 if found is None else found

        wait_for(lambda: behind(metrics) == 0)
        process.send_signal(signal.SIGSTOP)
        server.execute("SELECT pg_logical_emit_message(true, '', repeat('x', 100000))")
        assert behind(metrics) > 100_000
        process.send_signal(signal.SIGCONT)
        wait_for(lambda: behind(metrics) == 0)
        server.execute("CREATE ROLE anybody LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO anybody")
        try:
            assert behind(others) == -1
            assert (value(samples(others.text().decode()), "record_rows") or 0) > 0
        finally:
            server.execute("DROP OWNED BY anybody; DROP ROLE anybody")


def test_the_certificate_of_the_listener_is_watched(sandbox: RunningSandbox, place: Path) -> None:
    certificate, key = place / "tls.pem", place / "tls.key"
    served = make_certificates(datetime.now(UTC)).server
    certificate.write_bytes(served.cert_chain_pems[0].bytes())
    key.write_bytes(served.private_key_pem.bytes())
    listen = {"url": "https://localhost:1", "certificate": certificate, "key": key}
    (place / "record.db").touch()
    state = State(broker_config(sandbox.directory, place, listen=listen), ManualClock(wall=datetime.now(UTC)))
    with contextlib.closing(state):

        def days() -> dict[str, float]:
            (found,) = [metric for metric in state.collect() if metric.name.endswith("days_left")]
            return {sample.labels["use"]: round(sample.value) for sample in found.samples}

        left = round(days_until(x509.load_pem_x509_certificate(certificate.read_bytes())))
        assert days() == {"graph": left, "tls": left}
        certificate.write_text("half")
        assert days() == {"graph": left}


def test_kiosks_cannot_read_them(shared_broker: RunningBroker) -> None:
    assert shared_broker.ask("GET", "/metrics").status_code == 404


def alerts() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
    return found


def increased(alert: str, before: Samples, after: Samples) -> bool:
    """Whether a counter that the alert watches was there before, and is higher now."""
    (expression,) = [one["expr"] for one in alerts() if one["alert"] == alert]
    watched = re.search(r'increase\((\w+)\{(\w+)=~"([^"]+)"\}', expression)
    assert watched
    name, label, codes = watched.groups()
    series = [one for one in before if one[0] == name and re.fullmatch(codes, dict(one[1])[label])]
    assert series
    return any(after[one] > before[one] for one in series)


def counted(broker: RunningBroker) -> Samples:
    assert broker.metrics
    return samples(broker.metrics.text().decode())


def test_a_record_that_cannot_be_written_raises_its_alert(start: Start, sandbox: RunningSandbox) -> None:
    """A visit meets it with its first request, long before a release begins."""
    with start() as broker:
        before = counted(broker)
        assert broker.ask("GET", "/v1/session", sandbox.token("ada")).is_success
        assert not increased("RecoveryKioskRecordUnavailable", before, counted(broker))
        for file in Path(broker.config.record.database.removeprefix("sqlite:///")).parent.glob("record.db*"):
            file.unlink()
        assert problem_code(broker.ask("GET", "/v1/session", sandbox.token("ada"))) == "record_unavailable"
        after = counted(broker)
        assert increased("RecoveryKioskRecordUnavailable", before, after)
        assert value(after, "refusals_total", route="/v1/session", code="record_unavailable") == 1


def test_a_broker_whom_nobody_asks_but_a_probe_raises_it_too(start: Start) -> None:
    with start() as broker:
        before = counted(broker)
        for file in Path(broker.config.record.database.removeprefix("sqlite:///")).parent.glob("record.db*"):
            file.unlink()
        assert broker.ask("GET", "/readyz").status_code == 503
        assert increased("RecoveryKioskRecordUnavailable", before, counted(broker))


def test_a_graph_that_lets_nobody_in_raises_its_alert(start: Start, sandbox: RunningSandbox) -> None:
    with start() as broker:
        before = counted(broker)
        assert broker.ask("GET", "/v1/devices", sandbox.token("ada")).is_success
        assert not increased("RecoveryKioskGraphRefuses", before, counted(broker))
        sandbox.fault("/beta/deviceManagement/managedDevices*", "status", status=403)
        assert problem_code(broker.ask("GET", "/v1/devices", sandbox.token("ada"))) == "graph_no_permission"
        assert increased("RecoveryKioskGraphRefuses", before, counted(broker))


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Debian: prometheus) is not installed")
def test_alerts_fire_and_stay_quiet() -> None:
    command = ["promtool", "test", "rules", str(Path(__file__).with_name("alerts_test.yml"))]
    tested = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_is_explained() -> None:
    described = (ROOT / "docs" / "operations.md").read_text()
    headings = re.findall(r"^### (\w+)$", described, re.MULTILINE)
    assert [one["alert"] for one in alerts()] == [name for name in headings if name.startswith("RecoveryKiosk")]
    for one in alerts():
        assert one["annotations"]["action"] == f"docs/operations.md#{one['alert'].lower()}"
        assert one["labels"]["severity"] in {"critical", "warning"}


def test_the_codes_in_alerts_exist() -> None:
    for one in alerts():
        for codes in re.findall(r'(?:outcome|code)=~?"([^"]+)"', one["expr"]):
            for code in codes.split("|"):
                pattern = re.compile(code)
                assert code == "ok" or any(pattern.fullmatch(known) for known in BY_CODE), code


def test_the_other_files_can_be_read() -> None:
    assert yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(target["expr"] for panel in panels for target in panel["targets"])
