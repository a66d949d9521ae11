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


if __name__ == "__main__":
    serve(
        msgspec.json.decode(sys.argv[1], type=SandboxConfig, dec_hook=as_path),
        until_stdin_closes=True,
        on_ready=_announce,
    )
