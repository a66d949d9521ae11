"""Checks of certificates: whether the key belongs to it, how strong it is, how long it is valid."""

from __future__ import annotations

from cryptography import x509

from kiosk.checks.result import Finding, Level, Wrong, together
from kiosk.checks.validity import examined
from kiosk.clock import Clock
from kiosk.config.broker import BrokerConfig, GraphSettings
from kiosk.errors import ConfigError
from kiosk.net.certificate import load_certificate
from kiosk.net.server_tls import Tls, server_tls


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
    return together([finding, *_clients(config, clock)], finding.found)


def _clients(config: BrokerConfig, clock: Clock) -> list[Finding]:
    """Check the authorities that issue certificates to kiosks, and the list of what they revoked. Raises Wrong."""
    listen = config.listen
    if listen.client_ca is None or listen.certificate is None or listen.key is None:
        return []
    try:
        server_tls(Tls(listen.certificate, listen.key, listen.client_ca, listen.client_crl))
    except ConfigError as error:
        raise Wrong(str(error), "docs/deploy.md, Enrol a kiosk, says what belongs into these files") from None
    fix = "get a new one, add it to listen.client_ca, and enrol the kiosks again"
    found = x509.load_pem_x509_certificates(listen.client_ca.read_bytes())
    return [examined(one, listen.client_ca, clock, fix) for one in found]
