"""Checks of certificates: whether the key belongs to it, how strong it is, how long it is valid."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from kiosk.checks.result import Finding, Level, Wrong, failed, passed, warning
from kiosk.clock import Clock
from kiosk.config.broker import BrokerConfig, GraphSettings
from kiosk.errors import ConfigError
from kiosk.net.certificate import load_certificate
from kiosk.net.server_tls import Tls, server_tls

_SOON = timedelta(days=30)
_FEWEST_BITS = 2048
_FEWEST_BITS_OF_CURVE = 256


def for_graph(settings: GraphSettings, clock: Clock) -> Finding:
    """Check the certificate that the broker signs in with. Raises Wrong."""
    try:
        loaded = load_certificate(settings, clock, "graph")
    except ConfigError as error:
        raise Wrong(
            str(error), "docs/tenant.md, step 3, shows how to create and register key and certificate"
        ) from None
    return examined(
        loaded.certificate, settings.certificate, clock, "create a new one and register it: docs/tenant.md, step 3"
    )


def for_listening(config: BrokerConfig, clock: Clock) -> Finding:
    """Check the certificate that the broker presents to kiosks. Raises Wrong."""
    listen = config.listen
    if listen.certificate is None or listen.key is None:
        missing = "certificate" if listen.certificate is None else "key"
        raise Wrong(f"listen.{missing} is missing; an https address needs it", f"name a PEM file in listen.{missing}")
    try:
        shown = x509.load_pem_x509_certificate(listen.certificate.read_bytes())
    except ValueError:
        raise Wrong(f"{listen.certificate} is not a certificate in PEM", "put one into listen.certificate") from None
    fix = "get a new one from the CA that signed it, and replace it"
    finding = examined(shown, listen.certificate, clock, fix)
    if finding.level is not Level.FAIL:
        try:
            server_tls(Tls(listen.certificate, listen.key))
        except ConfigError as error:
            raise Wrong(str(error), "put the key that belongs to listen.certificate into listen.key") from None
    return finding


def examined(shown: x509.Certificate, path: Path, clock: Clock, fix: str) -> Finding:
    """Check dates and strength of one certificate."""
    now = clock.utc()
    begins, ends = shown.not_valid_before_utc, shown.not_valid_after_utc
    if begins > now:
        return failed(
            f"{path} is not valid before {begins:%Y-%m-%d %H:%M} UTC; it is now {now:%Y-%m-%d %H:%M} UTC",
            f"set the clock (timedatectl set-ntp true) if it is wrong; otherwise {fix}",
        )
    if ends <= now:
        return failed(f"{path} expired on {ends:%Y-%m-%d}", fix)
    key = shown.public_key()
    if isinstance(key, RSAPublicKey) and key.key_size < _FEWEST_BITS:
        return failed(f"{path} has an RSA key of {key.key_size} bits; at least {_FEWEST_BITS} are needed", fix)
    if isinstance(key, EllipticCurvePublicKey) and key.key_size < _FEWEST_BITS_OF_CURVE:
        return failed(f"{path} has a curve of {key.key_size} bits; at least {_FEWEST_BITS_OF_CURVE} are needed", fix)
    days = (ends - now).days
    if ends - now < _SOON:
        return warning(f"{path} expires in {days} days, on {ends:%Y-%m-%d}", fix)
    return passed(f"valid for {days} days, until {ends:%Y-%m-%d}")
