"""Details of HTTP that every client shares."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from kiosk.net.http import retry_after, service_client

DATE = "Sun, 22 Nov 2026 09:00:00 GMT"
HOUR = 3600.0


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("7", DATE, 7.0),
        ("7", "", 7.0),
        (" 0 ", DATE, 0.0),
        ("86400", DATE, HOUR),
        ("9" * 400, DATE, HOUR),
        ("Sun, 22 Nov 2026 09:00:09 GMT", DATE, 9.0),
        ("Sun, 22 Nov 2026 08:00:00 GMT", DATE, 0.0),
        ("Mon, 23 Nov 2026 09:00:00 GMT", DATE, HOUR),
        # Without the server's clock a date says nothing.
        ("Sun, 22 Nov 2026 09:00:09 GMT", "", None),
        ("Sun, 22 Nov 2026 09:00:09 GMT", "today", None),
        ("Sun, 22 Nov 2026 09:00:09", DATE, None),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", DATE, None),
        ("-1", DATE, None),
        ("1.5", DATE, None),
        ("\u0667", DATE, None),
        ("soon", DATE, None),
        ("", DATE, None),
    ],
)
def test_how_long_a_server_wants_us_to_wait(value: str, date: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value, "date": date}) == seconds
    if value.isascii():
        assert retry_after(httpx.Headers({"Retry-After": value, "Date": date})) == seconds
    assert retry_after({}) is None


async def test_a_client_for_a_socket_ignores_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    async with service_client(f"unix:{tmp_path}/broker.sock") as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/healthz")
