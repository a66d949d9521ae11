"""``kiosk audit``: shows, exports and verifies the record."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kiosk.cli.command_errors import reports_errors
from kiosk.errors import ConfigError
from kiosk.process.exit_codes import EXIT_DONE, EXIT_FAILED

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from kiosk.broker.audit.source import DatabaseSource
    from kiosk.broker.audit.verify import Verdict
    from kiosk.broker.record.head import Head

_file = click.Path(path_type=Path, dir_okay=False)
_config = click.option("--config", type=_file, help="broker.toml, which names the record to read.")
_database = click.option("--database", metavar="URL", help="The record's database, as in [record] database.")


@click.group()
def audit() -> None:
    """Read and verify the broker's record."""


@audit.command()
@_config
@_database
@click.option("--export", type=_file, help="A record exported as jsonl.")
@click.option(
    "--public-key", type=_file, required=True, help="Public keys that may have signed the record: Ed25519, PEM."
)
@click.option("--anchors", type=_file, help="Rows or checkpoints kept elsewhere, as JSON lines.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@reports_errors
def verify(
    config: Path | None,
    database: str | None,
    export: Path | None,
    public_key: Path,
    anchors: Path | None,
    as_json: bool,
) -> int:
    """Verify the record. Exits with 0 if it holds, 1 if it does not, 2 if it cannot be read."""
    import msgspec

    from kiosk.broker.audit.anchors import anchors as read_anchors
    from kiosk.broker.audit.source import ExportSource
    from kiosk.broker.audit.verify import verify as verified
    from kiosk.broker.record.checkpoints import public_keys

    _one_of(config=config, database=database, export=export)
    keys = public_keys(public_key)
    # Before the record, which may only be newer.
    seen = _seen(config, keys) if config else None
    with contextlib.ExitStack() as stack:
        source = ExportSource(export) if export else stack.enter_context(_opened(config, database))
        verdict = verified(source, keys, stack.enter_context(read_anchors(anchors, keys)), seen)
    click.echo(msgspec.json.encode(verdict) if as_json else _in_words(verdict))
    return EXIT_DONE if verdict.holds else EXIT_FAILED


@audit.command()
@_config
@_database
@click.option("--person", help="Part of a name or address, or an object id.")
@click.option("--device", help="Serial number, name or id of a Mac.")
@click.option("--since", metavar="WHEN", help="monday, today, 7d, 12h, 2026-11-20, 2026-11-20T08:00 (UTC).")
@click.option("--until", metavar="WHEN", help="In the same formats; a day is included as a whole.")
@click.option("--event", help="An event, such as release.done, or a prefix, such as release.")
@click.option("--outcome", help="ok, the code of a refusal, or how a reveal ended.")
@click.option("--seen", is_flag=True, help="Only keys that somebody saw or may have seen.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, with all fields.")
@reports_errors
def show(
    config: Path | None,
    database: str | None,
    person: str | None,
    device: str | None,
    since: str | None,
    until: str | None,
    event: str | None,
    outcome: str | None,
    seen: bool,
    as_json: bool,
) -> None:
    """Show entries, oldest first. All times are UTC."""
    from datetime import UTC, datetime

    from kiosk.broker.audit import show
    from kiosk.broker.audit.export import line

    _one_of(config=config, database=database)
    now = datetime.now(UTC)
    begin = show.moment("--since", since, now) if since else None
    end = show.moment("--until", until, now, end=True) if until else None
    count = 0
    with _opened(config, database) as source:
        wanted = show.wanted(
            source, person=person, device=device, since=begin, until=end, event=event, outcome=outcome, seen=seen
        )
        for row in wanted.rows(source):
            count += 1
            click.echo(line(row) if as_json else show.entry(row))
    if not as_json:
        click.echo("1 entry" if count == 1 else f"{count} entries")


@audit.command()
@_config
@_database
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", help="csv contains only the rows."
)
@click.option("--output", type=_file, help="A new file that only its owner can read; default: standard output.")
@reports_errors
def export(config: Path | None, database: str | None, form: str, output: Path | None) -> None:
    """Write the whole record. As jsonl it includes the checkpoints, so that it can be verified elsewhere."""
    from kiosk.broker.audit import export

    _one_of(config=config, database=database)
    with _opened(config, database) as source, export.target(output) as write:
        for piece in export.pieces(source, form):
            write(piece)


def _one_of(**given: object) -> None:
    if sum(value is not None for value in given.values()) != 1:
        names = " or ".join(f"--{name}" for name in given)
        raise ConfigError("kiosk audit", f"expected exactly one of {names}")


@contextlib.contextmanager
def _opened(config: Path | None, url: str | None) -> Iterator[DatabaseSource]:
    from kiosk.broker.audit.source import database
    from kiosk.config.broker import BrokerConfig
    from kiosk.config.loading import load

    address = load(config, BrokerConfig).record.database if config else url
    with database(address or "") as source:
        yield source


def _seen(config: Path, keys: Sequence[Ed25519PublicKey]) -> Head | None:
    """Return the newest head that the broker of this configuration saw, if it is known here."""
    from kiosk.broker.record.files import seen_file
    from kiosk.broker.record.head import Seen
    from kiosk.config.broker import BrokerConfig
    from kiosk.config.loading import load

    return Seen.load(seen_file(load(config, BrokerConfig).record), keys).head


def _in_words(verdict: Verdict) -> str:
    if not verdict.holds:
        vouched = f"rows 1 to {verdict.certain} are" if verdict.certain else "no row is"
        return f"does not hold: {verdict.says}\n{vouched} vouched for by a signature or an anchor"
    holds = "holds"
    if verdict.losses:
        row = "row" if len(verdict.losses) == 1 else "rows"
        holds += f", with a loss accepted at {row} {', '.join(map(str, verdict.losses))}"
    return f"{holds}: {verdict.rows} rows, {verdict.checkpoints} checkpoints, {verdict.anchors} anchors matched"
