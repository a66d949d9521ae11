"""The sandbox's own process: imports nothing that only its users need, as nearly every file of tests starts one."""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec

from kiosk.sandbox.server import Ready, serve
from kiosk.sandbox.settings import SandboxConfig


def as_path(kind: type[Any], value: object) -> Any:
    """Convert a path, for msgspec."""
    return kind(value)


def _announce(ready: Ready) -> None:
    words = {"url": ready.url, "directory": str(ready.directory), "admin_token": ready.admin_token}
    print(json.dumps(words), flush=True)


def run_sandbox(settings: bytes) -> None:
    """Serve with ``settings``, a SandboxConfig in JSON, until standard input closes."""
    config = msgspec.json.decode(settings, type=SandboxConfig, dec_hook=as_path)
    serve(config, until_stdin_closes=True, on_ready=_announce)


if __name__ == "__main__":
    run_sandbox(sys.argv[1].encode())
