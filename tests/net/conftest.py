"""A certificate for the servers of these tests."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kiosk.net.server_tls import Tls
from kiosk.sandbox.certificates import make_certificates


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """Return a certificate for localhost and its key."""
    place = tmp_path_factory.mktemp("tls")
    made = make_certificates(datetime.now(UTC))
    made.server.private_key_and_cert_chain_pem.write_to_path(place / "server.pem")
    return Tls(place / "server.pem", place / "server.pem")
