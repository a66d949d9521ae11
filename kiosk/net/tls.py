"""TLS for clients: our own settings, nothing from the environment."""

from __future__ import annotations

import ssl
from pathlib import Path

from kiosk.errors import ConfigError

# SSL_OP_CLEANSE_PLAINTEXT, for which Python has no name: OpenSSL 3 wipes decrypted data after use.
_CLEANSE_PLAINTEXT = 1 << 1


def tls_context(ca_bundle: Path | None = None) -> ssl.SSLContext:
    """Return a client context: TLS 1.2 or newer, host names checked, the system's authorities or only the given ones.

    Not made by ``create_default_context``, which obeys SSLKEYLOGFILE. Raises ConfigError.
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
