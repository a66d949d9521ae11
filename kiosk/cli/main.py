"""The command line. Each command imports only what it runs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import ClassVar

import click

from kiosk import __version__
from kiosk.cli.command_errors import reports_errors
from kiosk.cli.fast_path import run_kiosk

_config = click.option(
    "--config", "path", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The configuration file."
)
_until_stdin_closes = click.option(
    "--until-stdin-closes", is_flag=True, help="Stop when standard input closes, for programs that start this one."
)


class _Commands(click.Group):
    """A group whose larger commands are imported when they are called."""

    _later: ClassVar[dict[str, str]] = {
        "audit": "kiosk.cli.audit",
        "check": "kiosk.cli.check",
        "enroll": "kiosk.cli.enroll",
        "record": "kiosk.cli.record",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *self._later])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._later:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module(self._later[cmd_name]), cmd_name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kiosk")
def cli() -> None:
    """A kiosk where people read the FileVault recovery key of their own managed Mac."""


_linear = click.option("--linear", is_flag=True, help="Plain lines of text, for screen readers and braille.")


@cli.command()
@_config
@_linear
@reports_errors
def run(path: Path, linear: bool) -> int:
    """Run the kiosk on this terminal."""
    return run_kiosk(path, linear=linear)


@cli.command()
@click.option("--person", help="This person signs in on the phone, without being asked for.")
@click.option("--device-code", is_flag=True, help="Sign in with a device code, not on the sign-in page.")
@click.option("--reveal-seconds", type=click.IntRange(5, 3600), help="How long a key stays on the screen.")
@click.option("--idle-seconds", type=click.IntRange(1, 86_400), help="How long a visit can be idle before it locks.")
@click.option("--devices", type=click.IntRange(1, 1_000_000), help="Minimum number of devices in the simulated tenant.")
@_linear
@reports_errors
def demo(
    person: str | None,
    device_code: bool,
    reveal_seconds: int | None,
    idle_seconds: int | None,
    devices: int | None,
    linear: bool,
) -> int:
    """Start a simulated tenant, a broker, a sign-in page and the kiosk, all on this machine."""
    from kiosk.demo import run_demo
    from kiosk.models import SignInMethod

    return run_demo(
        person=person,
        reveal_seconds=reveal_seconds,
        idle_seconds=idle_seconds,
        devices=devices,
        linear=linear,
        method=SignInMethod.DEVICE_CODE if device_code else SignInMethod.WEB,
    )


class _BrokerCommands(click.Group):
    """The group of ``kiosk broker``, which runs the broker if no command follows."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["enroll"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name != "enroll":
            return None
        from kiosk.cli.enroll import sign

        return sign


@cli.group(cls=_BrokerCommands, invoke_without_command=True, subcommand_metavar="[COMMAND [ARGS]...]")
@click.option("--config", "path", type=click.Path(path_type=Path, dir_okay=False), help="The configuration file.")
@_until_stdin_closes
@click.pass_context
def broker(context: click.Context, path: Path | None, until_stdin_closes: bool) -> None:
    """Run the broker, which decides on releases, records them and fetches keys."""
    if context.invoked_subcommand is None:
        _run_broker(path, until_stdin_closes)
    elif path or until_stdin_closes:
        raise click.UsageError(f"kiosk broker {context.invoked_subcommand} has options of its own")


@reports_errors
def _run_broker(path: Path | None, until_stdin_closes: bool) -> None:
    if path is None:
        raise click.UsageError("Missing option '--config'.")
    from kiosk.process.preload import skip_httpx_cli

    skip_httpx_cli()
    from kiosk.broker.server import serve
    from kiosk.config.broker import BrokerConfig
    from kiosk.config.loading import load
    from kiosk.process.hardening import harden, overwrite_freed

    harden()
    overwrite_freed()
    serve(
        load(path, BrokerConfig),
        until_stdin_closes=until_stdin_closes,
        on_ready=lambda: click.echo("ready"),
    )


@cli.command("sign-in")
@_config
@_until_stdin_closes
@reports_errors
def sign_in(path: Path, until_stdin_closes: bool) -> None:
    """Run the page that people open on their phones to sign in."""
    from kiosk.process.preload import skip_httpx_cli

    skip_httpx_cli()
    from kiosk.config.loading import load
    from kiosk.config.sign_in_page import SignInPageConfig
    from kiosk.process.hardening import harden, overwrite_freed
    from kiosk.sign_in_page.server import serve

    harden()
    overwrite_freed()
    serve(
        load(path, SignInPageConfig),
        until_stdin_closes=until_stdin_closes,
        on_ready=lambda: click.echo("ready"),
    )


@cli.command()
@click.option("--config", "path", type=click.Path(path_type=Path, dir_okay=False), help="The configuration file.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the clients' files.",
)
@click.option("--port", type=click.IntRange(0, 65_535), help="TCP port on loopback; 0 selects a free one.")
@click.option("--devices", type=click.IntRange(1, 1_000_000), help="Minimum number of devices.")
@click.option("--approve", metavar="NAME", help="Approve every sign-in after a second, as this person.")
@_until_stdin_closes
@reports_errors
def sandbox(
    path: Path | None,
    directory: Path | None,
    port: int | None,
    devices: int | None,
    approve: str | None,
    until_stdin_closes: bool,
) -> None:
    """Run a simulated tenant: Entra ID and Microsoft Graph on loopback, over TLS."""
    from kiosk.process.logging import to_stderr
    from kiosk.sandbox.server import Ready, serve
    from kiosk.sandbox.settings import configure

    def announce(ready: Ready) -> None:
        click.echo(f"ready: {ready.url}, files for kiosk and broker in {ready.directory}")

    to_stderr()
    config = configure(path, directory=directory, port=port, devices=devices, approve=approve)
    serve(config, until_stdin_closes=until_stdin_closes, on_ready=announce)
