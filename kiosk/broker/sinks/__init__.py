"""Copies of the record outside its database. ``docs/sinks.md`` describes what each kind of sink sends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from kiosk.broker.sinks.address import expected_instead, sink_name
from kiosk.broker.sinks.delivery import Delivery, Worker
from kiosk.broker.sinks.journald import Journald
from kiosk.broker.sinks.json_lines import JsonLines
from kiosk.broker.sinks.offsets import Offsets, Signs, unsigned
from kiosk.broker.sinks.sink import Sink
from kiosk.broker.sinks.syslog import DatagramSyslog, StreamSyslog
from kiosk.broker.sinks.webhook import Webhook
from kiosk.clock import ThreadClock
from kiosk.config.broker import SinkSettings
from kiosk.config.loading import read_text
from kiosk.errors import ConfigError
from kiosk.net.http import can_be_sent
from kiosk.net.tls import tls_context

JOURNAL = "unix:/run/systemd/journal/socket"
_REQUIRED = "required"
PORTS = {"udp": 514, "tcp": 601, "tls": 6514}
_FORMS = {
    "syslog": "unix:/path, udp://host:port, tcp://host:port or tls://host:port",
    "journald": "unix:/path",
    "file": "file:/path",
    "webhook": "an address that begins with https://",
}


def open_sinks(
    settings: Sequence[SinkSettings], database: str, clock: ThreadClock, signer: Signs = unsigned
) -> Delivery:
    """Return the delivery of the record in ``database`` to all configured sinks. Raises ConfigError.

    It connects to no sink yet. Only what the ``signer`` signed is delivered.
    """
    workers: list[Worker] = []
    for number, one in enumerate(settings):
        sink = _sink(one, number)
        name = sink_name(one)
        if name in [worker.name for worker in workers]:
            raise _unfit(number, "expected each sink only once")
        offsets = Offsets(database, name, clock, signer)
        workers.append(Worker(name, sink, offsets, clock, required=one.mode == _REQUIRED))
    return Delivery(workers, clock)


def _sink(settings: SinkSettings, number: int) -> Sink:
    url = settings.url or (JOURNAL if settings.kind == "journald" else "")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _unfit(number, f"expected {_FORMS[settings.kind]}") from None
    if expected := expected_instead(url):
        raise _unfit(number, expected)
    match settings.kind, parts.scheme:
        case "file", "file" if _absolute(parts):
            return JsonLines(Path(parts.path))
        case "journald", "unix" if _absolute(parts):
            return Journald(Path(parts.path))
        case "webhook", "https" if parts.hostname:
            return Webhook(url, tls_context(settings.ca_bundle), _token(settings.token_file))
        case "syslog", "unix" if _absolute(parts):
            return DatagramSyslog(parts.path)
        case "syslog", "udp" if parts.hostname:
            return DatagramSyslog((parts.hostname, port or PORTS["udp"]))
        case "syslog", ("tcp" | "tls") if parts.hostname:
            tls = tls_context(settings.ca_bundle) if parts.scheme == "tls" else None
            return StreamSyslog(parts.hostname, port or PORTS[parts.scheme], tls)
    raise _unfit(number, f"expected {_FORMS[settings.kind]}")


def _token(path: Path | None) -> str:
    if path is None:
        return ""
    token = read_text(path, "a token").strip()
    if not can_be_sent(token):
        raise ConfigError(path, "expected a token of visible ASCII characters without spaces")
    return token


def _absolute(parts: SplitResult) -> bool:
    return parts.path.startswith("/") and not parts.netloc


def _unfit(number: int, expected: str) -> ConfigError:
    return ConfigError("broker.toml", expected, key=f"sink.{number}.url")
