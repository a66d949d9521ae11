"""Device code and token are overwritten in memory, not only dropped, as soon as they are no longer needed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiosk.__main__ import environment
from tests.support.memory import scan
from tests.support.sandbox import running_sandbox

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may read the memory of our processes"
)

# A visit's sign-in and nothing else. It prints its secrets without keeping another copy.
SIGN_IN = """
import asyncio, gc, os, sys
from pathlib import Path
from kiosk.clock import SystemClock
from kiosk.config.kiosk import KioskConfig
from kiosk.config.loading import load
from kiosk.identity.device_code import DeviceCodeSignIn
from kiosk.process.hardening import overwrite_freed

def tell(words):
    os.write(1, words.encode() + b"\\n")
    os.read(0, 1)

async def main():
    overwrite_freed()
    sign_in = DeviceCodeSignIn(load(Path(sys.argv[1]), KioskConfig).device_code_settings, SystemClock())
    await sign_in.begin()
    tell(sign_in._flow["device_code"])
    await sign_in.wait()
    gc.collect()
    tell(sign_in.authorization().removeprefix("Bearer "))
    sign_in.forget()
    # asyncio holds the last answer until its next round.
    await asyncio.sleep(0)
    gc.collect()
    tell("forgotten")

asyncio.run(main())
"""


@pytest.fixture
def sign_in(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (
        running_sandbox(tmp_path, approve="Ada Kessler") as sandbox,
        subprocess.Popen(
            [sys.executable, "-c", SIGN_IN, str(sandbox.directory / "kiosk.toml")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(dict(os.environ)),
        ) as process,
    ):
        yield process
        process.kill()


def told(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout
    return process.stdout.readline().decode().strip()


def go_on(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.write(b".")
    process.stdin.flush()


def test_neither_device_code_nor_token_stays(sign_in: subprocess.Popen[bytes]) -> None:
    device_code = told(sign_in)
    assert len(device_code) > 100
    assert scan(sign_in.pid, device_code)
    go_on(sign_in)
    signature = told(sign_in).rpartition(".")[2]
    assert len(signature) > 100
    assert not scan(sign_in.pid, device_code)
    assert scan(sign_in.pid, signature)
    go_on(sign_in)
    assert told(sign_in) == "forgotten"
    assert not scan(sign_in.pid, signature)
