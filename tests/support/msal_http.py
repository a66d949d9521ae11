"""An HTTP client for MSAL, for tests that call MSAL without an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from kiosk.net.msal_http import MsalHttp
from kiosk.net.tls import tls_context


@contextlib.contextmanager
def msal_http(ca: Path) -> Iterator[MsalHttp]:
    """Send requests on an event loop in a thread, as the kiosk does."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    http = MsalHttp(tls_context(ca))
    http.loop = loop
    try:
        yield http
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
