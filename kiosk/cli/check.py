"""``kiosk check``: one command for both sides. The file tells which side it is for."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kiosk.cli.command_errors import reports_errors
from kiosk.process.exit_codes import EXIT_DONE, EXIT_FAILED

if TYPE_CHECKING:
    from kiosk.checks.result import Run


_file = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--config", "path", type=_file, required=True, help="kiosk.toml or broker.toml.")
@click.option(
    "--side", type=click.Choice(["kiosk", "broker"]), help="Whose file it is, if its tables do not show that."
)
@click.option("--public-key", type=_file, help="Public keys that may have signed the record; default: the key in use.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@reports_errors
def check(path: Path, side: str | None, public_key: Path | None, as_json: bool) -> int:
    """Find out what is wrong with the kiosk or the broker, and how to fix it. Exits with 1 if a check fails.

    Changes nothing, asks for no key, and is safe at any time.
    """
    import msgspec

    from kiosk.checks import report
    from kiosk.checks.result import Level
    from kiosk.checks.side import recognised
    from kiosk.config.loading import read_text
    from kiosk.process.hardening import harden

    side = side or recognised(path, read_text(path, "a configuration file"))
    if public_key and side == "kiosk":
        raise click.UsageError("--public-key is only for the broker")
    harden()
    # The results say what the programs would log while they are tried.
    logging.disable(logging.CRITICAL)
    run = _checks(side, path, public_key)
    results = list(run if as_json else _echoed(run))
    whole = report.report(side, str(path), results)
    click.echo(msgspec.json.encode(whole) if as_json else report.summary(results))
    code = EXIT_FAILED if whole.level is Level.FAIL else EXIT_DONE
    if run.given_up:
        # A normal exit would wait for the threads that were given up.
        sys.stdout.flush()
        os._exit(code)
    return code


def _checks(side: str, path: Path, public_key: Path | None) -> Run[Any]:
    from kiosk.checks.result import Run

    if side == "broker":
        from kiosk.checks import broker_side

        return Run(broker_side.CHECKS, broker_side.Broker(path, public_key=public_key))
    from kiosk.checks import kiosk_side

    return Run(kiosk_side.CHECKS, kiosk_side.Kiosk(path))


def _echoed(run: Run[Any]) -> Iterable[Any]:
    """Yield each result and write it as soon as it is there."""
    from kiosk.checks.report import line

    fix = ""
    for result in run:
        click.echo(line(result, after=fix))
        fix = result.fix
        yield result
