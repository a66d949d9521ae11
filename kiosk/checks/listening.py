"""Checks of where the broker listens: access to its socket, or its certificate, and whether it answers."""

from __future__ import annotations

import pwd
import stat
from pathlib import Path

from kiosk.checks import broker_link, certificate, files
from kiosk.checks.result import Finding, Level, Wrong, failed, passed, together, warning
from kiosk.checks.trust import Service, connect
from kiosk.clock import Clock
from kiosk.config.broker import BrokerConfig
from kiosk.net.http import UNIX_PREFIX

_UNIT = "SocketMode, SocketUser and SocketGroup in kiosk-broker.socket (deploy/broker) make it permanent"
_START = "start the broker: systemctl start kiosk-broker.socket kiosk-broker.service"
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


def listening(config: BrokerConfig, clock: Clock) -> Finding:
    """Check the address in ``[listen]``. Raises Wrong."""
    service = Service(config.listen.url, "listen.url")
    if config.listen.url.startswith(UNIX_PREFIX):
        return _socket(service, clock)
    return _tcp(service, config, clock)


def _socket(service: Service, clock: Clock) -> Finding:
    path = Path(service.url.removeprefix(UNIX_PREFIX))
    if not path.parent.is_dir():
        return failed(f"there is no folder {path.parent}", f"create it: install -d -m 755 {path.parent}")
    try:
        broker_link.health(service, clock)
    except Wrong as wrong:
        return warning(f"the broker does not answer: {wrong.finding.found}", wrong.finding.fix)
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    findings: list[Finding] = []
    if mode & stat.S_IRWXO:
        findings.append(failed(f"everybody can open {path} (mode {mode:04o})", f"chmod 660 {path}; {_UNIT}"))
    if _is_user(files.KIOSK_USER) and not files.writes(found, files.KIOSK_USER):
        who = files.owner(found)
        findings.append(
            warning(
                f"the user {files.KIOSK_USER} cannot open {path} ({who}, mode {mode:04o})",
                f"chgrp {files.KIOSK_USER} {path} && chmod 660 {path}; {_UNIT}",
            )
        )
    if folder := files.replaceable(path):
        findings.append(folder)
    return together(findings, f"answers on {path}, mode {mode:04o}, {files.owner(found)}")


def _tcp(service: Service, config: BrokerConfig, clock: Clock) -> Finding:
    finding = certificate.for_listening(config, clock)
    host, port = service.address
    here = Service(f"https://{_EVERYWHERE.get(host, f'[{host}]' if ':' in host else host)}:{port}", "listen.url")
    try:
        connect(here).close()
    except Wrong as wrong:
        return together([finding, warning(f"the broker does not listen: {wrong.finding.found}", _START)], "")
    if finding.level is Level.PASS:
        return passed(f"listens on {service.place}; certificate {finding.found}")
    return finding


def _is_user(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False
