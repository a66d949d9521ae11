"""The demo: starts sandbox, broker, sign-in page and kiosk as separate processes, and removes everything at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import click
import httpx
import msgspec

from kiosk.config.kiosk import KioskConfig, Policy, RecorderPolicies
from kiosk.config.loading import load
from kiosk.config.sign_in_page import SignInPageConfig
from kiosk.errors import ConfigError
from kiosk.i18n import N_
from kiosk.launcher import launch
from kiosk.models import SignInMethod
from kiosk.sandbox.phone import Phone, PhoneError
from kiosk.sign_in_messages import WordPair
from kiosk.text import clean
from kiosk.visit.demo_phone import DemoPerson

_START_SECONDS = 30.0
_STOP_SECONDS = 5.0
_NOTE = N_("DEMO - simulated organisation")


def run_demo(
    *,
    person: str | None,
    reveal_seconds: int | None,
    idle_seconds: int | None,
    devices: int | None,
    linear: bool,
    method: SignInMethod = SignInMethod.WEB,
) -> int:
    """Run the demo. Returns the kiosk's exit code. Raises ConfigError, for example for a person who does not exist."""
    click.echo("Starting a simulated organisation on this machine ...")
    with _scratch_directory() as directory, contextlib.ExitStack() as services:
        settings = directory / "sandbox.toml"
        settings.write_text(_sandbox_toml(directory, person, reveal_seconds, idle_seconds, devices, method))
        services.enter_context(_service(directory, "sandbox", settings))
        services.enter_context(_service(directory, "broker", directory / "broker.toml"))
        config = load(directory / "kiosk.toml", KioskConfig)
        phone: Callable[[], SimulatedPhone] | None = None
        if method is SignInMethod.WEB:
            page = load(directory / "sign-in.toml", SignInPageConfig)
            services.enter_context(_service(directory, "sign-in", directory / "sign-in.toml"))
            click.echo(f"The sign-in page, also for a browser on this machine: {page.listen.address}")
            phone = partial(SimulatedPhone, page.entra.authority, page.entra.ca_bundle, person or "")
        elif not person:
            # With a person every device code approves itself, so there is no phone to play.
            codes = config.device_code_settings
            phone = partial(SimulatedPhone, codes.authority, codes.ca_bundle)
        # The keys are made up, so recorders may see them.
        unwatched = RecorderPolicies(**dict.fromkeys(RecorderPolicies.__struct_fields__, Policy.ALLOW))
        config = msgspec.structs.replace(config, recorders=unwatched)
        return launch(config, linear=linear, phone=phone, note=_NOTE)


def _sandbox_toml(
    directory: Path,
    person: str | None,
    reveal_seconds: int | None,
    idle_seconds: int | None,
    devices: int | None,
    method: SignInMethod,
) -> str:
    # A JSON string is also a TOML string.
    lines = [f"directory = {json.dumps(str(directory))}"]
    lines += [f"approve = {json.dumps(person)}"] if person else []
    lines += ["[sign_in]", f"method = {json.dumps(method.value)}"]
    lines += ["[device_code]", "interval_seconds = 1"]
    lines += ["[tenant]", f"devices = {devices}"] if devices else []
    lines += ["[visit]"]
    lines += [f"reveal_seconds = {reveal_seconds}"] if reveal_seconds else []
    lines += [f"idle_seconds = {idle_seconds}"] if idle_seconds else []
    return "\n".join(lines) + "\n"


class SimulatedPhone:
    """The phone that F9 plays: a new browser for each call."""

    def __init__(self, authority: str, ca_bundle: Path | None, person: str = "") -> None:
        """``authority`` is that of the sandbox. ``person`` signs in without being asked for."""
        assert ca_bundle is not None, "the sandbox writes it"
        self._url = f"https://{urlsplit(authority).netloc}"
        self._ca_bundle = ca_bundle
        self.person = person
        self.said = ""
        self._signing_in: asyncio.Task[None] | None = None

    async def people(self) -> list[DemoPerson]:
        """Return everybody in the simulated organisation."""
        async with Phone(self._url, self._ca_bundle) as phone:
            return [DemoPerson(*somebody) for somebody in await phone.people()]

    async def approve(self, user_code: str, who: str) -> None:
        """Enter the code and approve, as a person would in a browser."""
        async with Phone(self._url, self._ca_bundle) as phone:
            await phone.approve(user_code, who)

    def open_link(self, link: str, words: WordPair, who: str) -> None:
        """Walk through the sign-in page in the background."""
        self.put_away()
        self._signing_in = asyncio.ensure_future(self._sign_in(link, words, who))

    def put_away(self) -> None:
        """Stop what the phone does."""
        self.said = ""
        if self._signing_in:
            self._signing_in.cancel()

    async def _sign_in(self, link: str, words: WordPair, who: str) -> None:
        try:
            async with Phone(self._url, self._ca_bundle) as phone:
                digits = await phone.sign_in(link, words, who)
            self.said = f"{digits[:3]} {digits[3:]}"
        except (PhoneError, httpx.HTTPError) as error:
            self.said = clean(str(error)) or type(error).__name__


# Repeated for a while: if the demo was killed, the services may still be writing.
_SWEEP = 'read -r _; for _ in 1 2 3 4 5 6 7 8 9; do rm -rf -- "$1" && [ ! -e "$1" ] && exit; sleep 1; done'


@contextlib.contextmanager
def _scratch_directory() -> Iterator[Path]:
    """Make a folder for certificates, sockets and the record, removed at the end even if this process is killed."""
    directory = Path(tempfile.mkdtemp(prefix="kiosk-demo-"))
    sweeper = subprocess.Popen(  # noqa: S603 - our own words
        ["/bin/sh", "-c", _SWEEP, "sweep", str(directory)], stdin=subprocess.PIPE, start_new_session=True
    )
    assert sweeper.stdin is not None
    try:
        yield directory
    finally:
        sweeper.stdin.close()
        sweeper.wait()


@contextlib.contextmanager
def _service(directory: Path, name: str, config: Path) -> Iterator[None]:
    """Run one service. It ends when its standard input closes, and so when this process is killed."""
    log = directory / f"{name}.log"
    command = [sys.executable, "-P", "-s", "-m", "kiosk", name, "--config", str(config), "--until-stdin-closes"]
    with log.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if not select.select([process.stdout], [], [], _START_SECONDS)[0] or not process.stdout.readline():
            said = log.read_text(errors="replace").strip().splitlines() or [f"{name}: did not start"]
            place, _, expected = said[-1].removeprefix("kiosk: ").partition(": ")
            raise ConfigError(place, expected)
        yield
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
