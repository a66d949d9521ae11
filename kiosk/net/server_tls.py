"""TLS contexts for servers: read again when a file is replaced, and with certificates for clients if so configured."""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiosk.config.loading import file_versions
from kiosk.errors import ConfigError

log = logging.getLogger(__name__)

_LABEL = re.compile(rb"^-----BEGIN ([A-Z0-9 ]+)-----", re.MULTILINE)
_NO_CERTIFICATE = "PEER_DID_NOT_RETURN_A_CERTIFICATE"

# What to do when the certificate of the client that shakes hands in this context is not accepted.
on_refused: ContextVar[Callable[[str], None]] = ContextVar("on_refused")


@dataclass(frozen=True)
class Tls:
    """Files with a certificate chain and its private key, in PEM.

    With ``client_ca``, clients need a certificate that one of its authorities signed and that ``client_crl``, if given,
    does not revoke.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None
    client_crl: Path | None = None


class RenewedTls:
    """A server context that follows its files. Raises ConfigError if they cannot be used at the start.

    Keeps the previous context while new files are unusable, as when only one of two has been written.
    """

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._files = (tls.certificate, tls.key, tls.client_ca, tls.client_crl)
        self._seen = file_versions(self._files)
        self.context = server_tls(tls)

    def renew(self) -> bool:
        """Read files again that were replaced. Whether other clients may be accepted now than before."""
        found = file_versions(self._files)
        if found == self._seen:
            return False
        self._seen = found
        try:
            self.context = server_tls(self._tls)
        except ConfigError as error:
            log.warning("the replaced certificate cannot be used, the previous one stays: %s", error)
            return False
        log.info("the certificate was replaced: %s", self._tls.certificate)
        return self._tls.client_ca is not None


def server_tls(tls: Tls) -> ssl.SSLContext:
    """Return a server context for TLS 1.2 or newer. Raises ConfigError."""
    context = _Context(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password, OpenSSL would prompt on the terminal for the passphrase of a key.
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        reason = f"expected a certificate and its key {tls.key}, in PEM without passphrase: {error.strerror or error}"
        raise ConfigError(tls.certificate, reason) from None
    if tls.client_ca:
        _require_certificate(context, tls.client_ca, tls.client_crl)
    return context


def _require_certificate(context: ssl.SSLContext, client_ca: Path, client_crl: Path | None) -> None:
    """Accept only clients with a certificate of this authority that is good for clients. Raises ConfigError."""
    context.verify_mode = ssl.CERT_REQUIRED
    # So that the authority that issues to kiosks can be trusted alone, without the one above it and its other issues.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # Older versions show certificates to everybody on the way, and resumed sessions would not be checked again.
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    _load(context, client_ca, "CERTIFICATE", "certificates")
    if client_crl:
        # A certificate in this file would be trusted as an authority.
        _load(context, client_crl, "X509 CRL", "only lists of revoked certificates")
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _load(context: ssl.SSLContext, path: Path, label: str, what: str) -> None:
    expected = f"expected {what} in PEM"
    try:
        labels = {found.decode() for found in _LABEL.findall(path.read_bytes())}
        if labels != {label}:
            raise ConfigError(path, f"{expected}, found {', '.join(sorted(labels)) or 'nothing'}")
        context.load_verify_locations(cafile=path)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(path, f"{expected}: {error.strerror or error}") from None


class _Handshake(ssl.SSLObject):
    """A TLS connection that tells a client that its certificate is not accepted, before it ends.

    asyncio would drop the alert and reset the connection, so that the client could not tell this from a broken line.
    After the alert, nothing more is read: the client ends the connection, or its time for the handshake runs out.
    """

    incoming: ssl.MemoryBIO
    tell: Callable[[str], None] = staticmethod(lambda _why: None)
    refused = False

    def do_handshake(self) -> None:
        """Continue the handshake. Raises ssl.SSLError."""
        if not self.refused:
            try:
                super().do_handshake()
                return
            except ssl.SSLCertVerificationError as error:
                self.tell(error.verify_message)
            except ssl.SSLError as error:
                if error.reason != _NO_CERTIFICATE:
                    raise
                self.tell("no certificate")
            self.refused = True
        self.incoming.read()
        # asyncio now sends what waits, the alert, and goes on to wait for the client.
        raise ssl.SSLWantReadError


class _Context(ssl.SSLContext):
    sslobject_class = _Handshake

    def wrap_bio(self, incoming: ssl.MemoryBIO, *others: Any, **more: Any) -> ssl.SSLObject:
        """Return a TLS connection that knows where its input is, and whom to tell of a refusal."""
        made = super().wrap_bio(incoming, *others, **more)
        if isinstance(made, _Handshake):
            made.incoming = incoming
            made.tell = on_refused.get(made.tell)
        return made
