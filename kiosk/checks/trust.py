"""Checks that a service can be reached and trusted, and says exactly why if not."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from cryptography import x509

from kiosk.checks.result import Wrong
from kiosk.clock import Clock
from kiosk.net.http import UNIX_PREFIX, read_limited, refused_certificate, timeouts
from kiosk.net.tls import no_authorities, tls_context
from kiosk.text import clean

CONNECT_SECONDS = 5.0
_READ_SECONDS = 5.0
_PORT = 443
_MOST_NAMES = 3
# OpenSSL's numbers for why a certificate is refused.
_NOT_YET_VALID, _EXPIRED, _WRONG_NAME, _WRONG_ADDRESS = 9, 10, 62, 64
_ENROL = "enrol this kiosk (docs/deploy.md, Enrol a kiosk); the broker's log says why it was refused"
_FIREWALL = "docs/tenant.md lists the firewall rules"


@dataclass(frozen=True)
class Service:
    """A service, with the keys of the configuration for its address and its trusted authorities."""

    url: str
    key: str
    ca_bundle: Path | None = None
    ca_key: str = ""
    certificate: Path | None = None
    private_key: Path | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port. Raises Wrong."""
        parts = urlsplit(self.url)
        with contextlib.suppress(ValueError):
            return parts.hostname or "", parts.port or _PORT
        raise Wrong(f"{self.key} has an invalid port", f"correct {self.key}")

    @property
    def place(self) -> str:
        host, port = self.address
        return host if port == _PORT else f"{host}:{port}"


@dataclass(frozen=True)
class Response:
    """A whole response. ``date`` is the service's own clock, or empty."""

    status: int
    body: bytes
    kind: str
    date: str


def connect(service: Service) -> socket.socket:
    """Return a TCP connection. Raises Wrong."""
    host, port = service.address
    place = service.place
    try:
        return socket.create_connection((host, port), CONNECT_SECONDS)
    except UnicodeError:
        raise Wrong(f"{host} is not a host name", f"correct {service.key}") from None
    except socket.gaierror as error:
        raise Wrong(
            f"the name {host} cannot be resolved: {error.strerror}",
            f"check the spelling in {service.key}, and this machine's name server (/etc/resolv.conf)",
        ) from None
    except ConnectionRefusedError:
        raise Wrong(
            f"{place} refuses connections: nothing listens there",
            f"check that the service runs and that {service.key} names its port; {_FIREWALL}",
        ) from None
    except TimeoutError:
        raise Wrong(
            f"no answer from {place} within {CONNECT_SECONDS:.0f} s",
            f"let this machine through to {place}; {_FIREWALL}",
        ) from None
    except OSError as error:
        raise Wrong(f"{place} cannot be reached: {_reason(error)}", f"check the network; {_FIREWALL}") from None


def trust(service: Service, clock: Clock) -> None:
    """Connect and verify the certificate as our programs do. Raises Wrong."""
    context = tls_context(service.ca_bundle, service.certificate, service.private_key)
    host, _ = service.address
    with connect(service) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=host):
                return
        except ssl.SSLCertVerificationError as error:
            raise _distrust(service, error, clock.utc()) from None
        except ssl.SSLError as error:
            raise Wrong(
                f"{service.place} does not speak TLS properly: {error.reason or 'it closed the connection'}",
                f"check that {service.key} names an https port, and that no proxy intercepts TLS",
            ) from None
        except TimeoutError:
            raise Wrong(
                f"{service.place} accepts connections but does not answer in TLS",
                f"check that {service.key} names an https port; {_FIREWALL}",
            ) from None
        except OSError as error:
            raise Wrong(
                f"{service.place} ends the connection during TLS: {_reason(error)}",
                f"find out what is between this machine and {service.place}; {_FIREWALL}",
            ) from None


def fetch(service: Service, url: str, clock: Clock) -> Response:
    """Return the response to a GET, over https or a unix socket. Raises Wrong."""
    if service.url.startswith(UNIX_PREFIX):
        client = httpx.Client(
            transport=httpx.HTTPTransport(
                uds=service.url.removeprefix(UNIX_PREFIX), verify=no_authorities(), trust_env=False
            ),
            trust_env=False,
            timeout=timeouts(CONNECT_SECONDS, _READ_SECONDS),
        )
    else:
        trust(service, clock)
        context = tls_context(service.ca_bundle, service.certificate, service.private_key)
        client = httpx.Client(verify=context, trust_env=False, timeout=timeouts(CONNECT_SECONDS, _READ_SECONDS))
    try:
        with client, client.stream("GET", url, headers={"accept": "application/json"}) as response:
            body = read_limited(response)
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            return Response(response.status_code, body, kind, response.headers.get("date", ""))
    except httpx.TimeoutException:
        raise Wrong(
            f"{where(service)} accepts connections but does not answer within {_READ_SECONDS:.0f} s",
            "find out whether the service hangs, or a proxy delays the answer",
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
        if refused_certificate(error):
            having = f"the certificate {service.certificate}" if service.certificate else "a client without certificate"
            raise Wrong(f"{where(service)} does not accept {having}", _ENROL) from None
        raise Wrong(
            f"{where(service)} sent an invalid answer: {type(error).__name__}",
            f"check that {service.key} is right and that no proxy changes answers",
        ) from None


def where(service: Service) -> str:
    """Return what to call the service in a sentence."""
    return service.url.removeprefix(UNIX_PREFIX) if service.url.startswith(UNIX_PREFIX) else service.place


def _distrust(service: Service, error: ssl.SSLCertVerificationError, now: datetime) -> Wrong:
    shown = _shown(service)
    place = service.place
    if error.verify_code == _EXPIRED:
        on = f" on {shown.not_valid_after_utc:%Y-%m-%d %H:%M} UTC" if shown else ""
        return Wrong(
            f"the certificate of {place} has expired{on}; it is now {now:%Y-%m-%d %H:%M} UTC",
            f"renew the certificate of {place}, or set this machine's clock if that is wrong",
        )
    if error.verify_code == _NOT_YET_VALID:
        since = f" before {shown.not_valid_before_utc:%Y-%m-%d %H:%M} UTC" if shown else ""
        return Wrong(
            f"the certificate of {place} is not valid{since}; it is now {now:%Y-%m-%d %H:%M} UTC",
            "set this machine's clock (timedatectl set-ntp true), or the certificate's dates if they are wrong",
        )
    if error.verify_code in {_WRONG_NAME, _WRONG_ADDRESS}:
        names = _names(shown) if shown else "other names"
        return Wrong(
            f"the certificate of {place} is for {names}, not for {service.address[0]}",
            f"use a name from the certificate in {service.key}, or get a certificate for this one",
        )
    issuer = clean(shown.issuer.rfc4514_string(), 80) if shown else "somebody"
    trusted = str(service.ca_bundle) if service.ca_bundle else "the system's CAs"
    return Wrong(
        f"the certificate of {place} is issued by {issuer}, which is not among {trusted}",
        f"if it is the right one, put that CA's certificate into {service.ca_key}; a proxy that intercepts TLS"
        " has its own",
    )


def _shown(service: Service) -> x509.Certificate | None:
    """Return the certificate that the service presents, to describe it. Sends nothing over that connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(OSError, ValueError, Wrong):
        with connect(service) as plain, context.wrap_socket(plain, server_hostname=service.address[0]) as secured:
            presented = secured.getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(presented) if presented else None
    return None


def _names(certificate: x509.Certificate) -> str:
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return "no name at all"
    names = [clean(str(name.value), 80) for name in alternatives]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _reason(error: OSError) -> str:
    return error.strerror or (errno.errorcode.get(error.errno, "") if error.errno else "") or type(error).__name__
