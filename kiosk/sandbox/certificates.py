"""The certificates of a sandbox: made at every start, trusted only by clients that are given ``ca.pem``."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import trustme

_LIFETIME = dt.timedelta(days=90)
# A client whose clock is behind must not find a new certificate "not yet valid".
_BACKDATED = dt.timedelta(hours=1)
_ORGANISATION = "recovery-kiosk sandbox"


@dataclass(frozen=True, repr=False)
class Certificates:
    """An authority and what it issued. The authority's key never leaves this process."""

    authority: trustme.CA
    # For the loopback names and addresses.
    server: trustme.LeafCert
    # Registered for the broker's application, which signs its client assertions with it.
    broker: trustme.LeafCert


def make_certificates(now: dt.datetime) -> Certificates:
    """Make an authority and issue certificates that are valid from ``now``."""
    authority = trustme.CA(organization_name=_ORGANISATION, organization_unit_name="Authority", path_length=0)
    begin, end = now - _BACKDATED, now + _LIFETIME
    server = authority.issue_cert(
        "localhost",
        "127.0.0.1",
        "::1",
        common_name="localhost",
        organization_name=_ORGANISATION,
        not_before=begin,
        not_after=end,
    )
    # RSA, because that is what Entra ID accepts.
    broker = authority.issue_cert(
        "broker.sandbox.invalid",
        common_name="Recovery Kiosk broker",
        organization_name=_ORGANISATION,
        key_type=trustme.KeyType.RSA,
        not_before=begin,
        not_after=end,
    )
    return Certificates(authority, server, broker)
