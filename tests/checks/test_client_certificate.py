"""``kiosk check`` against a broker that serves only clients with a certificate."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from kiosk.checks.result import Wrong
from kiosk.checks.trust import Service, fetch
from kiosk.clock import SystemClock
from tests.support.client_certificates import Certificates, listening


async def test_a_check_shows_the_kiosks_certificate_and_says_when_that_is_refused(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    good, bad = tmp_path / "good.pem", tmp_path / "bad.pem"
    certificates.clients.issue(good, "desk7.example")
    certificates.clients.issue(bad, "desk7.example", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    async with listening(certificates.tls) as (app, port):
        url = f"https://localhost:{port}"
        service = Service(url, "broker.url", tmp_path / "ca.pem", "broker.ca_bundle")

        async def ask(pair: Path | None) -> int:
            shown = replace(service, certificate=pair, private_key=pair)
            return (await asyncio.to_thread(fetch, shown, f"{url}/healthz", SystemClock())).status

        assert await ask(good) == 200
        with pytest.raises(Wrong, match="does not accept a client without certificate") as raised:
            await ask(None)
        assert "Enrol a kiosk" in raised.value.finding.fix
        with pytest.raises(Wrong, match=r"does not accept the certificate .*bad\.pem"):
            await ask(bad)
    assert len(app.peers) == 1
