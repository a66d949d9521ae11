"""The access tokens that Entra ID issues for the organisation's certificate."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from urllib.parse import urlsplit

import httpx
import msal

from kiosk.broker.logs import event
from kiosk.broker.metrics import OK, Metrics
from kiosk.clock import Clock
from kiosk.config.broker import GraphSettings
from kiosk.config.loading import file_versions
from kiosk.errors import (
    CertificateRefused,
    ConfigError,
    EntraBusy,
    EntraClientUnknown,
    EntraGarbled,
    EntraNoConsent,
    EntraRefused,
    EntraTenantUnknown,
    EntraUnavailable,
    EntraUntrusted,
    KioskError,
)
from kiosk.net.certificate import load_certificate
from kiosk.net.http import can_be_sent, cause_of, timeouts, untrusted
from kiosk.net.msal_http import Busy, MsalHttp, Rejected
from kiosk.net.tls import tls_context

_TRANSIENT = frozenset({"temporarily_unavailable", "server_error", "request_timeout"})
# Microsoft's own numbers; they only choose between sentences.
_BY_AADSTS: dict[int, type[KioskError]] = {
    **dict.fromkeys((50033, 90006, 90012, 90024, 90033), EntraBusy),
    **dict.fromkeys((65001, 90094, 90095, 7000229), EntraNoConsent),
    **dict.fromkeys((90002, 900021, 900023), EntraTenantUnknown),
    700016: EntraClientUnknown,
    **dict.fromkeys((50012, 700024, 700027, 7000215, 7000222), CertificateRefused),
}


class Credential:
    """Gets access tokens for Graph. They and the private key live only in MSAL's memory."""

    def __init__(self, settings: GraphSettings, clock: Clock, metrics: Metrics | None = None) -> None:
        """Read the certificate, so that a bad one is found at start. Raises ConfigError."""
        self._settings = settings
        self._clock = clock
        self._metrics = metrics or Metrics(clock)
        root = urlsplit(settings.url)
        self._scope = f"{root.scheme}://{root.netloc}/.default"
        self._http = MsalHttp(
            tls_context(settings.ca_bundle),
            timeouts(settings.connect_seconds, settings.read_seconds),
            settings.total_seconds,
        )
        self._replayed: dict[str, Any] = {}
        self._application: msal.ConfidentialClientApplication | None = None
        self._read: object = None
        self._tokens = msal.TokenCache()
        self._renew = False
        self._turn = asyncio.Lock()
        load_certificate(settings, clock, "graph")

    async def token(self) -> str:
        """Return an access token, a cached one if possible.

        Raises EntraRefused (of which CertificateRefused is one), EntraUnavailable, EntraBusy or EntraGarbled.
        """
        await self._turn.acquire()
        acquiring = asyncio.create_task(self._http.run(self._acquire))
        # Only one thread may use MSAL's application, and it goes on when its caller is cancelled.
        acquiring.add_done_callback(self._acquired)
        await asyncio.wait({acquiring})
        return acquiring.result()

    def forget(self) -> None:
        """Request the next token from Entra ID, with the certificate that is on disk by then."""
        self._renew = True

    def close(self) -> None:
        self._http.close()

    def _acquired(self, acquiring: asyncio.Task[str]) -> None:
        self._turn.release()
        error = None if acquiring.cancelled() else acquiring.exception()
        if isinstance(error, KioskError):
            self._metrics.answer("entra", error.code)

    def _acquire(self) -> str:
        if self._renew:
            self._renew = False
            self._application, self._tokens = None, msal.TokenCache()
        # From this cache MSAL would repeat the last failure for seconds, without a request.
        self._replayed.clear()
        try:
            token, new = self._cached_or_new()
        except BaseException:
            # It would send the same assertion again, and Entra ID may refuse one that it has seen.
            self._application = None
            raise
        if new:
            self._metrics.answer("entra", OK)
        return token

    def _cached_or_new(self) -> tuple[str, bool]:
        """Return a token and whether it is new."""
        try:
            answer = self._current().acquire_token_for_client([self._scope])
        except Rejected as error:
            raise _explain(error.answer) from None
        except Busy as error:
            raise EntraBusy(f"Entra ID: {error}", retry_after=error.retry_after) from None
        except httpx.DecodingError as error:
            raise EntraGarbled(f"Entra ID: {cause_of(error)}") from None
        except (httpx.HTTPError, TimeoutError) as error:
            if reason := untrusted(error):
                raise EntraUntrusted(f"Entra ID: {reason}") from None
            raise EntraUnavailable(f"Entra ID: {cause_of(error)}") from None
        except ConfigError as error:
            raise CertificateRefused(f"certificate: {error}") from None
        except Exception as error:  # MSAL documents no exceptions; the message of one might quote the key
            raise EntraGarbled(f"Entra ID: {type(error).__name__}") from None
        token = answer.get("access_token")
        if isinstance(token, str) and can_be_sent(token):
            return token, answer.get("token_source") != "cache"
        # MSAL has cached it, whatever it is.
        self._tokens = msal.TokenCache()
        raise EntraGarbled("Entra ID: no token that can be sent") if isinstance(token, str) else _explain(answer)

    def _current(self) -> msal.ConfidentialClientApplication:
        """Return MSAL's application, a new one if the certificate's file has changed. Cached tokens stay.

        A file that cannot be used, for example a half-written one, does not replace a certificate that can.
        """
        found = file_versions((self._settings.certificate, self._settings.passphrase_file))
        if self._application is None or found != self._read:
            try:
                application = self._open()
            except ConfigError as error:
                if self._application is None:
                    raise
                event("certificate.kept", logging.WARNING, use="graph", cause=error)
            else:
                if self._application is not None:
                    event("certificate.replaced", use="graph", file=self._settings.certificate)
                self._application = application
            self._read = found
        return self._application

    def _open(self) -> msal.ConfidentialClientApplication:
        return msal.ConfidentialClientApplication(
            self._settings.client_id,
            authority=self._settings.authority,
            client_credential=load_certificate(self._settings, self._clock, "graph").form,
            http_client=self._http,
            http_cache=self._replayed,
            token_cache=self._tokens,
            instance_discovery=False,
        )


def _explain(answer: dict[str, Any]) -> KioskError:
    """Return the error for an answer without a token. Any type may be in any place of the answer."""
    error, codes = answer.get("error"), answer.get("error_codes")
    if not isinstance(error, str):
        return EntraGarbled("Entra ID: an answer with neither a token nor an error")
    cause = f"Entra ID: {error} {codes} correlation {answer.get('correlation_id')}"
    numbers = [code for code in codes if type(code) is int] if isinstance(codes, list) else []
    kind = next((_BY_AADSTS[number] for number in numbers if number in _BY_AADSTS), None)
    if error in _TRANSIENT or kind is EntraBusy:
        return EntraBusy(cause)
    return (kind or (CertificateRefused if error == "invalid_client" else EntraRefused))(cause)
