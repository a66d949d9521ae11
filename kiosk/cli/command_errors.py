"""How every command ends: with one clear line for what cannot be used, and with a defined exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import click

from kiosk.errors import ConfigError
from kiosk.process.exit_codes import EXIT_CONFIGURATION

Arguments = ParamSpec("Arguments")


def reports_errors(command: Callable[Arguments, int | None]) -> Callable[Arguments, None]:
    """One clear line for a configuration that cannot be used; a defined exit code for everything."""

    @wraps(command)
    def wrapper(*arguments: Arguments.args, **options: Arguments.kwargs) -> None:
        try:
            code = command(*arguments, **options)
        except ConfigError as error:
            click.echo(f"kiosk: {error}", err=True)
            sys.exit(EXIT_CONFIGURATION)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("kiosk"):
                raise
            # The second word of the command line: the extras of the package have the names of commands.
            words = click.get_current_context().command_path.split()
            extra = {"audit": "broker", "check": "broker"}.get(words[1], words[1]) if len(words) > 1 else words[0]
            click.echo(f"kiosk: {error.name} is not installed; this command needs recovery-kiosk[{extra}]", err=True)
            sys.exit(EXIT_CONFIGURATION)
        sys.exit(code or 0)

    return wrapper
