"""What the kiosk's own log, which goes to the system's, holds of a sign-in that went wrong: never a token."""

from __future__ import annotations

import asyncio
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiosk.clock import SystemClock
from kiosk.config.kiosk import KioskConfig
from kiosk.config.loading import load
from kiosk.identity.device_code import DeviceCodeSignIn
from kiosk.process.logging import to_stderr
from tests.support.broker import wait_for
from tests.support.sandbox import running_sandbox


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root, raising, last = logging.getLogger(), logging.raiseExceptions, logging.lastResort
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    with warnings.catch_warnings():
        to_stderr()
        root.addHandler(logging.StreamHandler(stream))
        yield stream
    root.handlers[:], logging.raiseExceptions, logging.lastResort = handlers, raising, last
    root.setLevel(level)


async def test_an_answer_that_cannot_be_read_is_not_quoted(tmp_path: Path, log: io.StringIO) -> None:
    with running_sandbox(tmp_path, approve="Ada Kessler") as sandbox:
        sign_in = DeviceCodeSignIn(
            load(sandbox.directory / "kiosk.toml", KioskConfig).device_code_settings, SystemClock()
        )
        await sign_in.begin()
        # The answer with the token is the last one; the ones before say that nobody has approved yet.
        sandbox.fault("*/oauth2/v2.0/token", "truncated", method="POST")
        waiting = asyncio.create_task(sign_in.wait())
        await asyncio.to_thread(wait_for, lambda: any(one["fault"] for one in sandbox.requests("/v2.0/token")[:-1]))
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        sign_in.forget()
    assert "access_token" not in log.getvalue()
    assert "eyJ" not in log.getvalue()
