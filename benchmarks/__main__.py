"""Run all measurements, one after the other, and print a table for each, or JSON with ``--json``."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from benchmarks import idle, latency, machine, release, startup
from benchmarks.figures import Topic
from benchmarks.services import PERSON, running_services


def _topics(directory: Path) -> Iterator[Topic]:
    with running_services(directory, approve=PERSON) as services:
        yield from startup.measure(services.kiosk_toml)
        yield from latency.measure(services.kiosk_toml)
        yield from release.measure(services)
        yield from idle.measure(services.kiosk_toml)


@click.command(help=__doc__)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of tables.")
def main(as_json: bool) -> None:
    if sys.platform != "linux":
        raise click.ClickException("the measurements read /proc, which only Linux has")
    about = machine.describe()
    if not as_json:
        click.echo("\n".join(f"{name:<16}{value}" for name, value in about.items()))
    with tempfile.TemporaryDirectory(prefix="kiosk-benchmarks-") as directory:
        topics = []
        for topic in _topics(Path(directory)):
            topics.append(topic.plain())
            if not as_json:
                click.echo("\n".join(topic.lines()))
    if as_json:
        click.echo(json.dumps({"machine": about, "topics": topics}, indent=2))


if __name__ == "__main__":
    main()
