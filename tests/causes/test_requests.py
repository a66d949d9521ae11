"""Requests that the broker cannot serve, because of a rule or a service that does not work."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme

from kiosk.broker.graph.credential import Credential
from kiosk.clock import SystemClock
from kiosk.config.kiosk import Policy
from kiosk.errors import ReasonRequired
from kiosk.net.tls import tls_context
from kiosk.sandbox.tenant.directory import load_directory
from kiosk.terminal.recorders import Recorders
from tests.causes.reader import Reader
from tests.causes.start import KEY_CALL, TOKEN_CALL, UNLIMITED, Start, at
from tests.causes.tables import ENTRA, GRAPH, LIMITS
from tests.support.kiosk_user import KEY, kiosk_user
from tests.support.other_broker import other_broker
from tests.support.sandbox import RunningSandbox
from tests.support.services import Services

ADA = next(one.oid for one in load_directory(SystemClock().utc()).people() if one.name == "Ada Kessler")


@pytest.mark.parametrize(
    ("code", "rules"),
    [
        ("self_service_off", {"self_service": "nobody"}),
        ("self_service_not_yours", {"self_service": "role"}),
        ("person_blocked", {"blocked_people": [ADA]}),
    ],
)
async def test_people_who_are_not_let_in(start: Start, reader: Reader, code: str, rules: dict[str, Any]) -> None:
    async with kiosk_user(start(rules=rules)) as person:
        await person.until("Press Enter to begin")
        await person.press("enter")
        await person.sign_in("Ada Kessler")
        await reader.trouble(person, code, leave="Finish")
        await person.press("enter")
        await person.until("You are signed out")


@pytest.mark.parametrize("code", LIMITS)
async def test_a_limit_that_is_reached(start: Start, reader: Reader, code: str) -> None:
    async with kiosk_user(start(rules=UNLIMITED | {LIMITS[code]: ("1/hour",)})) as person:
        await person.walk_to_devices("Ada Kessler")
        await person.press("enter")
        await person.until(KEY.search)
        await person.press("escape")
        await person.until("Which Mac is locked?")
        await person.press("enter")
        await person.until("You can try again in 60 minutes.")
        await reader.passing(person, code)


async def test_a_person_who_asks_too_often(start: Start, reader: Reader) -> None:
    async with kiosk_user(start(limits={"requests_per_minute": 1, "requests_at_once": 2})) as person:
        await person.walk_to_devices("Ada Kessler")
        await person.press("enter")
        await person.until("You can try again in 1 minute.")
        await reader.trouble(person, "limit_requests", leave="Back to the list")


async def test_a_missing_or_malformed_reason(start: Start, reader: Reader) -> None:
    rules = {"reason": "required", "reason_pattern": "INC[0-9]+", "reason_prompt": "Which ticket is it?"}
    async with kiosk_user(start(rules=UNLIMITED | rules)) as person:
        await person.walk_to_devices("Ada Kessler")
        await person.press("enter")
        for code, typed in ((ReasonRequired.code, "xx"), ("reason_unfit", "nope")):
            await person.until("Which ticket is it?")
            await person.press(*typed, "enter")
            await reader.trouble(person, code, leave="Back to the list")
            await person.press("enter")
            await person.until(f"> {typed}")
            await person.press(*["backspace"] * len(typed), *"yy", "enter")
            await person.until("(reason_required)")
            await person.press("escape")
            await person.until("Which Mac is locked?")
            await person.press("enter")


async def test_a_kiosk_that_asks_in_another_form(running: Services, reader: Reader) -> None:
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Ada Kessler")
        assert person.app.visit
        person.app.visit._keys.public_key = b"of another version"
        await person.press("enter")
        await reader.passing(person, "request_invalid")


async def test_a_broker_behind_another_address(start: Start, sandbox: RunningSandbox, reader: Reader) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"https://localhost:{probe.getsockname()[1]}"
    pair = {"certificate": sandbox.directory / "server.pem", "key": sandbox.directory / "server-key.pem"}
    running = at(sandbox, start(listen={"url": url} | pair).broker, f"{url}/elsewhere")
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        await person.press("enter")
        await person.sign_in("Ada Kessler")
        await reader.passing(person, "route_unknown", leave="Finish")


async def test_a_graph_that_does_not_give_the_key(
    running: Services, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Ada Kessler")
        for code, fault in GRAPH.items():
            running.sandbox.fault(KEY_CALL, **fault)
            await person.press("enter")
            await reader.passing(person, code)
            running.sandbox.clear_faults()
        with monkeypatch.context() as patch:
            patch.setattr(
                "kiosk.broker.graph.credential.Credential._acquire", lambda _: "a token that Graph does not take"
            )
            await person.press("enter")
            await reader.passing(person, "graph_refused")
        with monkeypatch.context() as patch:
            patch.setattr("kiosk.broker.rules.first_refusal", lambda _: 1 / 0)
            await person.press("enter")
            await reader.passing(person, "internal")
        await person.press("enter")
        await person.until(KEY.search)


async def test_a_broker_that_gets_no_token(running: Services, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if every cached token had just expired.
    monkeypatch.setattr(Credential, "_renew", property(lambda _: True, lambda _self, _value: None), raising=False)
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Ada Kessler")
        for code, fault in ENTRA.items():
            running.sandbox.fault(TOKEN_CALL, **fault)
            await person.press("enter")
            await reader.passing(person, code)
            running.sandbox.clear_faults()
        await person.press("enter")
        await person.until(KEY.search)


async def test_a_list_with_a_device_that_cannot_be_read(running: Services, reader: Reader) -> None:
    async with kiosk_user(running) as person:
        await person.walk_to_confirm("Ada Kessler")
        running.sandbox.fault("/beta/deviceManagement/managedDevices", "set", field="value.*.id", value=7)
        person.let_go()
        await person.press("enter")
        await reader.passing(person, "graph_devices_unreadable", leave="Finish")


@pytest.mark.parametrize("code", ["tokens_untrusted", "entra_untrusted", "graph_untrusted"])
async def test_certificates_that_the_broker_does_not_accept(
    start: Start, reader: Reader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str
) -> None:
    (other := tmp_path / "other.pem").write_bytes(trustme.CA().cert_pem.bytes())
    if code == "graph_untrusted":
        monkeypatch.setattr("kiosk.broker.graph.requests.tls_context", lambda _: tls_context(other))
    table = {"tokens_untrusted": "tokens", "entra_untrusted": "graph"}.get(code)
    async with kiosk_user(start(**({table: {"ca_bundle": other}} if table else {}))) as person:
        await person.until("Press Enter to begin")
        await person.press("enter")
        await person.sign_in("Ada Kessler")
        if code != "tokens_untrusted":
            await person.until("Is this you?")
            person.let_go()
            await person.press("enter")
        await reader.passing(person, code, leave="Finish")
    assert "unable to get local issuer certificate" in reader.log.text


@pytest.mark.parametrize("code", ["sign_in_untrusted", "broker_untrusted"])
async def test_certificates_that_the_kiosk_does_not_accept(
    start: Start, sandbox: RunningSandbox, reader: Reader, tmp_path: Path, code: str
) -> None:
    (other := tmp_path / "other.pem").write_bytes(trustme.CA().cert_pem.bytes())
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"https://localhost:{probe.getsockname()[1]}"
    pair = {"certificate": sandbox.directory / "server.pem", "key": sandbox.directory / "server-key.pem"}
    running = at(sandbox, start(listen={"url": url} | pair).broker)
    part: Any = running.config.device_code_settings if code == "sign_in_untrusted" else running.config.broker
    name = "device_code" if code == "sign_in_untrusted" else "broker"
    spoiled = msgspec.structs.replace(part, ca_bundle=other)
    running.config = msgspec.structs.replace(running.config, **{name: spoiled})
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        await person.press("enter")
        if code == "broker_untrusted":
            await person.sign_in("Ada Kessler")
        await reader.passing(person, code, leave="Finish")
        assert not person.app.guard.disturbed
    assert "unable to get local issuer certificate" in reader.log.text


async def test_an_authority_without_signing_keys(start: Start, reader: Reader) -> None:
    running = start()
    running.sandbox.fault("*/discovery/v2.0/keys", status=503)
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        await person.press("enter")
        await person.sign_in("Ada Kessler")
        await reader.passing(person, "tokens_unavailable", leave="Finish")


async def test_a_record_that_is_gone(start: Start, reader: Reader) -> None:
    running = start()
    async with kiosk_user(running) as person:
        await person.walk_to_devices("Ada Kessler")
        for file in Path(running.broker.config.record.database.removeprefix("sqlite:///")).parent.glob("record.db*"):
            file.unlink()
        await person.press("enter")
        await reader.passing(person, "record_unavailable")


async def test_a_sink_that_is_needed_and_away(start: Start, reader: Reader) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    running = start(sinks=[{"kind": "syslog", "url": url, "mode": "required"}])
    async with kiosk_user(running) as person:
        await person.until("Press Enter to begin")
        await person.press("enter")
        await person.sign_in("Ada Kessler")
        await reader.passing(person, "sink_unavailable", leave="Finish")


async def test_no_broker(running: Services, reader: Reader, tmp_path: Path) -> None:
    async with kiosk_user(at(running.sandbox, running.broker, f"unix:{tmp_path}/none.sock")) as person:
        await person.until("Press Enter to begin")
        await person.press("enter")
        await person.sign_in("Ada Kessler")
        await reader.passing(person, "broker_unreachable", leave="Finish")


async def test_something_else_in_place_of_the_broker(running: Services, reader: Reader) -> None:
    with tempfile.TemporaryDirectory(prefix="kb") as name:
        async with (
            other_broker(Path(name) / "other.sock") as other,
            kiosk_user(at(running.sandbox, running.broker, other.url)) as person,
        ):
            await person.walk_to_devices("Ada Kessler")
            for code, answer in (
                ("broker_garbled", other.foreign),
                ("seal_broken", other.damaged),
                ("unavailable", other.newer),
            ):
                other.release = answer
                await person.press("enter")
                await reader.passing(person, code)


async def test_a_terminal_that_is_watched(running: Services, reader: Reader) -> None:
    running.sandbox.clear_requests()
    async with kiosk_user(running, look=lambda: Recorders(("asciinema",), Policy.REFUSE)) as person:
        await person.walk_to_devices("Ada Kessler")
        await person.press("enter")
        await reader.passing(person, "terminal_watched")
    assert not running.sandbox.requests("getFileVaultKey")
