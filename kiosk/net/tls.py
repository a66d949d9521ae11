"""How our programs trust: own TLS settings, nothing from the environment."""

from __future__ import annotations

import ssl
from pathlib import Path

from kiosk.errors import ConfigError

# OpenSSL 3 wipes decrypted data after use when asked; Python has no name for SSL_OP_CLEANSE_PLAINTEXT.
_CLEANSE_PLAINTEXT = 1 << 1


def tls_context(ca_bundle: Path | None = None) -> ssl.SSLContext:
    """A client context: TLS 1.2 or newer, names checked, the system's authorities or only the given ones.

    Built by hand because ``create_default_context`` obeys SSLKEYLOGFILE. Raises ConfigError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= _CLEANSE_PLAINTEXT
    if ca_bundle is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cafile=ca_bundle)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(ca_bundle, f"expected certificates in PEM: {error.strerror or error}") from None
    return context
