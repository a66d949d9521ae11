"""Checks the dates and the strength of a certificate. The kiosk's side needs it as well as the broker's."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from kiosk.checks.result import Finding, failed, passed, warning
from kiosk.clock import Clock

_SOON = timedelta(days=30)
_FEWEST_BITS = 2048
_FEWEST_BITS_OF_CURVE = 256


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
