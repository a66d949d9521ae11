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
    # Of the sandbox and of the sign-in page, for the loopback names and addresses.
    server: trustme.LeafCert
    page: trustme.LeafCert
    # Registered for the applications of the broker and of the sign-in page, which sign client assertions with them.
    broker: trustme.LeafCert
    sign_in: trustme.LeafCert


def make_certificates(now: dt.datetime) -> Certificates:
    """Make an authority and issue certificates that are valid from ``now``."""
    authority = trustme.CA(organization_name=_ORGANISATION, organization_unit_name="Authority", path_length=0)
    begin, end = now - _BACKDATED, now + _LIFETIME

    def of_server() -> trustme.LeafCert:
        return authority.issue_cert(
            "localhost",
            "127.0.0.1",
            "::1",
            common_name="localhost",
            organization_name=_ORGANISATION,
            not_before=begin,
            not_after=end,
        )

    def of_application(name: str, common_name: str) -> trustme.LeafCert:
        return authority.issue_cert(
            name,
            common_name=common_name,
            organization_name=_ORGANISATION,
            # Because that is what Entra ID accepts.
            key_type=trustme.KeyType.RSA,
            not_before=begin,
            not_after=end,
        )

    return Certificates(
        authority,
        server=of_server(),
        page=of_server(),
        broker=of_application("broker.sandbox.invalid", "Recovery Kiosk broker"),
        sign_in=of_application("sign-in.sandbox.invalid", "Recovery Kiosk sign-in page"),
    )
