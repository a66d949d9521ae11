"""``kiosk check`` says how people sign in, and what is wrong or weak about it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiosk.checks.result import Level
from tests.checks.conftest import Pair
from tests.support.broker import broker_config, running_broker
from tests.support.checks import Installation, installation
from tests.support.sandbox import running_sandbox

KIOSK_CHECKS = ("configuration", "authority", "device-code", "broker", "sign-in", "clock")


@pytest.fixture(scope="module")
def web() -> Iterator[Installation]:
    """An installation in which people sign in on their phone."""
    with (
        tempfile.TemporaryDirectory(prefix="kc") as name,
        running_sandbox(Path(name), sign_in={"method": "web"}) as sandbox,
        tempfile.TemporaryDirectory(prefix="kc") as place,
        running_broker(broker_config(sandbox.directory, Path(name))) as broker,
        installation(sandbox, Path(place), broker.config.listen.url) as made,
    ):
        yield made


def test_on_the_phone_nothing_is_wrong_and_the_kiosk_asks_nobody(web: Installation) -> None:
    web.sandbox.clear_requests()
    results = web.results("kiosk")
    assert {name: results[name].level for name in KIOSK_CHECKS} == dict.fromkeys(KIOSK_CHECKS, Level.PASS), results
    # The broker fetches the signing keys; the kiosk itself asks for nothing.
    assert {one["method"] for one in web.sandbox.requests()} <= {"GET"}
    assert results["sign-in"].found == "starts; people are sent to localhost"
    found = web.results("broker")["sign-in"]
    assert (found.level, found.found) == (Level.PASS, f"people sign in on {web.broker['sign_in']['page']}")


def test_a_kiosk_without_a_place_or_without_a_certificate(web: Installation) -> None:
    kept = web.kiosk
    try:
        web.kiosk = kept | {"sign_in": kept["sign_in"] | {"place": ""}}
        web.write()
        found = web.results("kiosk")["configuration"]
        assert (found.level, "sign_in.place" in found.found) == (Level.WARN, True)
        web.kiosk = kept | {"broker": {"url": "https://broker.example"}}
        web.write()
        found = web.results("kiosk")["configuration"]
        assert (found.level, "broker.certificate" in found.found) == (Level.FAIL, True)
        assert "kiosk enroll" in found.fix
    finally:
        web.kiosk = kept
        web.write()


@pytest.mark.parametrize("side", ["kiosk", "broker"])
def test_what_device_codes_do_not_prevent_is_said(healthy: Installation, side: str) -> None:
    found = healthy.results(side)["sign-in"]
    assert found.level is Level.WARN
    assert "can be passed on" in found.found
    assert "passkey" in found.found
    assert 'sign_in.method to "web"' in found.fix


def test_a_broker_that_expects_another_way(web: Installation, healthy: Installation) -> None:
    """The broker of ``healthy`` has device codes."""
    kept = web.kiosk
    try:
        web.kiosk = kept | {"broker": healthy.kiosk["broker"]}
        web.write()
        found = web.results("kiosk")["sign-in"]
        assert (found.level, "sign_in_method_off" in found.found) == (Level.FAIL, True)
        assert "the same in kiosk.toml and broker.toml" in found.fix
    finally:
        web.kiosk = kept
        web.write()


def test_device_codes_without_their_table(healthy: Installation, pair: Pair) -> None:
    del healthy.kiosk["device_code"]
    healthy.write()
    found = healthy.results("kiosk")["configuration"]
    assert found.level is Level.FAIL
    assert "[device_code]" in found.fix
