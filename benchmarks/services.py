"""Run sandbox and broker in their own processes, as the demo does."""

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

# A person with 24 Macs, more than fit on the screen, and the first two in the list.
PERSON = "Wei Zhang"
FIRST, SECOND = "NW-LAB-14", "NW-LAB-01"
_START_SECONDS = 30
_STOP_SECONDS = 10


@dataclass(frozen=True)
class Services:
    """A running sandbox and broker. The folder holds the files that the sandbox wrote."""

    directory: Path

    @property
    def kiosk_toml(self) -> Path:
        return self.directory / "kiosk.toml"

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    def tls(self) -> ssl.SSLContext:
        """A TLS context for clients of the sandbox."""
        return ssl.create_default_context(cafile=self.ca)

    @property
    def admin_token(self) -> str:
        """The token for the sandbox's administrative interface, such as its log of requests."""
        return (self.directory / "admin-token").read_text()


@contextlib.contextmanager
def running_services(
    directory: Path, *, port: int = 0, approve: str | None = None, page_port: int | None = None
) -> Iterator[Services]:
    """Start both, with their files in ``directory`` and no limits on releases.

    ``approve`` is the person as whom the sandbox approves every sign-in. People sign in with device codes, or with
    ``page_port`` on a sign-in page there, which is started as well.
    """
    settings = directory / "sandbox.toml"
    # A JSON string is also a TOML string.
    lines = [f"directory = {json.dumps(str(directory))}"]
    lines += [f"approve = {json.dumps(approve)}"] if approve else []
    lines += ["[listen]", f"port = {port}"]
    method = ['method = "web"', f"port = {page_port}"] if page_port else ['method = "device_code"']
    lines += ["[sign_in]", *method]
    lines += ["[device_code]", "interval_seconds = 1"]
    lines += ["[rules]", "per_person = []", "per_device = []"]
    settings.write_text("\n".join(lines) + "\n")
    broker = directory / "broker.toml"
    with _service("sandbox", settings):
        # More requests than a person may send.
        more = "requests_per_minute = 100000\nrequests_at_once = 100000\n"
        written, heading, limits = broker.read_text().partition("[limits]\n")
        broker.write_text(written + (heading or "[limits]\n") + more + limits)
        with _service("broker", broker):
            page = _service("sign-in", directory / "sign-in.toml") if page_port else contextlib.nullcontext()
            with page:
                yield Services(directory)


@contextlib.contextmanager
def _service(name: str, config: Path) -> Iterator[None]:
    """Run one service until the block ends, which closes the service's standard input."""
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
