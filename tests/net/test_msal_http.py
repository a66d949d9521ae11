"""MSAL's HTTP client closes MSAL's log, which would quote tokens."""

from __future__ import annotations

import logging

import pytest

from kiosk.net.msal_http import MsalHttp
from kiosk.net.tls import tls_context


def test_msal_is_silent_as_soon_as_it_can_send_anything(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("msal").setLevel(logging.NOTSET)
    logging.getLogger("msal.application").critical("before")
    MsalHttp(tls_context())
    for name in ("msal", "msal.application", "msal.oauth2cli.oauth2"):
        logging.getLogger(name).critical("after")
    assert caplog.messages == ["before"]
