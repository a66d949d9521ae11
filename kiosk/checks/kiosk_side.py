"""The checks of the kiosk's side. They need no library that only a broker has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509

from kiosk.checks import broker_link, configuration, files, machine, sign_in, ssh, terminal
from kiosk.checks.authority import discover, examined, skew
from kiosk.checks.result import Check, Finding, NotChecked, passed, together, warning
from kiosk.checks.side import Side
from kiosk.checks.trust import Response, Service
from kiosk.checks.validity import examined as examined_certificate
from kiosk.config.kiosk import KioskConfig
from kiosk.models import SignInMethod
from kiosk.net.http import UNIX_PREFIX
from kiosk.process.logging import LOG_SOCKETS, log_socket

_NETWORK_SECONDS = 25.0


@dataclass
class Kiosk(Side[KioskConfig]):
    """The kiosk's side, with what one check learned for the next."""

    kind: type[KioskConfig] = KioskConfig
    answers: dict[str, Response] = field(default_factory=dict)

    @property
    def device_codes(self) -> bool:
        """Whether people sign in with device codes. Otherwise the kiosk does not contact the sign-in service."""
        return self.config.sign_in.method is SignInMethod.DEVICE_CODE

    @property
    def sign_in(self) -> Service:
        settings = self.config.device_code_settings
        return Service(settings.authority, "device_code.authority", settings.ca_bundle, "device_code.ca_bundle")

    @property
    def broker(self) -> Service:
        settings = self.config.broker
        pair = (None, None) if settings.url.startswith(UNIX_PREFIX) else (settings.certificate, settings.key)
        return Service(settings.url, "broker.url", settings.ca_bundle, "broker.ca_bundle", *pair)


def file_modes(side: Kiosk) -> Finding:
    """Check who can change what the kiosk does and whom it trusts."""
    found = [files.unchangeable(side.path, "the configuration")]
    config = side.config
    codes = config.device_code.ca_bundle if config.device_code else None
    bundles = [bundle for bundle in (codes, config.broker.ca_bundle) if bundle]
    found += [files.unchangeable(bundle, "the trusted authorities in") for bundle in bundles]
    return together(found, "only administrators can change the configuration")


def authority(side: Kiosk) -> Finding:
    """Check the sign-in service."""
    if not side.device_codes:
        return passed("not needed here: phones, sign-in page and broker use the sign-in service")
    about, answer = discover(side.sign_in, side.clock)
    side.answers["authority"] = answer
    endpoints = {
        "token_endpoint": about.token_endpoint,
        "device_authorization_endpoint": about.device_authorization_endpoint,
    }
    return examined(side.sign_in, about, endpoints)


def device_code(side: Kiosk) -> Finding:
    """Check that a sign-in with a device code begins."""
    if not side.device_codes:
        return passed("not used: people sign in on their phone")
    settings = side.config.device_code_settings
    if "authority" not in side.answers:
        raise NotChecked("the sign-in service has no discovery document", "fix what the check “authority” found first")
    return sign_in.device_code(settings, side.clock)


def signs_in(side: Kiosk) -> Finding:
    """Check that a sign-in on the phone begins, or say what the other way does not prevent."""
    return configuration.PASSED_ON if side.device_codes else sign_in.phone(side.config, side.clock)


def broker(side: Kiosk) -> Finding:
    """Check the broker."""
    finding, answer = broker_link.reachable(side.broker, side.clock)
    side.answers["broker"] = answer
    if (shown := side.broker.certificate) is None:
        return finding
    fix = "enrol the kiosk again: docs/deploy.md, Enrol a kiosk"
    own = examined_certificate(x509.load_pem_x509_certificate(shown.read_bytes()), shown, side.clock, fix)
    return together([finding, own], finding.found)


def clock(side: Kiosk) -> Finding:
    """Compare the clock with the sign-in service, and with a broker on another machine."""
    found = [skew(side.answers.get("authority"), side.sign_in.place, side.clock)] if side.device_codes else []
    if not side.config.broker.url.startswith(UNIX_PREFIX) and "broker" in side.answers:
        found.append(skew(side.answers["broker"], side.broker.place, side.clock))
    return together(found, found[0].found if found else "kiosk and broker have the same clock")


def log(side: Kiosk) -> Finding:
    """Whether anything takes the kiosk's own log, to which the references on its screen lead."""
    if found := log_socket([side.root / path.relative_to("/") for path in LOG_SOCKETS]):
        return passed(f"the kiosk's log goes to /{found.relative_to(side.root)}")
    return warning(
        "nothing receives the kiosk's log: a reference on its screen leads nowhere",
        "start systemd-journald or another syslog service that listens on /dev/log",
    )


CHECKS: Sequence[Check[Kiosk]] = (
    Check("configuration", "the configuration", configuration.kiosk),
    Check("file-modes", "the file system", file_modes),
    Check("authority", "the sign-in service", authority, _NETWORK_SECONDS),
    Check("device-code", "the sign-in service", device_code, _NETWORK_SECONDS),
    Check("broker", "the broker", broker, _NETWORK_SECONDS),
    Check("sign-in", "the broker", signs_in, _NETWORK_SECONDS),
    Check("clock", "the clock", clock),
    Check("terminal", "the terminal", terminal.terminal),
    Check("recorders", "the process list", terminal.recorders),
    Check("log", "the system's log", log),
    Check("ssh", "sshd", ssh.sign_ins),
    *machine.CHECKS,
)
