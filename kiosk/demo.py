"""The demo: sandbox, broker and kiosk as separate processes on one machine, all gone when it ends."""

from __future__ import annotations

import contextlib
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from kiosk.config import KioskConfig, VisitSettings, load
from kiosk.desk import run_desk
from kiosk.errors import ConfigError
from kiosk.sandbox.phone import Phone

_START_SECONDS = 30.0
_STOP_SECONDS = 5.0


def run_demo(*, person: str | None, reveal_seconds: int | None, idle_seconds: int | None, devices: int | None) -> int:
    """Returns the exit code of the kiosk. Raises ConfigError, as when nobody of that name is in the sandbox."""
    click.echo("Starting a simulated organisation on this machine ...")
    with _scratch_directory() as directory, contextlib.ExitStack() as services:
        options = ["--directory", str(directory), "--port", "0"]
        options += ["--approve", person] if person else []
        options += ["--devices", str(devices)] if devices else []
        services.enter_context(_service(directory, "sandbox", *options))
        services.enter_context(_service(directory, "broker", "--config", str(directory / "broker.toml")))
        config = load(directory / "kiosk.toml", KioskConfig)
        config = msgspec.structs.replace(config, visit=_visit(config.visit, reveal_seconds, idle_seconds))
        phone = None if person else lambda: Phone(config.sign_in)
        return run_desk(config, phone=phone)


def _visit(visit: VisitSettings, reveal_seconds: int | None, idle_seconds: int | None) -> VisitSettings:
    return msgspec.structs.replace(
        visit,
        reveal_seconds=reveal_seconds or visit.reveal_seconds,
        idle_seconds=idle_seconds or visit.idle_seconds,
    )


@contextlib.contextmanager
def _scratch_directory() -> Iterator[Path]:
    """A folder for certificates, sockets and the record, removed at the end."""
    directory = Path(tempfile.mkdtemp(prefix="kiosk-demo-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def _service(directory: Path, name: str, *options: str) -> Iterator[None]:
    """One of our services, which ends with this process even when this one is killed: its standard input closes."""
    log = directory / f"{name}.log"
    command = [sys.executable, "-P", "-s", "-m", "kiosk", name, *options, "--until-stdin-closes"]
    with log.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if not select.select([process.stdout], [], [], _START_SECONDS)[0] or not process.stdout.readline():
            words = log.read_text(errors="replace").strip().splitlines()
            raise ConfigError(name, words[-1].removeprefix("kiosk: ") if words else "did not start")
        yield
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
