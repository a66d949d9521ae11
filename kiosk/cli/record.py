"""``kiosk record``: what an operator decides about the record itself."""

from __future__ import annotations

from pathlib import Path

import click

from kiosk.cli.command_errors import reports_errors

_file = click.Path(path_type=Path, dir_okay=False)
_config = click.option("--config", type=_file, required=True, help="broker.toml, which names the record to change.")


@click.group()
def record() -> None:
    """Change the broker's record: accept a loss, or migrate it to this version."""


@record.command("accept-loss")
@_config
@click.option("--public-key", type=_file, help="Public keys that signed the record so far; default: the key in use.")
@click.option("--anchors", type=_file, help="What a sink received, as JSON lines; shows which rows are lost.")
@reports_errors
def accept_loss(config: Path, public_key: Path | None, anchors: Path | None) -> None:
    """Continue with a record that was rolled back or signed with another key. The record states this for good."""
    from kiosk.broker.audit import acceptance
    from kiosk.clock import SystemClock
    from kiosk.config.broker import BrokerConfig
    from kiosk.config.loading import load

    settings = load(config, BrokerConfig).record
    said = acceptance.accept_loss(settings, public_key, anchors, SystemClock())
    click.echo(f"accepted: {said}")


@record.command()
@_config
@click.option("--database", metavar="URL", help="The same database, with an account that may change its tables.")
@click.option("--public-key", type=_file, help="Public keys that signed it so far; default: the key in use.")
@reports_errors
def migrate(config: Path, database: str | None, public_key: Path | None) -> None:
    """Migrate a record of the previous version to this one, while brokers run. Keep a copy first."""
    from kiosk.broker.audit import migration
    from kiosk.config.broker import BrokerConfig
    from kiosk.config.loading import load

    rows = migration.migrate(load(config, BrokerConfig).record, database, public_key)
    click.echo(f"migrated: {rows} rows")
