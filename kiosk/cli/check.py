"""``kiosk check``: one command for both sides, which sees from the file which side it is for."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kiosk.cli.command_errors import reports_errors
from kiosk.process.exit_codes import EXIT_FAILED

if TYPE_CHECKING:
    from kiosk.checks.result import Run


_file = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--config", "path", type=_file, required=True, help="kiosk.toml or broker.toml.")
@click.option("--side", type=click.Choice(["kiosk", "broker"]), help="Whose file it is, where that cannot be seen.")
@click.option("--public-key", type=_file, help="Who may have signed checkpoints; the key in use if not given.")
@click.option("--json", "as_json", is_flag=True, help="Say it as one JSON object.")
@reports_errors
def check(path: Path, side: str | None, public_key: Path | None, as_json: bool) -> int:
    """Say what is wrong with one side and how to put it right: 0 if nothing fails, 1 if something does.

    Changes nothing, asks for no key, and can be run at any time.
    """
    import msgspec

    from kiosk.checks import report
    from kiosk.checks.result import Level
    from kiosk.checks.side import recognised
    from kiosk.config.loading import read_text
    from kiosk.process.hardening import harden

    side = side or recognised(path, read_text(path, "a configuration file"))
    if public_key and side == "kiosk":
        raise click.UsageError("--public-key is for the broker's side")
    harden()
    # What the programs log while they are tried is in the results.
    logging.disable(logging.CRITICAL)
    run = _checks(side, path, public_key)
    results = list(run if as_json else _told(run))
    whole = report.report(side, str(path), results)
    click.echo(msgspec.json.encode(whole) if as_json else report.summary(results))
    code = EXIT_FAILED if whole.level is Level.FAIL else 0
    if run.given_up:
        # Leaving in order would wait for what has just been given up.
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


def _told(run: Run[Any]) -> Iterable[Any]:
    """Each result, written as it comes."""
    from kiosk.checks.report import line

    fix = ""
    for result in run:
        click.echo(line(result, after=fix))
        fix = result.fix
        yield result
