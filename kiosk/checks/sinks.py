"""Checks that each sink of the record can be reached. It connects, and sends nothing."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from kiosk.broker.sinks import JOURNAL, PORTS
from kiosk.broker.sinks.address import expected_instead, sink_name
from kiosk.checks import files
from kiosk.checks.result import Finding, Level, Wrong, failed, passed, together
from kiosk.checks.trust import Service, connect, trust
from kiosk.clock import Clock
from kiosk.config.broker import SinkSettings

_FORMS = "docs/sinks.md has the addresses of each kind"


def sinks(settings: Sequence[SinkSettings], clock: Clock) -> Finding:
    """Check all sinks. A required one fails, another one warns."""
    findings = []
    for number, one in enumerate(settings):
        finding = _one(one, f"sink.{number}", clock)
        if finding.level is Level.FAIL and one.mode != "required":
            finding = Finding(Level.WARN, finding.found, finding.fix)
        findings.append(finding)
    return together(findings, f"{len(settings)} can be reached" if settings else "none is configured")


def _one(settings: SinkSettings, key: str, clock: Clock) -> Finding:
    url = settings.url or (JOURNAL if settings.kind == "journald" else "")
    try:
        parts = urlsplit(url)
        expected = expected_instead(url)
    except ValueError:
        return failed(f"{key}.url is not an address for {settings.kind}", f"correct {key}.url; {_FORMS}")
    if expected:
        return failed(f"{key}.url: {expected}", f"correct {key}.url; {_FORMS}")
    place = Path(parts.path)
    if settings.token_file and (opened := files.secret(settings.token_file, "the token")).level is not Level.PASS:
        return opened
    try:
        match settings.kind, parts.scheme:
            case "file", "file":
                return _file(place, key)
            case (("journald" | "syslog"), "unix"):
                return _datagrams(place, key)
            case "syslog", "udp":
                return _datagrams(_address(url, key, "udp"), key)
            case "syslog", "tcp":
                connect(_service(settings, url, key, "tcp")).close()
            case "syslog", "tls":
                trust(_service(settings, url, key, "tls"), clock)
            case "webhook", "https":
                trust(Service(url, f"{key}.url", settings.ca_bundle, f"{key}.ca_bundle"), clock)
            case _:
                return failed(f"{key}.url is not an address for {settings.kind}", f"correct {key}.url; {_FORMS}")
    except Wrong as wrong:
        return wrong.finding
    return passed(sink_name(settings))


def _service(settings: SinkSettings, url: str, key: str, scheme: str) -> Service:
    host, port = _address(url, key, scheme)
    host = f"[{host}]" if ":" in host else host
    return Service(f"https://{host}:{port}", f"{key}.url", settings.ca_bundle, f"{key}.ca_bundle")


def _address(url: str, key: str, scheme: str) -> tuple[str, int]:
    parts = urlsplit(url)
    try:
        port = parts.port or PORTS[scheme]
    except ValueError:
        raise Wrong(f"{key}.url has an invalid port", f"correct {key}.url; {_FORMS}") from None
    if not parts.hostname:
        raise Wrong(f"{key}.url names no host", f"correct {key}.url; {_FORMS}")
    return parts.hostname, port


def _datagrams(place: Path | tuple[str, int], key: str) -> Finding:
    """Check a datagram socket. Over UDP this only shows that there is a route."""
    try:
        if isinstance(place, Path):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.connect(str(place))
        else:
            family, kind, protocol, _, address = socket.getaddrinfo(*place, type=socket.SOCK_DGRAM)[0]
            with socket.socket(family, kind, protocol) as sock:
                sock.connect(address)
    except OSError as error:
        where = place if isinstance(place, Path) else place[0]
        return failed(
            f"{where} does not accept messages: {error.strerror}",
            f"start the program that listens there, or correct {key}.url",
        )
    return passed(str(place))


def _file(path: Path, key: str) -> Finding:
    folder = path.parent
    if not folder.is_dir():
        return failed(f"there is no folder {folder}", f"create it for the broker's user: install -d -m 700 {folder}")
    if path.is_symlink() or (path.exists() and not stat.S_ISREG(path.stat().st_mode)):
        return failed(f"{path} is not a regular file", f"remove it, or name another in {key}.url")
    if not os.access(path if path.exists() else folder, os.W_OK, effective_ids=True):
        return failed(f"{path} cannot be written", f"give it to the broker's user: chown kiosk-broker: {folder} {path}")
    if path.exists():
        return files.secret(path, "the copy of the record in")
    return files.replaceable(path) or passed(str(path))
