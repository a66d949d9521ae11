"""Sandbox and broker as processes of their own, started as the demo starts them."""

from __future__ import annotations

import contextlib
import json
import select
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Somebody with 24 Macs, more than fit on the screen; the two that the list begins with.
PERSON = "Wei Zhang"
FIRST, SECOND = "NW-LAB-14", "NW-LAB-01"
_START_SECONDS = 30
_STOP_SECONDS = 10


@dataclass(frozen=True)
class Services:
    """A simulated organisation that answers. The folder holds the files that its sandbox wrote."""

    directory: Path

    @property
    def kiosk_toml(self) -> Path:
        return self.directory / "kiosk.toml"

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    def tls(self) -> ssl.SSLContext:
        """For clients of the sandbox."""
        return ssl.create_default_context(cafile=self.ca)

    @property
    def admin_token(self) -> str:
        """For what the sandbox tells only those who started it, such as the requests it got."""
        return (self.directory / "admin-token").read_text()


@contextlib.contextmanager
def running_services(directory: Path, *, port: int = 0, approve: str | None = None) -> Iterator[Services]:
    """Start both, with their files in ``directory`` and no limits on releases.

    ``approve`` is the person as whom every sign-in approves itself.
    """
    settings = directory / "sandbox.toml"
    # A JSON string is a TOML string as well.
    lines = [f"directory = {json.dumps(str(directory))}"]
    lines += [f"approve = {json.dumps(approve)}"] if approve else []
    lines += ["[listen]", f"port = {port}"]
    lines += ["[device_code]", "interval_seconds = 1"]
    lines += ["[rules]", "per_person = []", "per_device = []"]
    settings.write_text("\n".join(lines) + "\n")
    with _service("sandbox", settings), _service("broker", directory / "broker.toml"):
        yield Services(directory)


@contextlib.contextmanager
def _service(name: str, config: Path) -> Iterator[None]:
    """One service, which ends when its standard input closes."""
    log = config.with_name(f"{name}.log")
    command = [sys.executable, "-P", "-s", "-m", "kiosk", name, "--config", str(config), "--until-stdin-closes"]
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if not select.select([process.stdout], [], [], _START_SECONDS)[0] or not process.stdout.readline():
                raise RuntimeError(f"{name} did not start: {log.read_text(errors='replace').strip()}")
            yield
        finally:
            process.stdin.close()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
