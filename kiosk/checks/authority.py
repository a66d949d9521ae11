"""Checks of both sides: the sign-in service, its discovery document, and its clock."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import msgspec

from kiosk.checks.result import Finding, NotChecked, Wrong, failed, passed, warning
from kiosk.checks.trust import Response, Service, fetch
from kiosk.clock import Clock
from kiosk.text import GUID, clean

# A clock that is five minutes off makes tokens invalid; one minute means that nothing keeps it right.
_TOO_FAR = timedelta(minutes=5)
_FAR = timedelta(minutes=1)
_SHARED = {"common", "organizations", "consumers"}


class Discovery(msgspec.Struct, frozen=True):
    """The members of the document that are checked."""

    issuer: str = ""
    token_endpoint: str = ""
    device_authorization_endpoint: str = ""
    jwks_uri: str = ""


class _OAuthError(msgspec.Struct):
    error: str = ""
    error_codes: list[int] = []


def tenant_of(authority: str) -> str:
    """Return the tenant in the address of an authority, or an empty string."""
    return next((part for part in urlsplit(authority).path.split("/") if part), "")


def discover(service: Service, clock: Clock) -> tuple[Discovery, Response]:
    """Fetch the discovery document. Returns it with the response, for its date. Raises Wrong."""
    tenant = tenant_of(service.url)
    if not tenant or tenant.lower() in _SHARED:
        raise Wrong(
            f"{service.url} does not name a tenant", f"end {service.key} with the tenant's id, as docs/tenant.md shows"
        )
    answer = fetch(service, f"{service.url.rstrip('/')}/v2.0/.well-known/openid-configuration", clock)
    if answer.status != 200:
        raise Wrong(
            f"{service.place} answers {_status(answer)} when asked about tenant {clean(tenant)}",
            f"check that {service.key} is the address of the sign-in service, a slash, and the tenant's id",
        )
    try:
        return msgspec.json.decode(answer.body, type=Discovery), answer
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Wrong(
            f"{service.place} does not answer with a discovery document ({clean(answer.kind) or 'no type'})",
            f"check that {service.key} is right and that no proxy or portal answers instead of the service",
        ) from None


def examined(service: Service, about: Discovery, endpoints: dict[str, str]) -> Finding:
    """Check that the document is about our tenant, and that its addresses are at its own host."""
    tenant = tenant_of(service.url).lower()
    issuer = urlsplit(about.issuer)
    if issuer.scheme != "https" or "{" in about.issuer:
        return failed(
            f"the issuer of {service.place} is {clean(about.issuer) or 'missing'}, which names no tenant",
            f"end {service.key} with the tenant's id",
        )
    for name, url in endpoints.items():
        parts = urlsplit(url)
        if parts.scheme != "https" or parts.netloc.lower() != urlsplit(service.url).netloc.lower():
            return failed(
                f"the discovery document names {clean(url) or 'nothing'} as {name}, not an https address at"
                f" {service.place}",
                f"check that {service.key} is the sign-in service itself, and that no proxy answers instead",
            )
    if not GUID.fullmatch(tenant):
        return warning(
            f"{service.key} names the tenant by its domain, {clean(tenant)}",
            f"write its id, a GUID, into {service.key}",
        )
    if tenant not in issuer.path.lower().split("/"):
        return failed(
            f"the issuer is {clean(about.issuer, 120)}, which does not name tenant {clean(tenant)}",
            f"correct the tenant's id in {service.key}",
        )
    return passed(f"{service.place} serves tenant {tenant}")


def skew(answer: Response | None, place: str, clock: Clock) -> Finding:
    """Compare this machine's clock with that of a service. Raises NotChecked."""
    try:
        theirs = parsedate_to_datetime(answer.date) if answer else None
    except ValueError:
        theirs = None
    if theirs is None or theirs.tzinfo is None:
        raise NotChecked(f"{place} did not send its time", "fix what the check “authority” found, then check again")
    off = clock.utc() - theirs
    words = f"{abs(off.total_seconds()):.0f} s {'ahead of' if off > timedelta() else 'behind'} {place}"
    fix = "synchronise this machine's clock: timedatectl set-ntp true"
    if abs(off) > _TOO_FAR:
        return failed(f"the clock is {words}: valid sign-ins and certificates are refused", fix)
    if abs(off) > _FAR:
        return warning(f"the clock is {words}", fix)
    return passed(f"the clock agrees with {place}")


def _status(answer: Response) -> str:
    try:
        error = msgspec.json.decode(answer.body, type=_OAuthError)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"status {answer.status}"
    numbers = "".join(f" AADSTS{code}" for code in error.error_codes[:1])
    return f"status {answer.status} {clean(error.error)}{numbers}".strip()
