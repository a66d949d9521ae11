"""Builds TLS contexts for clients. Ignores the environment."""

from __future__ import annotations

import functools
import ssl
from pathlib import Path

from kiosk.config.loading import expect_closed
from kiosk.errors import ConfigError

# SSL_OP_CLEANSE_PLAINTEXT makes OpenSSL 3 wipe decrypted data after use. Python has no name for it.
_CLEANSE_PLAINTEXT = 1 << 1


def tls_context(
    ca_bundle: Path | None = None, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Return a client context: TLS 1.2 or newer, host names checked. Raises ConfigError.

    Trusts the system's authorities, or only those in ``ca_bundle``. Shows ``certificate`` (PEM) if there is one. Avoids
    ``create_default_context``, which obeys SSLKEYLOGFILE.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= _CLEANSE_PLAINTEXT
    if certificate or key:
        _show(context, certificate, key)
    if ca_bundle is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cafile=ca_bundle)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(ca_bundle, f"expected certificates in PEM: {error.strerror or error}") from None
    return context


def _show(context: ssl.SSLContext, certificate: Path | None, key: Path | None) -> None:
    if certificate is None or key is None:
        given, missing = (certificate, "broker.key") if key is None else (key, "broker.certificate")
        raise ConfigError(given or "", "missing; certificate and key need each other", key=missing)
    expect_closed(key, "the private key")
    try:
        # Without a password, OpenSSL would prompt on the terminal for the passphrase of a key.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        reason = f"expected a certificate and its key {key}, in PEM without passphrase: {error.strerror or error}"
        raise ConfigError(certificate, reason) from None


@functools.cache
def no_authorities() -> ssl.SSLContext:
    """Return the context for a Unix socket, where TLS is not used: without one, httpx loads authorities each time."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
