"""Checks that a broker answers, could serve a release, and has the version of this kiosk."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import msgspec

from kiosk import __version__
from kiosk.checks.result import Finding, Wrong, failed, passed, warning
from kiosk.checks.trust import Response, Service, fetch, where
from kiosk.clock import Clock
from kiosk.errors import PROBLEM_TYPE
from kiosk.models import Health, Problem
from kiosk.net.http import UNIX_PREFIX
from kiosk.text import clean

_NOT_OURS = "check that the address is the broker's, and that no other program answers there"
_READY_FIXES = {
    "record_unavailable": "check that the broker's database can be written: kiosk check on the broker",
    "sink_unavailable": "check that the broker's required sinks can be reached: kiosk check on the broker",
    "tokens_unavailable": "let the broker reach its sign-in service: kiosk check on the broker",
}


def health(service: Service, clock: Clock) -> tuple[Health, Response]:
    """Ask the broker whether it runs. Raises Wrong."""
    if service.url.startswith(UNIX_PREFIX):
        _connectable(Path(service.url.removeprefix(UNIX_PREFIX)))
    answer = fetch(service, f"{_base(service)}/healthz", clock)
    try:
        found = msgspec.json.decode(answer.body, type=Health)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Wrong(f"{where(service)} answers, but not as a broker", _NOT_OURS) from None
    if answer.status != 200 or not found.healthy:
        raise Wrong(f"{where(service)} answers status {answer.status}", "check the broker's log")
    return found, answer


def reachable(service: Service, clock: Clock) -> tuple[Finding, Response]:
    """Check the broker. Returns the finding, and the response for its date. Raises Wrong."""
    found, answer = health(service, clock)
    ready = fetch(service, f"{_base(service)}/readyz", clock)
    if ready.status != 200:
        return _not_ready(ready), answer
    ours, theirs = __version__, clean(found.version) or "of an unknown version"
    if theirs.split(".")[0] != ours.split(".")[0]:
        return failed(f"the broker is {theirs}, this kiosk {ours}", "install the same version on both"), answer
    if theirs != ours:
        return warning(f"the broker is {theirs}, this kiosk {ours}", "install the same version on both"), answer
    return passed(f"{where(service)} answers, is ready, and has this version, {theirs}"), answer


def _not_ready(answer: Response) -> Finding:
    try:
        problem = msgspec.json.decode(answer.body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return failed(f"the broker is not ready: status {answer.status}", "check the broker's log")
    code = clean(problem.type.removeprefix(PROBLEM_TYPE))
    reference = clean(problem.reference)
    fix = _READY_FIXES.get(code, "run kiosk check on the broker")
    return failed(f"the broker is not ready: {code}", f"{fix}; its log has the cause under {reference}")


def _connectable(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            if not stat.S_ISSOCK(path.stat().st_mode):
                raise Wrong(f"{path} is not a socket", "write the same address into kiosk.toml and broker.toml")
            probe.settimeout(1)
            probe.connect(str(path))
        except FileNotFoundError:
            raise Wrong(
                f"there is no socket {path}",
                "start the broker (systemctl start kiosk-broker.socket), or correct its address",
            ) from None
        except PermissionError:
            raise Wrong(
                f"{path} cannot be opened by the user who runs this check",
                "give the kiosk's user access: the socket needs mode 0660 and the kiosk's group (SocketGroup=kiosk)",
            ) from None
        except OSError as error:
            raise Wrong(
                f"nothing listens on {path}: {error.strerror or type(error).__name__}",
                "start the broker: systemctl start kiosk-broker.socket kiosk-broker.service",
            ) from None


def _base(service: Service) -> str:
    return "http://broker" if service.url.startswith(UNIX_PREFIX) else service.url.rstrip("/")
