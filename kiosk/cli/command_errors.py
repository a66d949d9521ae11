"""How every command ends: with a defined exit code, and with one line on standard error where something is wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import click

from kiosk.errors import ConfigError
from kiosk.process.exit_codes import EXIT_CONFIGURATION, EXIT_CRASH, EXIT_DONE
from kiosk.process.logging import place_of
from kiosk.text import clean

Arguments = ParamSpec("Arguments")

_LONGEST = 1000
# By the second word of the command line.
_EXTRAS = {
    "audit": "broker",
    "broker": "broker",
    "check": "broker",
    "demo": "broker,sandbox",
    "record": "broker",
    "sandbox": "broker,sandbox",
}


def reports_errors(command: Callable[Arguments, int | None]) -> Callable[Arguments, None]:
    """Wrap a command so that it exits with its return value, and reports exceptions in one line."""

    @wraps(command)
    def wrapper(*arguments: Arguments.args, **options: Arguments.kwargs) -> None:
        try:
            code = command(*arguments, **options)
        except ConfigError as error:
            # It may quote a file that somebody else wrote.
            click.echo(f"kiosk: {clean(str(error), _LONGEST)}", err=True)
            sys.exit(EXIT_CONFIGURATION)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("kiosk"):
                sys.exit(_crashed(error))
            words = click.get_current_context().command_path.split()
            extra = _EXTRAS.get(words[1], "") if len(words) > 1 else ""
            package = f"recovery-kiosk[{extra}]" if extra else "recovery-kiosk"
            click.echo(f"kiosk: {error.name} is not installed; this command needs {package}", err=True)
            sys.exit(EXIT_CONFIGURATION)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            sys.exit(_crashed(error))
        sys.exit(code or EXIT_DONE)

    return wrapper


def _crashed(error: Exception) -> int:
    """Report an unexpected exception without its text, which may quote a secret, and return the exit code."""
    click.echo(f"kiosk: internal error: {place_of(error)}", err=True)
    return EXIT_CRASH
